//! `kinfra plan`

use anyhow::Result;

use super::{index, pool, print, say};
use crate::cli::PlanArgs;
use crate::diff::diff;
use crate::fault::Exit;
use crate::host::root::Root;
use crate::invocation::Invocation;
use crate::observe::observe;
use crate::plan::plan;
use crate::report::{self, Paths};

pub(super) fn run(args: &PlanArgs, invocation: &Invocation) -> Result<Exit> {
    let declared = pool::declared(&args.pool, invocation)?;
    let pool = declared.pool(&args.pool, invocation)?;
    index::check(&declared, &pool.root, &args.pool, invocation)?;
    let observed = observe(Root::open(&pool.root)?.as_ref(), &pool)?;
    let plan = plan(&pool, &observed, &diff(&pool, &observed));
    say(&format!("Using {}\n", declared.origin))?;
    print(&report::plan::render(&plan, &pool, Paths { home: invocation.home.as_deref() }))?;
    Ok(if args.detailed_exitcode && !plan.is_empty() { Exit::Differences } else { Exit::Done })
}
