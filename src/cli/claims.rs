//! The flags of the verbs of a slot: who holds it, its variables, its lease.
#![expect(missing_docs, reason = "clap would show the comments of flags as help")]

use std::ffi::OsString;

use camino::Utf8PathBuf;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum, ValueHint};

use super::shared::{HolderArgs, LockArgs, PoolArgs};
use crate::identifier::ProfileName;
use crate::registry::ClaimId;
use crate::shown::word;
use crate::slot::SlotId;
use crate::time::Span;

// `kinfra claim`
#[derive(Debug, Args)]
pub struct ClaimArgs {
    #[command(flatten)]
    pub pool: PoolArgs,
    #[command(flatten)]
    pub wishes: Wishes,
    /// Claim this slot
    #[arg(long, value_name = "N", value_parser = slot_id)]
    pub slot: Option<SlotId>,
    /// Claim for the worktree that PATH is in [default: the current directory]
    #[arg(long = "for", value_name = "PATH", value_hint = ValueHint::DirPath)]
    pub owner: Option<Utf8PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub lock: LockArgs,
}

// The flags that say how a slot is claimed.
#[derive(Debug, Clone, Args)]
pub struct Wishes {
    /// Claim a slot of the pool that is built into kinfra, whatever slots.toml is here
    #[arg(long, conflicts_with = "spec")]
    pub embedded: bool,
    /// Claim a slot of this profile or a larger one [default: any, smallest first]
    #[arg(long, value_name = "PROFILE", value_parser = ProfileName::new, conflicts_with = "slot")]
    pub profile: Option<ProfileName>,
    /// End the claim after this time unless it is renewed, such as `8h` [default: none; for an agent,
    /// `agent_lease` of the pool]
    #[arg(long, value_name = "DURATION", value_parser = Span::lease)]
    pub lease: Option<Span>,
    /// Wait for a slot, and `up` for memory, at most this long [default: no limit]
    #[arg(long, value_name = "DURATION", value_parser = Span::parse, num_args = 0..=1, require_equals = true)]
    pub wait: Option<Option<Span>>,
    /// A note for others, shown in errors and status
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub note: Option<String>,
}

// `kinfra release`
#[derive(Debug, Args)]
pub struct ReleaseArgs {
    #[command(flatten)]
    pub pool: PoolArgs,
    /// The slot [default: the slot of this worktree]
    #[arg(value_name = "SLOT", value_parser = slot_or_path, conflicts_with_all = ["holder", "owner"])]
    pub slot: Option<SlotId>,
    #[command(flatten)]
    pub of: HolderArgs,
    /// Release the claim with this id, from any directory
    #[arg(long, value_name = "ID", value_parser = ClaimId::parse, conflicts_with_all = ["force", "holder", "owner"])]
    pub claim_id: Option<ClaimId>,
    /// Release it even if another worktree holds it
    #[arg(long)]
    pub force: bool,
    /// Remove the volumes of its stack, too [default: keep them for this worktree]
    #[arg(long)]
    pub wipe: bool,
    #[command(flatten)]
    pub lock: LockArgs,
}

// `kinfra env`
#[derive(Debug, Args)]
pub struct EnvArgs {
    #[command(flatten)]
    pub pool: PoolArgs,
    #[command(flatten)]
    pub of: HolderArgs,
    /// Print the variables in this format
    #[arg(long, value_enum, default_value_t = EnvFormat::Shell)]
    pub format: EnvFormat,
}

/// The formats of `kinfra env`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EnvFormat {
    /// For `eval` in sh, bash, zsh and other POSIX shells
    Shell,
    /// For `source` in fish
    Fish,
    /// An env file
    Dotenv,
    /// One JSON document
    Json,
}

/// The format that `env` was to print, as far as arguments can be read that are wrong.
pub fn evaluated(arguments: impl IntoIterator<Item = OsString>) -> Option<EnvFormat> {
    let arguments: Vec<OsString> = arguments.into_iter().skip(1).collect();
    let is_env = arguments.first().is_some_and(|verb| verb == "env");
    let is_named = |format: &str| {
        arguments.iter().any(|argument| argument == format || *argument == *format!("--format={format}"))
    };
    match () {
        () if !is_env || is_named("dotenv") || is_named("json") => None,
        () if is_named("fish") => Some(EnvFormat::Fish),
        () => Some(EnvFormat::Shell),
    }
}

// `kinfra exec`
#[derive(Debug, Args)]
pub struct ExecArgs {
    #[command(flatten)]
    pub pool: PoolArgs,
    #[command(flatten)]
    pub of: HolderArgs,
    #[command(flatten)]
    pub lock: LockArgs,
    #[command(flatten)]
    pub command: CommandArgs,
}

// A command of the user.
#[derive(Debug, Args)]
pub struct CommandArgs {
    /// The command and its arguments
    #[arg(
        value_name = "CMD",
        value_hint = ValueHint::CommandWithArguments,
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub words: Vec<OsString>,
}

// `kinfra renew`
#[derive(Debug, Args)]
pub struct RenewArgs {
    #[command(flatten)]
    pub pool: PoolArgs,
    /// Lengthen the lease to this long from now [default: the length it was given]
    #[arg(long, value_name = "DURATION", value_parser = Span::lease)]
    pub lease: Option<Span>,
    #[command(flatten)]
    pub of: HolderArgs,
    /// Renew the claim with this id, from any directory [default: the claim of this worktree]
    #[arg(long, value_name = "ID", value_parser = ClaimId::parse, conflicts_with_all = ["holder", "owner"])]
    pub claim_id: Option<ClaimId>,
    #[command(flatten)]
    pub lock: LockArgs,
}

// `kinfra reap`
#[derive(Debug, Args)]
pub struct ReapArgs {
    #[command(flatten)]
    pub pool: PoolArgs,
    /// Show what would be released, and stop
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask for approval
    #[arg(long)]
    pub auto_approve: bool,
    #[command(flatten)]
    pub lock: LockArgs,
}

// `kinfra clean`
#[derive(Debug, Args)]
pub struct CleanArgs {
    #[command(flatten)]
    pub pool: PoolArgs,
    /// The slots
    #[arg(value_name = "SLOT", value_parser = slot_id, required_unless_present = "all")]
    pub slots: Vec<SlotId>,
    /// Everything that has kinfra's labels and no holder, also of slots and pools that are gone
    #[arg(long, conflicts_with = "slots")]
    pub all: bool,
    /// Show what would be removed, and stop
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask for approval
    #[arg(long)]
    pub auto_approve: bool,
    #[command(flatten)]
    pub lock: LockArgs,
}

/// The id of one slot.
pub(super) fn slot_id(text: &str) -> Result<SlotId, String> {
    // Of a path or a name, a list would be too much said.
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return Err("a slot is a number, such as `2`: `kinfra slots` lists them".to_owned());
    }
    let ids = SlotId::parse_list(text)?;
    ids.first().copied().filter(|_| ids.len() == 1).ok_or_else(|| "write one slot id, such as `3`".to_owned())
}

/// [`slot_id`], for a verb that takes a worktree with `--for`, too.
pub(super) fn slot_or_path(text: &str) -> Result<SlotId, String> {
    if !text.contains('/') && text != "." && text != ".." {
        return slot_id(text);
    }
    let path = word(text);
    Err(format!("a slot is a number, such as `2`; for another worktree's, write `--for {path}`"))
}
