//! What `run` does in its slot: the stack, then the command.

use anyhow::Result;

use super::output::{pass_on, say};
use super::run_slot::held;
use super::starting::show;
use crate::claims::keeper::{Keeper, SHORT};
use crate::cli::RunArgs;
use crate::fault::{Exit, Fault};
use crate::host::lock::LockPolicy;
use crate::host::signals::Relay;
use crate::report;
use crate::stack::command::{self, Notice, Surroundings};
use crate::stack::down::down;
use crate::stack::up::request::Means;

/// Starts the stack and runs the command. The exit code is that of the command, or of a stack that does not
/// run.
///
/// # Errors
/// When either cannot be started, or a signal asks to stop before.
pub(super) fn within(args: &RunArgs, relay: &Relay, means: &Means<'_>) -> Result<Exit> {
    let mut slot = held(args, means)?;
    if args.fresh && slot.entry.started.is_some() {
        let keeper = Keeper::of(&slot);
        let removed = keeper.during(&means.policy, || down(slot, true, &means.policy))?;
        say(&report::clean::removed(&removed));
        slot = held(args, means)?;
    }
    if !args.no_up {
        let done = show(slot, &args.request(), means)?;
        if done.exit() != Exit::Done {
            return Ok(done.exit());
        }
        // Stdout is the command's.
        pass_on(&report::up::text(&done));
        slot = held(args, means)?;
    }
    if relay.stop().is_requested() {
        return Err(Fault::interrupted("stopped before the command was started").into());
    }
    let policy = LockPolicy { interrupt: None, patience: SHORT, ..means.policy };
    let around = Surroundings { policy, invocation: means.invocation, umask: means.umask, relay };
    let code = command::run(slot, &args.command.words, &around, &mut |notice| match notice {
        Notice::Entering(change) => say(&report::env::dropped(change)),
        Notice::NotRenewed(why) => say(&format!("warning: {why}\n")),
    })?;
    Ok(Exit::of_command(code))
}
