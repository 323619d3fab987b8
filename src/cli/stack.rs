//! The flags of the verbs that run a slot's stack.

use std::ffi::OsString;

use camino::Utf8PathBuf;
use clap::{Args, ValueHint};

use super::claims::slot_id;
use super::shared::{LockArgs, PoolArgs};
use crate::slot::SlotId;

/// `kinfra compose`
#[derive(Debug, Args)]
pub struct ComposeArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as help")]
    pub pool: PoolArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as help")]
    pub slot: SlotArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as help")]
    pub lock: LockArgs,
    /// What follows `docker compose`, such as `up -d` or `logs web`
    #[arg(
        value_name = "ARGS",
        value_hint = ValueHint::Other,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub arguments: Vec<OsString>,
}

/// The flags that name a slot by itself or by its holder.
#[derive(Debug, Args)]
pub struct SlotArgs {
    /// The slot [default: the one that this worktree holds]
    #[arg(long, value_name = "N", value_parser = slot_id, conflicts_with = "holder")]
    pub slot: Option<SlotId>,
    /// The slot of this worktree instead of the one here
    #[arg(long = "for", value_name = "PATH", value_hint = ValueHint::DirPath)]
    pub holder: Option<Utf8PathBuf>,
}
