//! `kinfra apply`

use anyhow::Result;

use super::output::{print, warn};
use super::session::Session;
use super::target::Target;
use crate::apply::Outcome;
use crate::cli::ApplyArgs;
use crate::fault::Exit;
use crate::host::invocation::Invocation;
use crate::plan::Plan;
use crate::provision::Request;
use crate::report::{self, Aim, Paths, View};
use crate::saved::Saved;
use crate::which::neighbours::Neighbours;

pub(crate) fn run(args: &ApplyArgs, invocation: &Invocation) -> Result<Exit> {
    let made = make(args, invocation);
    if let (true, Err(error)) = (args.json, &made) {
        print(&report::plan_json::refused(error))?;
    }
    let (plan, outcome) = made?;
    let differs = match &outcome {
        None => !plan.is_empty(),
        Some(outcome) => plan.is_blocked() || outcome.kept().next().is_some(),
    };
    let exit = outcome.map_or(Ok(Exit::Done), Outcome::into_exit)?;
    Ok(if exit == Exit::Done && args.detailed_exitcode && differs { Exit::Differences } else { exit })
}

fn make(args: &ApplyArgs, invocation: &Invocation) -> Result<(Plan, Option<Outcome>)> {
    let Target { saved, declared, choice } =
        Target::of(args.saved.as_deref(), args.pool.choice(), invocation)?;
    let pool = declared.pool(&choice, invocation)?;
    let neighbours = Neighbours::look(&declared, &pool.root, &choice, invocation);
    warn(&neighbours.notices)?;
    neighbours.check(&declared.origin)?;
    let planning = args.planning.options();
    let session = Session {
        used: &declared.used(),
        spec: declared.path.as_deref(),
        view: View {
            paths: Paths { home: invocation.home.as_deref() },
            verbose: args.verbose,
            aim: Aim::of(saved.as_ref().map_or(&planning, |saved| &saved.options)),
        },
        json: args.json,
        dry_run: args.dry_run,
        approved: args.auto_approve || saved.is_some(),
        lock: args.lock.policy("kinfra apply"),
    };
    let options = saved.as_ref().map_or(planning, Saved::options_to_apply);
    session.run(Request { pool: &pool, options, saved: saved.as_ref(), neighbours: Some(&neighbours) })
}
