//! `kinfra env`

use anyhow::Result;

use super::output::{print, say};
use super::there::{none, there};
use crate::claims::environment::{Change, dotenv};
use crate::claims::held::{self, Held};
use crate::claims::whereabouts::worktree_of;
use crate::cli::{EnvArgs, EnvFormat};
use crate::dotenv::Variables;
use crate::fault::{Exit, Fault};
use crate::host::invocation::{Invocation, agent, environment};
use crate::host::lock::LockPolicy;
use crate::raw_text::to_bytes;
use crate::report;
use crate::stack::compose_files::variables::of_slot_unwritten;
use crate::which::by_worktree::Search;

pub(super) fn run(args: &EnvArgs, invocation: &Invocation) -> Result<Exit> {
    let (variables, held) = find(args, invocation)?;
    let to_slot = |variables| {
        let change = Change::to_slot(variables, &environment());
        say(&report::env::dropped(&change));
        change
    };
    print(&match args.format {
        EnvFormat::Shell => to_bytes(&report::env::shell(&to_slot(variables))),
        EnvFormat::Fish => to_bytes(&report::env::fish(&to_slot(variables))),
        EnvFormat::Dotenv => dotenv(&variables).map_err(Fault::refused)?.into_bytes(),
        EnvFormat::Json => report::env::json(held.slot, &variables).into_bytes(),
    })?;
    Ok(Exit::Done)
}

/// Prints what a shell needs where `env` fails: it must not go on with the slot of another worktree.
pub(super) fn stop(format: EnvFormat) {
    let change = Change::to_none(&environment());
    let text = match format {
        EnvFormat::Shell => report::env::shell(&change),
        EnvFormat::Fish => report::env::fish(&change),
        EnvFormat::Dotenv | EnvFormat::Json => return,
    };
    // What stopped it says more than that this could not be printed.
    let _ = print(&to_bytes(&report::env::without_slot(&text)));
}

fn find(args: &EnvArgs, invocation: &Invocation) -> Result<(Variables, Held)> {
    let invocation = &there(&args.of, invocation)?;
    let (choice, tree) = (&args.pool.choice(), worktree_of(&invocation.here)?);
    let found = held::find(&tree, &Search { choice, invocation })?;
    let held = found.needed(|| none(&args.of, &tree))?.trusted()?;
    let (patience, command) = (std::time::Duration::from_secs(10), "kinfra env");
    // It takes the lock only to give an old registry an id.
    let policy = LockPolicy { patience, flag: None, command, network: false, interrupt: None };
    let (variables, unwritten) = of_slot_unwritten(&held, &policy, invocation)?;
    say(&(report::claim::rivals(held.pool()) + &report::env::unwritten(unwritten.as_ref(), agent())));
    Ok((variables, held))
}
