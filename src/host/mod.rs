//! The machine. Only this code opens files, takes locks, starts programs and reads the clock.

pub mod change_slot;
pub mod child;
pub mod clock;
pub mod container;
pub mod containers;
pub mod create_slot;
pub mod docker;
pub mod engine;
pub mod fs;
pub mod git;
pub mod git_index;
pub mod identity;
pub mod index;
pub mod invocation;
pub mod listening;
pub mod lock;
pub mod net;
pub mod program;
pub mod queue;
pub mod remains;
pub mod root;
pub mod signals;
pub mod terminal;
pub mod worktree_copy;
pub mod worktree_file;
