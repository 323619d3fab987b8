//! The overlay: the Compose file that kinfra adds to a project's own files, so that they run for one slot.
//!
//! It is made from the resolved model, without looking at the machine. Compose merges it over the project's
//! files with its tags `!override` and `!reset`, which it has since 2.24.4.

mod addresses;
mod attachments;
mod images;
mod mounts;
mod ports;
mod slot;
mod slug;
mod storage;
mod subnets;
mod suggest;
mod write;
mod yaml;

pub use slot::Slot;
pub use suggest::{PortLine, port_lines};
pub use write::{Overlay, overlay};
