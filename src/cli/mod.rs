//! The command line, as typed.

use std::collections::BTreeSet;
use std::time::Duration;

use camino::Utf8PathBuf;
use clap::{Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;

use crate::host::lock::LockPolicy;
use crate::plan::{Flag, Options};
use crate::slot::SlotId;
use crate::time::Span;
use crate::which::choice::PoolChoice;

mod worktree;

pub use worktree::{ClaimArgs, EnvArgs, EnvFormat, ExecArgs, ReapArgs, ReleaseArgs, RenewArgs};

/// Provision a declared pool of sandbox slots.
///
/// `slots.toml` declares the pool; `kinfra plan` shows what is missing and `kinfra apply` creates it: a directory per
/// slot with the files to run a stack on ports of its own.
#[derive(Debug, Parser)]
#[command(
    name = "kinfra",
    version,
    max_term_width = 100,
    after_help = "`kinfra help exit-codes` lists the exit codes."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What `kinfra help exit-codes` says.
pub const EXIT_CODES: &str = "\
Exit codes, the same for every verb:
   0  done
   1  failed
   2  differences; only with --detailed-exitcode, for `apply` that did its work: something is still blocked
   3  no free slot matches, or this worktree holds none
   4  refused: held by somebody else, unsafe path, changed since it was planned, approval missing
   5  state unreadable: corrupt, of a newer kinfra, vanished, or a link
   6  the lock was not obtained
   7  Docker failed
  64  the command line is wrong
  65  slots.toml or a template is invalid
 126  exec: the command cannot be executed
 127  exec: there is no such command; every other code of exec is the command's own
 130  interrupted: what was in flight is completed and saved";

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show what `apply` would do
    Plan(PlanArgs),
    /// Create the slots that are missing
    Apply(ApplyArgs),
    /// Show a plan that was saved with `plan --out`
    Show(ShowArgs),
    /// Remove every slot that nobody has claimed
    Destroy(DestroyArgs),
    /// Take a free slot for this worktree
    Claim(ClaimArgs),
    /// Give the slot of this worktree back
    Release(ReleaseArgs),
    /// Show the slot of this worktree
    Status(ListArgs),
    /// Print the variables of this worktree's slot, for a shell to evaluate
    Env(EnvArgs),
    /// Run a command with the variables of this worktree's slot
    Exec(ExecArgs),
    /// Let the claim of this worktree hold for longer
    Renew(RenewArgs),
    /// Release slots whose worktree is gone or whose lease has run out
    Reap(ReapArgs),
    /// List the provisioned slots
    Slots(SlotsArgs),
    /// List every port of every declared slot
    Ports(ListArgs),
    /// Check slots.toml, its templates and its ports before they are applied
    Validate(ListArgs),
    /// Write a slots.toml and templates for the Compose file here
    Init(InitArgs),
    /// Check this machine and the pool, and say what to do
    Doctor(DoctorArgs),
    /// Print what a shell needs to complete commands, slots and profiles
    Completions(CompletionsArgs),
    /// Print a page of the manual
    #[command(hide = true)]
    Man(ManArgs),
    /// The old spelling of the same verbs
    #[command(subcommand)]
    Sandbox(SandboxVerb),
    /// List the exit codes
    #[command(hide = true, override_help = EXIT_CODES)]
    ExitCodes,
}

/// The verbs under their old names.
#[derive(Debug, Subcommand)]
pub enum SandboxVerb {
    /// The same as `kinfra apply`
    Provision(ApplyArgs),
    /// The same as `kinfra slots`
    Slots(SlotsArgs),
}

/// Which pool.
#[derive(Debug, Clone, Args)]
pub struct PoolArgs {
    /// The spec [default: slots.toml here or in a parent within the repository, else the embedded one]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, env = "KINFRA_SPEC", hide_env_values = true)]
    pub spec: Option<Utf8PathBuf>,
    /// The directory the pool lives in [default: the spec's]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, env = "KINFRA_ROOT", hide_env_values = true)]
    pub root: Option<Utf8PathBuf>,
}

impl PoolArgs {
    /// The pool as it was named.
    pub fn choice(&self) -> PoolChoice {
        PoolChoice::new(self.spec.clone(), self.root.clone())
    }
}

