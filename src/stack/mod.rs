//! The stack of a slot: the worktree's own Compose files and kinfra's overlay, run under the slot's name.
//!
//! ```text
//! prepare: place ─ Place ─► derive ─ Derived ─► admit ─► Compose
//! ```

pub mod addresses;
pub mod admit;
pub mod clean;
pub mod compose_args;
pub mod derive;
pub mod down;
pub mod enter;
pub mod examine;
pub mod following;
pub mod gate;
pub mod look;
pub mod main_stack;
pub mod neighbours;
pub mod observe;
pub mod ownership;
pub mod patience;
pub mod place;
pub mod prepare;
pub mod preview;
pub mod remove;
pub mod reset;
pub mod resolve;
pub mod sight;
pub mod state;
pub mod turn;
pub mod up;
pub mod up_request;
pub mod variables;

mod build_inputs;
mod clash;
mod compose_up;
mod free_ports;
mod inputs;
mod last_start;
mod listening;
mod once;
mod real_paths;
mod room;
mod running;
mod shared;
mod start;
mod uses;
mod verify;
