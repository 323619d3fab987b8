//! The flags of the verbs that provision a pool: `plan`, `apply`, `show` and `destroy`.
#![expect(missing_docs, reason = "clap would show the comments of flags as help")]

use std::collections::BTreeSet;

use camino::Utf8PathBuf;
use clap::Args;

use super::shared::{LockArgs, PoolArgs};
use crate::plan::{Flag, Options};
use crate::slot::SlotId;

// The flags of a plan: what it may do, and to which slots.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that people type")]
pub struct PlanningArgs {
    /// Update files that kinfra wrote and registry entries to what slots.toml says
    #[arg(long)]
    pub update: bool,
    /// Also replace files that were edited by hand, after copying them to `backups`
    #[arg(long)]
    pub overwrite: bool,
    /// Remove slots that slots.toml no longer has, if unclaimed and without containers
    #[arg(long)]
    pub prune: bool,
    /// Also change claimed slots
    #[arg(long)]
    pub include_claimed: bool,
    /// Plan only these slots, such as `1-3,7`
    #[arg(long, value_name = "SLOTS", value_parser = slot_ids)]
    pub only: Option<SlotIds>,
    /// Leave these slots out
    #[arg(long, value_name = "SLOTS", value_parser = slot_ids)]
    pub exclude: Option<SlotIds>,
}

/// Slots by their ids.
#[derive(Debug, Clone)]
pub struct SlotIds(pub BTreeSet<SlotId>);

impl PlanningArgs {
    /// The flags as options.
    pub fn options(&self) -> Options {
        let Self { update, overwrite, prune, include_claimed, only, exclude } = self;
        let given = [
            (*update, Flag::Update),
            (*overwrite, Flag::Overwrite),
            (*prune, Flag::Prune),
            (*include_claimed, Flag::IncludeClaimed),
        ];
        Options {
            allowed: given.into_iter().filter_map(|(given, flag)| given.then_some(flag)).collect(),
            only: only.as_ref().map(|slots| slots.0.clone()),
            exclude: exclude.as_ref().map(|slots| slots.0.clone()).unwrap_or_default(),
        }
    }
}

// `kinfra plan`
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that people type")]
pub struct PlanArgs {
    #[command(flatten)]
    pub pool: PoolArgs,
    #[command(flatten)]
    pub planning: PlanningArgs,
    /// Show how the text of each file differs
    #[arg(long, conflicts_with = "json")]
    pub diff: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    /// Exit with 2 if there are differences
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Save the plan to FILE, for `kinfra apply FILE`
    #[arg(long, value_name = "FILE")]
    pub out: Option<Utf8PathBuf>,
    /// Show each slot of a large pool
    #[arg(short, long)]
    pub verbose: bool,
}

// `kinfra apply`
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that people type")]
pub struct ApplyArgs {
    /// Run the plan that `plan --out` saved here, and nothing else, without asking
    #[arg(
        value_name = "PLAN",
        conflicts_with_all = ["update", "overwrite", "prune", "include_claimed", "only", "exclude", "dry_run"]
    )]
    pub saved: Option<Utf8PathBuf>,
    #[command(flatten)]
    pub pool: PoolArgs,
    #[command(flatten)]
    pub planning: PlanningArgs,
    /// Print the plan as `kinfra plan` does, and stop
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask for approval
    #[arg(long)]
    pub auto_approve: bool,
    /// Exit with 2 if a difference stays
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Print a JSON document per line: the plan, each slot, and always a summary
    #[arg(long)]
    pub json: bool,
    /// Show each slot of a large pool
    #[arg(short, long)]
    pub verbose: bool,
    #[command(flatten)]
    pub lock: LockArgs,
}

// `kinfra show`
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The saved plan
    #[arg(value_name = "PLAN")]
    pub saved: Utf8PathBuf,
    /// Print one JSON document, as `plan --json` does
    #[arg(long)]
    pub json: bool,
    /// Show each slot of a large pool
    #[arg(short, long)]
    pub verbose: bool,
}

// `kinfra destroy`
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that people type")]
pub struct DestroyArgs {
    #[command(flatten)]
    pub pool: PoolArgs,
    /// Also remove the volumes and images of the slots that go, after listing them with their sizes
    #[arg(long)]
    pub data: bool,
    /// Show what would be removed, and stop
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask for approval
    #[arg(long)]
    pub auto_approve: bool,
    /// Show each slot of a large pool
    #[arg(short, long)]
    pub verbose: bool,
    #[command(flatten)]
    pub lock: LockArgs,
}

/// A list of slot ids.
fn slot_ids(text: &str) -> Result<SlotIds, String> {
    SlotId::parse_list(text).map(|ids| SlotIds(ids.into_iter().collect()))
}
