//! `kinfra env`

use anyhow::Result;

use super::{held, print};
use crate::cli::{EnvArgs, EnvFormat};
use crate::environment::Change;
use crate::fault::{Exit, Fault};
use crate::invocation::{self, Invocation};
use crate::report;

pub(super) fn run(args: &EnvArgs, invocation: &Invocation) -> Result<Exit> {
    let caller = invocation::environment();
    let change = |change: &Change| match args.format {
        EnvFormat::Shell => report::env::shell(change),
        EnvFormat::Fish => report::env::fish(change),
        EnvFormat::Dotenv | EnvFormat::Json => String::new(),
    };
    let Some(held) = held::find(&args.pool, invocation)? else {
        // Whoever evaluates it is not to go on with another worktree's slot.
        print(&change(&Change::to_none(&caller)))?;
        return Err(held::none(invocation).into());
    };
    let variables = held.variables()?;
    print(&match args.format {
        EnvFormat::Shell | EnvFormat::Fish => change(&Change::to_slot(variables, &held.prefix, &caller)),
        EnvFormat::Dotenv => report::env::dotenv(&variables).map_err(Fault::refused)?,
        EnvFormat::Json => report::env::json(held.slot, &variables),
    })?;
    Ok(Exit::Done)
}
