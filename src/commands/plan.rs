//! `kinfra plan`

use anyhow::Result;

use super::differences::differences;
use super::failure::after;
use super::output::{print, say, show_as_laid_out};
use super::target::Target;
use crate::cli::PlanArgs;
use crate::fault::Exit;
use crate::host::invocation::{Invocation, is_plain};
use crate::host::terminal::columns_of_stdout;
use crate::provision::Request;
use crate::report::{self, Aim, Paths, View};
use crate::saved::{self, Named};
use crate::stack::admission::neighbours::last_look;
use crate::which::choice::absolute;
use crate::which::kept_in::to_plan;
use crate::which::neighbours::Neighbours;

pub(crate) fn run(args: &PlanArgs, invocation: &Invocation) -> Result<Exit> {
    let choice = args.pool.choice();
    let Target { declared, .. } = Target::of(None, choice.clone(), invocation)?;
    let pool = declared.pool(&choice, invocation)?;
    let neighbours = Neighbours::look(&declared, &pool.root, &choice, invocation);
    say(&report::plan::warnings([&pool.left_out, &neighbours.notices]));
    neighbours.check()?;
    let (options, noted) = (args.planning.options(), neighbours.noted.as_ref());
    let (aim, allowed) = (Aim::of(&options), options.allowed.clone());
    let prepared = Request::alone(&pool, to_plan(&pool, noted, invocation)?, options).preview()?;
    say(&format!("Using {}\n{}", declared.used(), report::plan::asked(prepared.is_of_registry())));
    if let Some(path) = &args.out {
        let named = Named { spec: declared.path.clone(), root_is_named: choice.root().is_some() };
        saved::write(path, &absolute(path, invocation)?, &prepared.to_saved(named))?;
    }
    let (plan, desired) = (prepared.shown(), prepared.desired());
    let after = |printed| match &args.out {
        Some(path) => after(format!("saved the plan in `{path}`"), printed),
        None => printed,
    };
    if args.json {
        after(print(&report::plan_json::plan(plan, desired, declared.path.as_deref())))?;
    } else {
        let paths = Paths { home: invocation.home.as_deref() };
        let (verbose, names_skipped) = (args.verbose || args.diff, args.verbose);
        let applied_from = neighbours.applied_from();
        let applied_from = applied_from.as_deref();
        let columns = columns_of_stdout();
        let view = View::new(paths, aim, &allowed);
        let view = View { columns, verbose, names_skipped, applied_from, is_worst_first: is_plain(), ..view };
        let differences = differences(&prepared, args.diff)?;
        after(show_as_laid_out(&report::plan::render(plan, desired, view, &differences)))?;
        say(report::plan::trust(prepared.takes_docker_on_trust()));
        say(&report::stack::last_look(last_look(&declared, &pool.root)?.as_ref()));
    }
    if let Some(path) = &args.out {
        say(&report::plan::saved(path));
    }
    Ok(if args.detailed_exitcode && !plan.is_empty() { Exit::Differences } else { Exit::Done })
}
