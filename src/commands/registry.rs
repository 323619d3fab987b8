//! `kinfra registry`

use anyhow::Result;

use super::failure::after;
use super::output::{print, say, show};
use super::registry_pull::pull;
use super::registry_push::push;
use crate::cli::{RegistryVerb, ServerArgs, ServerStatusArgs};
use crate::fault::{Exit, Fault};
use crate::host::invocation::Invocation;
use crate::host::postgres::Connection;
use crate::ledger::schema::{Schema, migrate};
use crate::report::registry;
use crate::which::by_worktree::Search;

pub(super) fn run(args: &crate::cli::RegistryArgs, invocation: &Invocation) -> Result<Exit> {
    match &args.verb {
        RegistryVerb::Status(args) => status(args, invocation),
        RegistryVerb::Init(args) => change(args, true, invocation),
        RegistryVerb::Migrate(args) => change(args, false, invocation),
        RegistryVerb::Push(args) => push(args, invocation),
        RegistryVerb::Pull(args) => pull(args, invocation),
    }
}

fn status(args: &ServerStatusArgs, invocation: &Invocation) -> Result<Exit> {
    let ServerStatusArgs { server: ServerArgs { url, pool }, json } = args;
    let login = Search { choice: &pool.choice(), invocation }.login(url.as_deref())?;
    let schema = Schema::of(&Connection::open(&login, "registry status")?)?;
    if *json {
        print(&registry::status_json(&login.url, &schema))?;
    } else {
        show(&registry::status(&login.url, &schema))?;
    }
    Ok(Exit::Done)
}

/// Makes the tables, or brings those that are there up to date.
fn change(args: &ServerArgs, may_make: bool, invocation: &Invocation) -> Result<Exit> {
    let login = Search { choice: &args.pool.choice(), invocation }.login(args.url.as_deref())?;
    let connection = Connection::open(&login, if may_make { "registry init" } else { "registry migrate" })?;
    if !may_make && Schema::of(&connection)?.version == 0 {
        let what = format!("`{}` has no tables of kinfra", login.url);
        return Err(Fault::refused(what).advise("`kinfra registry init` makes them").into());
    }
    say(&format!("Using {}\n", login.url));
    let made = migrate(&connection)?;
    after("the schema was migrated", show(&registry::migrated(&login.url, &made)))?;
    Ok(Exit::Done)
}
