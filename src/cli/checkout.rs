//! The flags of the verbs that make and remove worktrees.
#![expect(missing_docs, reason = "clap would show the comments of flags as help")]

use camino::Utf8PathBuf;
use clap::{Args, ValueHint};

use super::claims::{Wishes, slot_id};
use super::shared::{LockArgs, PoolArgs};
use super::stack::{StartArgs, with_waits};
use crate::identifier::Branch;
use crate::slot::SlotId;
use crate::stack::up::request::UpRequest;

// `kinfra start`
#[derive(Debug, Args)]
pub struct StartWorktreeArgs {
    #[command(flatten)]
    pub pool: PoolArgs,
    /// The branch: one that is there, one of a remote, or a new one
    #[arg(value_name = "NAME", value_parser = Branch::new)]
    pub branch: Branch,
    /// Begin a new branch at this commit or branch [default: what the main worktree has]
    #[arg(long, value_name = "REF", value_hint = ValueHint::Other)]
    pub from: Option<String>,
    /// Make the worktree here [default: `path` of `[worktree]` in slots.toml, or `../{repo}-{branch}`]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub path: Option<Utf8PathBuf>,
    /// Start the stack; this is the default
    #[arg(long, overrides_with = "no_up")]
    pub up: bool,
    /// Do not start the stack
    #[arg(long)]
    pub no_up: bool,
    #[command(flatten)]
    pub wishes: Wishes,
    /// Claim this slot
    #[arg(long, value_name = "N", value_parser = slot_id)]
    pub slot: Option<SlotId>,
    #[command(flatten)]
    pub start: StartArgs,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub lock: LockArgs,
}

impl StartWorktreeArgs {
    /// The flags as a request to start the stack.
    pub fn request(&self) -> UpRequest {
        with_waits(self.start.request(&[]), &self.wishes)
    }
}

// `kinfra done`
#[derive(Debug, Args)]
pub struct DoneArgs {
    #[command(flatten)]
    pub pool: PoolArgs,
    /// The branch of the worktree, or its path [default: this worktree]
    #[arg(value_name = "NAME", value_parser = Branch::new, value_hint = ValueHint::DirPath)]
    pub name: Option<Branch>,
    /// Remove it although it has work that is nowhere else, and keep that under `refs/kinfra/discarded`
    #[arg(long)]
    pub discard: bool,
    #[command(flatten)]
    pub lock: LockArgs,
}

// `kinfra worktrees`
#[derive(Debug, Args)]
pub struct WorktreesArgs {
    #[command(flatten)]
    pub pool: PoolArgs,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}
