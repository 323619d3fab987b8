//! `kinfra destroy`

use std::collections::BTreeSet;

use anyhow::Result;

use super::carry_out::Session;
use super::output::say;
use crate::cli::DestroyArgs;
use crate::fault::Exit;
use crate::host::invocation::Invocation;
use crate::plan::{Flag, Options};
use crate::provision::{self, Request};
use crate::report::{self, Aim, Paths, View};
use crate::which::spec_file;

pub(crate) fn run(args: &DestroyArgs, invocation: &Invocation) -> Result<Exit> {
    let choice = args.pool.choice();
    let declared = spec_file::declared(&choice, invocation)?;
    let root = declared.root(&choice, invocation)?;
    if !provision::exists(&root)? {
        say(&format!("There is no pool in `{root}`: nothing to destroy\n"))?;
        return Ok(Exit::Done);
    }
    let pool = provision::emptied(&declared.spec, root);
    let session = Session {
        used: &declared.used(),
        spec: declared.path.as_deref(),
        view: View {
            paths: Paths { home: invocation.home.as_deref() },
            verbose: args.verbose,
            aim: Aim::Destroy,
        },
        json: false,
        dry_run: args.dry_run,
        approved: args.auto_approve,
        lock: args.lock.policy("kinfra destroy"),
    };
    let options = Options { allowed: BTreeSet::from([Flag::Prune]), ..Options::default() };
    let made = session.run(Request { pool: &pool, options, saved: None, neighbours: None })?;
    let (plan, Some(outcome)) = made else { return Ok(Exit::Done) };
    let volumes = provision::volumes_left(&pool, &outcome);
    let volumes = volumes.as_deref().map_err(String::as_str);
    say(&report::outcome::stays(&plan, &outcome, &pool.outline(), volumes))?;
    outcome.into_exit()
}
