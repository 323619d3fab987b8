//! The flags of the verbs that show, check or describe a pool.
#![expect(missing_docs, reason = "clap would show the comments of flags as help")]

use std::num::NonZeroUsize;

use camino::Utf8PathBuf;
use clap::{Args, ValueHint};

use super::claims::slot_id;
use super::shared::{HolderArgs, LockArgs, PoolArgs};
use crate::slot::SlotId;

// `kinfra doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    pub pool: PoolArgs,
    /// Replace a registry that cannot be read, from its backup or from the slot directories
    #[arg(long)]
    pub repair: bool,
    /// Do not ask for approval
    #[arg(long, requires = "repair")]
    pub auto_approve: bool,
    #[command(flatten)]
    pub lock: LockArgs,
}

// `kinfra init`
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Write the embedded slots.toml and its templates instead
    #[arg(long)]
    pub embedded: bool,
    /// Use these Compose files, and name them in slots.toml; default: those that Compose itself finds here
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["embedded", "update"])]
    pub file: Vec<Utf8PathBuf>,
    /// Add the published ports that slots.toml does not know, and keep all else
    #[arg(long, conflicts_with = "embedded")]
    pub update: bool,
    /// Show what would be written, and stop
    #[arg(long)]
    pub dry_run: bool,
}

// `kinfra demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// The directory to make
    #[arg(value_name = "DIR", default_value = "kinfra-demo")]
    pub dir: Utf8PathBuf,
}

// `kinfra slots`
#[derive(Debug, Args)]
pub struct SlotsArgs {
    #[command(flatten)]
    pub pool: PoolArgs,
    /// Keep showing them until Ctrl-C: in place on a terminal, otherwise whenever they change
    #[arg(long)]
    pub watch: bool,
    /// Print one JSON document; with --watch, one per line for each change
    #[arg(long)]
    pub json: bool,
}

// `kinfra history`
#[derive(Debug, Args)]
pub struct HistoryArgs {
    #[command(flatten)]
    pub pool: PoolArgs,
    /// Only what happened to this slot
    #[arg(value_name = "SLOT", value_parser = slot_id)]
    pub slot: Option<SlotId>,
    /// Only the last N events [default: all; for an agent, 40]
    #[arg(short = 'n', long, value_name = "N", value_parser = some_events)]
    pub last: Option<NonZeroUsize>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

fn some_events(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "write how many events, 1 or more".to_owned())
}

// `kinfra status`
#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    pub pool: PoolArgs,
    #[command(flatten)]
    pub of: HolderArgs,
    /// Show the id of the claim, too
    #[arg(short, long)]
    pub verbose: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

// `kinfra ports`
#[derive(Debug, Args)]
pub struct PortsArgs {
    #[command(flatten)]
    pub list: ListArgs,
    /// List the address of each port that a browser opens, with a path such as `/callback`
    #[arg(
        long,
        value_name = "PATH",
        value_hint = ValueHint::Other,
        value_parser = path_of_url,
        num_args = 0..=1,
        default_missing_value = "",
        conflicts_with = "json"
    )]
    pub urls: Option<String>,
}

/// A path of a URL.
fn path_of_url(text: &str) -> Result<String, String> {
    // `//` would name another host, and no login service takes a fragment.
    let is_path =
        (text.is_empty() || text.starts_with('/')) && !text.starts_with("//") && !text.contains('#');
    let is_path = is_path && text.chars().all(|c| c.is_ascii_graphic());
    if is_path {
        Ok(text.to_owned())
    } else {
        Err("write a path from `/` on, such as `/callback`".to_owned())
    }
}

// `kinfra validate`, and what `kinfra ports` has of it
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    pub pool: PoolArgs,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}
