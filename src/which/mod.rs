//! Which pool a run is about: by the spec, by the worktree, by the index of pools on this machine.

pub mod by_worktree;
pub mod choice;
pub mod collisions;
pub mod index;
pub mod neighbours;
pub mod spec_file;
