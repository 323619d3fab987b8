//! `kinfra compose`

use anyhow::Result;

use super::output::say;
use super::say_not_recorded;
use super::slot_of::renewed;
use crate::cli::ComposeArgs;
use crate::fault::Exit;
use crate::host::fs::Umask;
use crate::host::invocation::Invocation;
use crate::report;
use crate::stack::compose_files::compose_args;
use crate::stack::prepare::prepare;
use crate::stack::turn::join_turn;

/// Returns only if Compose could not be started.
pub(super) fn run(args: &ComposeArgs, umask: Umask, invocation: &Invocation) -> Result<Exit> {
    let compose = compose_args::ComposeArgs::read(args.arguments.clone())?;
    let policy = args.lock.policy("kinfra compose");
    let held = renewed(&args.slot, &policy, invocation)?;
    let (held, lock) = if compose.makes() {
        let turn = join_turn(held, &policy)?;
        (turn.held, Some(turn.lock))
    } else {
        (held, None)
    };
    let prepared = prepare(&held, &compose, &policy, invocation)?;
    say(&report::stack::prepared(&prepared));
    say_not_recorded();
    Err(prepared.become_compose(&compose, lock.as_ref(), umask).into())
}
