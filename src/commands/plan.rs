//! `kinfra plan`

use anyhow::Result;

use super::carry_out::diffs;
use super::{print, say};
use crate::cli::PlanArgs;
use crate::fault::Exit;
use crate::host::invocation::Invocation;
use crate::provision::Request;
use crate::report::{self, Aim, Paths, View};
use crate::saved::{self, Named};
use crate::which::{neighbours, spec_file};

pub(crate) fn run(args: &PlanArgs, invocation: &Invocation) -> Result<Exit> {
    let declared = spec_file::declared(&args.pool, invocation)?;
    let pool = declared.pool(&args.pool, invocation)?;
    neighbours::check(&declared, &pool.root, &args.pool, invocation)?;
    let options = args.planning.options();
    let aim = Aim::of(&options);
    let prepared = Request { pool: &pool, options, saved: None, listing: None }.look()?;
    say(&format!("Using {}\n", declared.origin))?;
    if let Some(path) = &args.out {
        let root_is_named = spec_file::named_root(&args.pool).is_some();
        let plan = prepared.to_saved(Named { spec: declared.path.clone(), root_is_named });
        saved::write(path, &spec_file::given(path, invocation)?, &plan)?;
    }
    let (plan, desired) = (prepared.shown(), prepared.desired());
    if args.json {
        print(&report::json::plan(plan, desired, declared.path.as_deref()))?;
    } else {
        let paths = Paths { home: invocation.home.as_deref() };
        let view = View { paths, verbose: args.verbose || args.diff, aim };
        print(&report::plan::render(plan, desired, view, &diffs(&prepared, args.diff)?))?;
    }
    if let Some(path) = &args.out {
        say(&report::plan::saved(path))?;
    }
    Ok(if args.detailed_exitcode && !plan.is_empty() { Exit::Differences } else { Exit::Done })
}
