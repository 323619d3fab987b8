//! The machine. Only this code opens files, takes locks, starts programs and reads the clock.

pub mod clock;
pub mod docker;
pub mod fs;
pub mod git;
pub mod identity;
pub mod index;
pub mod invocation;
pub mod lock;
pub mod net;
pub mod program;
pub mod queue;
pub mod replace;
pub mod root;
pub mod signals;
pub mod staging;
pub mod terminal;
pub mod worktree;
