//! Which pool a run is about: by the spec, by the worktree, by the index of pools on this machine.

pub mod branch_spec;
pub mod by_worktree;
pub mod choice;
pub mod collisions;
pub mod embedded_pool;
pub mod index;
pub mod neighbours;
mod others;
pub mod repository;
pub mod spec_file;
pub mod stack_as_applied;
pub mod trust;
mod unread;
pub mod verbs;
pub mod whose;
