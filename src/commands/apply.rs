//! `kinfra apply`

use anyhow::Result;

use super::carry_out::{Session, exit_of};
use super::print;
use super::target::Target;
use crate::apply::Outcome;
use crate::cli::ApplyArgs;
use crate::fault::Exit;
use crate::host::invocation::Invocation;
use crate::plan::Plan;
use crate::provision::Request;
use crate::report::{self, Aim, Paths, View};
use crate::saved::Saved;
use crate::which::{neighbours, spec_file};

pub(crate) fn run(args: &ApplyArgs, invocation: &Invocation) -> Result<Exit> {
    let made = make(args, invocation);
    if let (true, Err(error)) = (args.json, &made) {
        print(&report::json::refused(error))?;
    }
    let (plan, outcome) = made?;
    let differs = match &outcome {
        None => !plan.is_empty(),
        Some(outcome) => plan.is_blocked() || outcome.kept().next().is_some(),
    };
    let exit = outcome.map_or(Ok(Exit::Done), exit_of)?;
    Ok(if exit == Exit::Done && args.detailed_exitcode && differs { Exit::Differences } else { exit })
}

fn make(args: &ApplyArgs, invocation: &Invocation) -> Result<(Plan, Option<Outcome>)> {
    let Target { saved, declared, named } = Target::of(args.saved.as_deref(), &args.pool, invocation)?;
    let pool = declared.pool(&named, invocation)?;
    let listing = neighbours::check(&declared, &pool.root, &named, invocation)?;
    let planning = args.planning.options();
    let session = Session {
        origin: &declared.origin,
        spec: declared.path.as_deref(),
        view: View {
            paths: Paths { home: invocation.home.as_deref() },
            verbose: args.verbose,
            aim: Aim::of(saved.as_ref().map_or(&planning, |saved| &saved.options)),
        },
        json: args.json,
        dry_run: args.dry_run,
        approved: args.auto_approve || saved.is_some(),
        lock: spec_file::lock_policy(&args.lock, "kinfra apply"),
    };
    let options = saved.as_ref().map_or(planning, Saved::options_to_apply);
    session.run(Request { pool: &pool, options, saved: saved.as_ref(), listing: Some(&listing) })
}
