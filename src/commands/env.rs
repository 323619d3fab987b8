//! `kinfra env`

use std::time::Duration;

use anyhow::{Error, Result};

use super::output::print;
use crate::claims::environment::{Change, dotenv};
use crate::claims::held::{self, Held};
use crate::claims::refusal::holds_none;
use crate::claims::whereabouts::worktree_of;
use crate::cli::{EnvArgs, EnvFormat};
use crate::dotenv::Variables;
use crate::fault::{Exit, Fault};
use crate::host::invocation::{self, Invocation};
use crate::host::lock::LockPolicy;
use crate::report;
use crate::stack::variables::of_slot;
use crate::which::by_worktree::Search;

/// How long it waits for the lock, which it takes only to give an old registry an id.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn run(args: &EnvArgs, invocation: &Invocation) -> Result<Exit> {
    let caller = invocation::environment();
    let change = |change: &Change| match args.format {
        EnvFormat::Shell => report::env::shell(change),
        EnvFormat::Fish => report::env::fish(change),
        EnvFormat::Dotenv | EnvFormat::Json => String::new(),
    };
    let (variables, held) = match find(args, invocation) {
        Ok(found) => found,
        Err(error) => {
            // A shell that evaluates this must not go on with another worktree's slot.
            print(&change(&Change::to_none(&caller)))?;
            return Err(error);
        }
    };
    print(&match args.format {
        EnvFormat::Shell | EnvFormat::Fish => change(&Change::to_slot(variables, &held.prefix, &caller)),
        EnvFormat::Dotenv => dotenv(&variables).map_err(Fault::refused)?,
        EnvFormat::Json => report::env::json(held.slot, &variables),
    })?;
    Ok(Exit::Done)
}

fn find(args: &EnvArgs, invocation: &Invocation) -> Result<(Variables, Held)> {
    let search = Search { choice: &args.pool.choice(), invocation };
    let worktree = worktree_of(&invocation.here)?;
    let held = held::find(&worktree, &search)?.ok_or_else(|| Error::from(holds_none(&worktree)))?;
    let policy = LockPolicy { patience: PATIENCE, command: "kinfra env", network: false, interrupt: None };
    Ok((of_slot(&held, &policy, invocation)?, held))
}