/// What a plan may do, and to which slots.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that people type")]
pub struct PlanningArgs {
    /// Change what is older than slots.toml: files that kinfra wrote, and registry entries
    #[arg(long)]
    pub update: bool,
    /// Also replace files that were edited by hand; copies are kept in `backups`
    #[arg(long)]
    pub overwrite: bool,
    /// Remove slots that are no longer in slots.toml, unclaimed and without containers
    #[arg(long)]
    pub prune: bool,
    /// Also change slots that somebody has claimed
    #[arg(long)]
    pub include_claimed: bool,
    /// These slots and no others, such as `1-3,7`
    #[arg(long, value_name = "SLOTS", value_parser = slot_ids)]
    pub only: Option<SlotIds>,
    /// All slots but these
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

/// `kinfra plan`
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that people type")]
pub struct PlanArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as help")]
    pub pool: PoolArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as help")]
    pub planning: PlanningArgs,
    /// Show the differences of each file
    #[arg(long, conflicts_with = "json")]
    pub diff: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    /// Exit with 2 when there are differences
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Save the plan, for `kinfra apply FILE`
    #[arg(long, value_name = "FILE")]
    pub out: Option<Utf8PathBuf>,
    /// Show each slot of a large pool
    #[arg(short, long)]
    pub verbose: bool,
}

/// `kinfra apply`
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that people type")]
pub struct ApplyArgs {
    /// Run this plan, which `plan --out` saved: just that, and without asking
    #[arg(
        value_name = "PLAN",
        conflicts_with_all = ["update", "overwrite", "prune", "include_claimed", "only", "exclude", "dry_run"]
    )]
    pub saved: Option<Utf8PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as help")]
    pub pool: PoolArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as help")]
    pub planning: PlanningArgs,
    /// Only print the plan, as `kinfra plan` does
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub auto_approve: bool,
    /// Exit with 2 when something stays that is not as declared
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Print one JSON document a line: the plan, each slot, and a summary always
    #[arg(long)]
    pub json: bool,
    /// Show each slot of a large pool
    #[arg(short, long)]
    pub verbose: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as help")]
    pub lock: LockArgs,
}

/// `kinfra show`
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

/// `kinfra destroy`
#[derive(Debug, Args)]
pub struct DestroyArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as help")]
    pub pool: PoolArgs,
    /// Only show what would go
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub auto_approve: bool,
    /// Show each slot of a large pool
    #[arg(short, long)]
    pub verbose: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as help")]
    pub lock: LockArgs,
}

/// How to take the root's lock.
#[derive(Debug, Args)]
pub struct LockArgs {
    /// How long to wait for another kinfra to finish
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub lock_timeout: Duration,
    /// Write to a root on a network file system, where locks may not hold
    #[arg(long)]
    pub unsafe_no_lock: bool,
}

impl LockArgs {
    /// How to take the lock; `command` is what others are told of the holder.
    pub fn policy<'a>(&self, command: &'a str) -> LockPolicy<'a> {
        LockPolicy { patience: self.lock_timeout, command, network: self.unsafe_no_lock, interrupt: None }
    }
}

/// `kinfra completions`
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// `kinfra man`
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The verb that the page is about [default: kinfra itself]
    #[arg(value_name = "VERB")]
    pub verb: Option<String>,
}

/// `kinfra doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as help")]
    pub pool: PoolArgs,
    /// Replace a registry that cannot be read, from its backup or from the slot directories
    #[arg(long)]
    pub repair: bool,
    /// Do not ask
    #[arg(long, requires = "repair")]
    pub auto_approve: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as help")]
    pub lock: LockArgs,
}

/// `kinfra init`
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Write the embedded spec and its templates instead
    #[arg(long)]
    pub embedded: bool,
    /// Only show what would be written
    #[arg(long)]
    pub dry_run: bool,
}

/// `kinfra slots`
#[derive(Debug, Args)]
pub struct SlotsArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as help")]
    pub pool: PoolArgs,
    /// Go on showing them until Ctrl-C: on a terminal in place, elsewhere each time that they have changed
    #[arg(long)]
    pub watch: bool,
    /// Print one JSON document, with --watch one a line for each change
    #[arg(long)]
    pub json: bool,
}

/// `kinfra status`, `kinfra ports` and `kinfra validate`
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as help")]
    pub pool: PoolArgs,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// A list of slot ids.
fn slot_ids(text: &str) -> Result<SlotIds, String> {
    SlotId::parse_list(text).map(|ids| SlotIds(ids.into_iter().collect()))
}

/// A duration such as `10s`, `5m`, `8h` or `2d`.
fn duration(text: &str) -> Result<Duration, String> {
    Span::parse(text).map(Span::duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }
}
