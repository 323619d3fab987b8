//! The stack of a slot: the worktree's own Compose files and kinfra's overlay, run under the slot's name.
//!
//! ```text
//! prepare: place ─ Place ─► derive ─ Derived ─► admit ─► Compose
//! ```

pub mod admit;
pub mod compose_args;
pub mod derive;
pub mod gate;
pub mod look;
pub mod main_stack;
pub mod neighbours;
pub mod ownership;
pub mod patience;
pub mod place;
pub mod prepare;
pub mod preview;
pub mod resolve;
pub mod state;
pub mod variables;

mod clash;
mod inputs;
mod listening;
mod real_paths;
mod shared;
mod uses;
