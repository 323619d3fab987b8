//! Which pool a run is about: by the spec, by the worktree, by the index of pools on this machine.

pub mod branch_spec;
pub mod by_worktree;
pub mod choice;
pub mod collisions;
pub mod embedded_pool;
pub mod index;
pub mod neighbours;
pub mod repository;
pub mod spec_file;
pub mod trust;
