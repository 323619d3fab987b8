//! What each verb does, shows and refuses. One file per verb, several for a large one.

mod apply;
mod branch;
mod bring;
mod change;
pub(crate) mod claim;
mod completions;
mod compose;
mod destroy;
mod diff;
pub(crate) mod doctor;
mod env;
mod help;
mod init;
mod init_apart;
mod init_isolated;
mod lease;
mod meanwhile;
mod plan;
mod ports;
mod queue;
mod reap;
mod repair;
mod saved;
mod slots;
mod status;
mod validate;
mod worktree;
