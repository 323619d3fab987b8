//! What kinfra's stacks have on the engines of this machine, whose it is, and what no worktree holds.

mod clear;
mod look;
mod sort;

pub use clear::{Cleared, clear};
pub use look::{Place, look};
pub use sort::{Group, Leftovers, Owner, Tie, Tied};
