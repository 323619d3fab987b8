//! The verbs, one file each: wiring only.

use std::ffi::OsString;

use anyhow::Result;

use crate::cli::{SandboxVerb, Verb, evaluated, unknown_event};
use crate::fault::Exit;
use crate::host;
use crate::host::invocation::Invocation;
use crate::report;

mod apply;
mod approve;
mod candidates;
mod carry_out;
pub(crate) mod claim;
mod claiming;
mod clean;
mod complete;
mod complete_paths;
mod completions;
mod compose;
mod demo;
mod destroy;
mod differences;
mod doctor;
mod done;
mod down;
mod draw;
mod env;
mod exec;
mod failure;
mod history;
mod hook;
mod hook_claim;
mod hook_removal;
mod hook_run;
mod hook_slot;
mod hook_worktree;
mod init;
mod live;
mod logs;
mod man;
mod open;
mod output;
mod plan;
mod pool_here;
mod ports;
mod project_verbs;
mod reap;
mod registry;
mod registry_pull;
mod registry_push;
pub(crate) mod release;
mod remnant;
mod removing;
mod renew;
mod reset;
mod run;
mod run_claim;
mod run_end;
mod run_held;
mod run_release;
mod run_slot;
mod run_wait;
mod session;
mod session_claim;
mod shell;
mod show;
mod sign;
mod skill;
mod slot_of;
mod slots;
mod start;
mod starting;
mod status;
mod take;
mod target;
mod terse;
mod there;
mod typed;
mod up;
mod up_all;
mod validate;
mod watch;
mod within;
mod worktree_of_branch;
mod worktrees;

pub use complete::answer;
pub use failure::tell;
pub use project_verbs::in_project;

/// Shows what clap says of the arguments, which are no verb to run. A shell that evaluates what `env` prints
/// hears of it, too.
pub fn explain(error: &clap::Error, arguments: impl IntoIterator<Item = OsString>) -> Exit {
    // Where that cannot be done, a text that does not fit ends the process.
    let _ = host::signals::survive_file_size_limit();
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if let Some(event) = unknown_event(error, &arguments) {
        return hook::unknown(&event);
    }
    if error.use_stderr() {
        evaluated(arguments).into_iter().for_each(env::stop);
    }
    failure::explain(error)
}

/// Runs a verb. A shell that evaluates what `env` prints hears of each failure.
///
/// # Errors
/// What stopped it.
pub fn run(verb: Verb) -> Result<Exit> {
    let evaluated = if let Verb::Env(args) = &verb { Some(args.format) } else { None };
    let is_courtesy = hook::is_courtesy(&verb);
    terse::limit(&verb);
    let ran = Invocation::gather().and_then(|invocation| run_in(verb, &invocation));
    say_not_recorded();
    let ran = if is_courtesy { ran.or_else(|error| Ok(hook::excused(&error))) } else { ran };
    if ran.is_err() {
        evaluated.into_iter().for_each(env::stop);
    }
    ran
}

/// Says that a change is not in the history. What becomes another program calls it before.
fn say_not_recorded() {
    if let Some(why) = host::root::not_recorded() {
        output::say(&report::history::not_recorded(&why));
    }
}

fn run_in(verb: Verb, invocation: &Invocation) -> Result<Exit> {
    host::signals::survive_file_size_limit()?;
    host::clock::check()?;
    let umask = host::fs::set_umask();
    match verb {
        Verb::Plan(args) => plan::run(&args, invocation),
        Verb::Apply(args) | Verb::Sandbox(SandboxVerb::Provision(args)) => apply::run(&args, invocation),
        Verb::Show(args) => show::run(&args, invocation),
        Verb::Destroy(args) => destroy::run(&args, invocation),
        Verb::Claim(args) => claim::run(&args, invocation),
        Verb::Release(args) => release::run(&args, invocation),
        Verb::Status(args) => status::run(&args, invocation),
        Verb::Env(args) => env::run(&args, invocation),
        Verb::Exec(args) => exec::run(&args, umask, invocation),
        Verb::Start(args) => start::run(args, umask, invocation),
        Verb::Done(args) => done::run(&args, umask, invocation),
        Verb::Worktrees(args) => worktrees::run(&args, invocation),
        Verb::Run(args) => run::run(&args, umask, invocation),
        Verb::Up(args) => up::run(&args, umask, invocation),
        Verb::Logs(args) => logs::run(&args, umask, invocation),
        Verb::Open(args) => open::run(&args, umask, invocation),
        Verb::Shell(args) => shell::run(&args, umask, invocation),
        Verb::Down(args) => down::run(&args, invocation),
        Verb::Reset(args) => reset::run(&args, umask, invocation),
        Verb::Compose(args) => compose::run(&args, umask, invocation),
        Verb::Renew(args) => renew::run(&args, invocation),
        Verb::Reap(args) => reap::run(&args, invocation),
        Verb::Clean(args) => clean::run(&args, invocation),
        Verb::Demo(args) => demo::run(&args, umask, invocation),
        Verb::Init(args) => init::run(&args, invocation),
        Verb::Hook(args) => hook::run(&args, umask, invocation),
        Verb::Skill(args) => skill::run(&args, invocation),
        Verb::Registry(args) => registry::run(&args, invocation),
        Verb::Doctor(args) => doctor::run(&args, invocation),
        Verb::Slots(args) | Verb::Sandbox(SandboxVerb::Slots(args)) => slots::run(&args, invocation),
        Verb::History(args) => history::run(&args, invocation),
        Verb::Validate(args) => validate::run(&args, invocation),
        Verb::Ports(args) => ports::run(&args, invocation),
        Verb::Completions(args) => completions::run(&args, invocation),
        Verb::Man(args) => man::run(&args),
        Verb::Agents => {
            output::show_as_laid_out(crate::hooks::skill::TEXT)?;
            Ok(Exit::Done)
        }
        Verb::ExitCodes => {
            output::show(&format!("{}\n", crate::cli::EXIT_CODES))?;
            Ok(Exit::Done)
        }
    }
}
