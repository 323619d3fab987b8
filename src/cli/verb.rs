//! The verbs, and the exit codes.

use std::convert::identity;

use clap::{Args, Command, Parser, Subcommand};

use super::checkout::{DoneArgs, StartWorktreeArgs, WorktreesArgs};
use super::claims::{ClaimArgs, CleanArgs, EnvArgs, ExecArgs, ReapArgs, ReleaseArgs, RenewArgs};
use super::hook::{HookArgs, SkillArgs};
use super::pool::{DemoArgs, DoctorArgs, HistoryArgs, InitArgs, ListArgs, PortsArgs, SlotsArgs, StatusArgs};
use super::provisioning::{ApplyArgs, DestroyArgs, PlanArgs, ShowArgs};
use super::run::RunArgs;
use super::shell::{CompletionsArgs, ManArgs};
use super::stack::{ComposeArgs, DownArgs, LogsArgs, OpenArgs, ResetArgs, ShellArgs, UpArgs};
use crate::hooks::skill::TEXT;

/// Provision a declared pool of sandbox slots.
///
/// `slots.toml` declares the pool; `kinfra plan` shows what is missing and `kinfra apply` creates it: a
/// directory per slot with the files to run a stack on ports of its own.
#[derive(Debug, Parser)]
#[command(
    name = "kinfra",
    version,
    max_term_width = 100,
    after_help = "`kinfra help exit-codes` lists the exit codes. `kinfra help agents` is for agents."
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
   2  differences, only with --detailed-exitcode; after `apply`, something is still blocked
   3  no free slot matches, or this worktree holds none
   4  refused: held by another worktree, unsafe path, changed since it was planned, approval missing, all blocked
   5  state unreadable: corrupt, vanished, a link, or written by a newer kinfra
   6  the lock was not obtained
   7  the stack does not run
   8  the stack is not ready in time
   9  Docker failed, or does not answer
  64  the command line is wrong
  65  slots.toml or a template is invalid
  74  done, but stdout cannot be written; if that stopped it before, the code is 1
 126  exec, run: the command cannot be executed
 127  exec, run: there is no such command; any other code of exec, run, shell or compose is the command's own
 130  interrupted: the action in progress is completed and saved";

/// The verbs. Only the one that is typed gets its flags: see [`whole`].
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Verb {
    /// Show what `apply` would do
    Plan(PlanArgs),
    /// Create the slots that are missing
    Apply(ApplyArgs),
    /// Show a plan that `plan --out` saved
    Show(ShowArgs),
    /// Remove every slot that is not claimed
    Destroy(DestroyArgs),
    /// Take a free slot for this worktree
    Claim(ClaimArgs),
    /// Release the slot of this worktree
    Release(ReleaseArgs),
    /// Show the slot of this worktree
    Status(StatusArgs),
    /// Make a worktree for a branch, with a slot and a stack that runs
    Start(StartWorktreeArgs),
    /// Remove a worktree and what its slot has, if no work is lost
    Done(DoneArgs),
    /// List the worktrees of this repository, with their slots and their work
    Worktrees(WorktreesArgs),
    /// Start the stack of this worktree, and wait until it runs
    Up(UpArgs),
    /// Stop the stack of this worktree and remove it; its data stays
    Down(DownArgs),
    /// Print what the services of this worktree's stack log
    Logs(LogsArgs),
    /// Open the address of a port of this worktree's slot
    Open(OpenArgs),
    /// Run a shell or a command in a service of this worktree's stack
    Shell(ShellArgs),
    /// Stop the stack of this worktree, remove its data, and start it again
    Reset(ResetArgs),
    /// Print the variables of this worktree's slot, for a shell to evaluate
    Env(EnvArgs),
    /// Run a command with the variables of this worktree's slot
    Exec(ExecArgs),
    /// Claim a slot, start the stack, run a command, and release the slot with its data: for CI and scripts
    Run(RunArgs),
    /// Run a command of Docker Compose for this worktree's slot
    Compose(ComposeArgs),
    /// Extend the lease of this worktree's claim
    Renew(RenewArgs),
    /// Release slots whose worktree is gone or whose lease has run out, and clean what is not clean
    Reap(ReapArgs),
    /// Remove what earlier holders left in free slots: containers, volumes, networks, images
    Clean(CleanArgs),
    /// List the provisioned slots
    Slots(SlotsArgs),
    /// List who did what to the slots, and when
    History(HistoryArgs),
    /// List every port of every declared slot
    Ports(PortsArgs),
    /// Check slots.toml, its templates and its ports before they are applied
    Validate(ListArgs),
    /// Write a slots.toml for the Compose files here
    Init(InitArgs),
    /// Make a small repository to try kinfra with
    Demo(DemoArgs),
    /// Have git, Claude Code and other tools call kinfra when worktrees come and go
    Hook(HookArgs),
    /// Tell agents how to use kinfra: write a SKILL.md
    Skill(SkillArgs),
    /// Check this machine and the pool, and say what to do
    Doctor(DoctorArgs),
    /// Print the script that makes a shell complete commands, slots and profiles
    Completions(CompletionsArgs),
    /// Print a page of the manual
    #[command(hide = true)]
    Man(ManArgs),
    /// The old spelling of the same verbs
    #[command(subcommand)]
    Sandbox(SandboxVerb),
    /// Print what agents are to know
    #[command(hide = true, override_help = TEXT)]
    Agents,
    /// List the exit codes
    #[command(hide = true, override_help = EXIT_CODES)]
    ExitCodes,
}

/// A verb with its flags, to change these. Clap adds them later, and only to the verb that is typed.
#[must_use]
pub fn whole<A: Args>(verb: Command) -> Command {
    A::augment_args(verb.defer(identity))
}

/// The verbs in their old spelling.
#[derive(Debug, Subcommand)]
pub enum SandboxVerb {
    /// The same as `kinfra apply`
    Provision(ApplyArgs),
    /// The same as `kinfra slots`
    Slots(SlotsArgs),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn only_the_verb_that_is_typed_gets_its_flags() {
        let flags = |verb: &Command| verb.get_arguments().count();
        let mut command = <Cli as clap::CommandFactory>::command();
        assert_eq!(command.get_subcommands().map(flags).max(), Some(0));
        let plan = command.find_subcommand_mut("plan").unwrap();
        assert!(flags(&whole::<PlanArgs>(plan.clone())) > 5);
    }

    #[test]
    fn no_project_has_a_verb_with_the_name_of_one_of_these() {
        let command = <Cli as clap::CommandFactory>::command();
        let verbs = command.get_subcommands();
        let mut names: Vec<&str> =
            verbs.flat_map(|verb| verb.get_all_aliases().chain([verb.get_name()])).chain(["help"]).collect();
        names.sort_unstable();
        assert_eq!(names, crate::spec::OWN_VERBS);
    }
}
