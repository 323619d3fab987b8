//! `kinfra env`

use anyhow::Result;

use super::print;
use crate::claims::environment::Change;
use crate::claims::held;
use crate::cli::{EnvArgs, EnvFormat};
use crate::fault::{Exit, Fault};
use crate::host::invocation;
use crate::host::invocation::Invocation;
use crate::report;

pub(crate) fn run(args: &EnvArgs, invocation: &Invocation) -> Result<Exit> {
    let caller = invocation::environment();
    let change = |change: &Change| match args.format {
        EnvFormat::Shell => report::env::shell(change),
        EnvFormat::Fish => report::env::fish(change),
        EnvFormat::Dotenv | EnvFormat::Json => String::new(),
    };
    let found = held::find(&args.pool, invocation)
        .and_then(|held| Ok(held.ok_or_else(|| held::none(invocation))?))
        .and_then(|held| Ok((held.variables()?, held)));
    let (variables, held) = match found {
        Ok(found) => found,
        Err(error) => {
            // Whoever evaluates it is not to go on with another worktree's slot.
            print(&change(&Change::to_none(&caller)))?;
            return Err(error);
        }
    };
    print(&match args.format {
        EnvFormat::Shell | EnvFormat::Fish => change(&Change::to_slot(variables, &held.prefix, &caller)),
        EnvFormat::Dotenv => report::env::dotenv(&variables).map_err(Fault::refused)?,
        EnvFormat::Json => report::env::json(held.slot, &variables),
    })?;
    Ok(Exit::Done)
}
