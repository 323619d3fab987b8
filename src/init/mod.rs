//! A project's Compose files → the `slots.toml` of a pool that runs them.
//!
//! ```text
//! Project ─► read ─ Reading ─► draft ─ Draft ─► write_draft
//!            (Compose, or text)  ├ isolation  what slots would share
//!                                ├ addresses  URLs of the main stack
//!                                └ variables  ports that are something else too
//! ```
//!
//! Compose says what the files come to. Their texts say on which lines things stand, and stand in for Compose
//! where that is not there. `prepare`, `update`, `read`, `read_sources` and `write_draft` touch the machine;
//! everything else is pure.

mod addresses;
pub mod compose_file;
mod draft;
mod images;
mod isolation;
mod pool_name;
mod prepare;
mod read;
mod read_sources;
mod slots_toml;
pub mod text;
mod update;
mod variables;
mod write_draft;

pub use self::draft::{Basis, Draft, DraftFile};
pub use self::update::Update;

pub(crate) use self::prepare::{Wanted, prepare};
pub(crate) use self::update::{prepare_update, write_update};
pub(crate) use self::write_draft::write;
