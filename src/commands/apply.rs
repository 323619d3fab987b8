//! `kinfra apply`

use anyhow::Result;

use super::output::{print, say};
use super::session::Session;
use super::target::Target;
use crate::cli::ApplyArgs;
use crate::fault::Exit;
use crate::host::{invocation::Invocation, terminal::columns_of_stdout};
use crate::provision::Request;
use crate::report::{self, Aim, Paths, View};
use crate::saved::Saved;
use crate::which::{kept_in, neighbours::Neighbours};

pub(crate) fn run(args: &ApplyArgs, invocation: &Invocation) -> Result<Exit> {
    let made = make(args, invocation);
    if let (true, Err(error)) = (args.json, &made) {
        // What stopped it says more than that a document about that could not be printed.
        let _ = print(&report::plan_json::refused(error));
    }
    let (exit, differs) = made.and_then(|(exit, differs)| Ok((exit?, differs)))?;
    Ok(if exit == Exit::Done && args.detailed_exitcode && differs { Exit::Differences } else { exit })
}

/// How it ends, and whether the pool still differs. What stops it before its first action is the error.
fn make(args: &ApplyArgs, invocation: &Invocation) -> Result<(Result<Exit>, bool)> {
    let Target { saved, declared, choice } =
        Target::of(args.saved.as_deref(), args.pool.choice(), invocation)?;
    let pool = declared.pool(&choice, invocation)?;
    let neighbours = Neighbours::look(&declared, &pool.root, &choice, invocation);
    say(&report::plan::warnings([&pool.left_out, &neighbours.notices]));
    neighbours.check()?;
    let (planning, noted) = (args.planning.options(), neighbours.noted.as_ref());
    let options = saved.as_ref().map_or_else(|| planning.clone(), Saved::options_to_apply);
    let (applied_from, replaced) = (neighbours.applied_from(), kept_in::replaced(&pool, noted)?);
    let aim = Aim::of(saved.as_ref().map_or(&planning, |saved| &saved.options));
    let session = Session {
        used: &declared.used(),
        spec: declared.path.as_deref(),
        view: View {
            columns: columns_of_stdout(),
            verbose: args.verbose,
            names_skipped: !args.dry_run || args.verbose,
            applied_from: applied_from.as_deref(),
            replaced: replaced.as_ref(),
            ..View::new(Paths { home: invocation.home.as_deref() }, aim, &options.allowed)
        },
        json: args.json,
        dry_run: args.dry_run,
        approved: args.auto_approve || saved.is_some(),
        lock: args.lock.policy("kinfra apply"),
    };
    let request = Request::alone(&pool, Some(kept_in::to_apply(&pool, noted, invocation)?), options.clone());
    let request = Request { saved: saved.as_ref(), neighbours: Some(&neighbours), ..request };
    let (plan, outcome) = session.run(request)?;
    let Some(outcome) = outcome else { return Ok((Ok(Exit::Done), !plan.is_empty())) };
    let differs = plan.is_blocked() || outcome.kept().next().is_some();
    Ok((session.exit(&plan, outcome), differs))
}
