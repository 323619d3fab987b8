//! `kinfra destroy`

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::apply::{Order, Request, exit_of};
use super::output::say;
use crate::cli::DestroyArgs;
use crate::desired::Pool;
use crate::fault::Exit;
use crate::host::docker;
use crate::host::docker::Answer;
use crate::host::invocation::Invocation;
use crate::host::root::Root;
use crate::plan::{Flag, Kind, Options};
use crate::report::{self, Aim, Paths, View};
use crate::which::spec_file as pool;

pub(crate) fn run(args: &DestroyArgs, invocation: &Invocation) -> Result<Exit> {
    let declared = pool::declared(&args.pool.choice(), invocation)?;
    let root = declared.root(&args.pool.choice(), invocation)?;
    if Root::open(&root)?.map_or(Ok(None), |root| root.registry())?.is_none() {
        say(&format!("There is no pool in `{root}`: nothing to destroy\n"))?;
        return Ok(Exit::Done);
    }
    // The same pool, declared without a slot: every slot is surplus.
    let pool = Pool {
        name: declared.spec.name.clone(),
        root,
        import: None,
        formulas: declared.spec.ports.clone(),
        slots: BTreeMap::new(),
        secrets: BTreeSet::new(),
    };
    let request = Request {
        declared: &declared,
        pool: &pool,
        options: Options { allowed: BTreeSet::from([Flag::Prune]), ..Options::default() },
        order: Order::of(args.dry_run, args.auto_approve),
        json: false,
        view: View {
            paths: Paths { home: invocation.home.as_deref() },
            verbose: args.verbose,
            aim: Aim::Destroy,
        },
        lock: &args.lock,
        listing: None,
        command: "kinfra destroy",
    };
    let (plan, Some(outcome)) = request.carry_out()? else { return Ok(Exit::Done) };
    let removed = outcome.done.iter().filter(|(_, action)| action.kind() == Kind::Destroy);
    let projects: BTreeSet<String> = removed.map(|(slot, _)| pool.project(*slot)).collect();
    let volumes = match if projects.is_empty() { Answer::NoCommand } else { docker::volumes(&projects) } {
        Answer::Is(names) => Ok(names),
        Answer::NoCommand | Answer::NoDaemon => Ok(Vec::new()),
        Answer::Failed(said) => Err(said),
    };
    let volumes = volumes.as_deref().map_err(String::as_str);
    say(&report::outcome::stays(&plan, &outcome, &pool.outline(), volumes))?;
    exit_of(outcome)
}
