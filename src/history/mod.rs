//! The history of a pool: what happened to its slots, when, and who did it. Pure.
//!
//! `between` tells what a change of the registry means. `change` is a line of the journal. `recorded` reads
//! journals, and says what they cannot tell.

mod between;
mod change;
mod event;
mod recorded;

pub use between::between;
pub use change::{Author, Change, HEADER, Replaces, Version, version};
pub use event::{Ended, Event, Party, What};
pub use recorded::{History, Recorded};
