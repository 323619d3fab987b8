//! The stack of a slot: the worktree's own Compose files and kinfra's overlay, run under the slot's name.
//!
//! ```text
//! prepare: compose_files ─ Place, Derived ─► admission ─► Compose     up: ─► Compose ─► gate
//! ```

pub mod admission;
pub mod clean;
pub mod command;
pub mod compose_files;
pub mod down;
pub mod enter;
pub mod gate;
pub mod idle;
pub mod leftovers;
pub mod observe;
mod peak;
pub mod prepare;
pub mod remove;
pub mod reset;
pub mod take_over;
pub mod turn;
pub mod up;
pub mod written;
