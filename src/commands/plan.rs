//! `kinfra plan`

use anyhow::Result;

use super::{index, pool, print, say};
use crate::cli::PlanArgs;
use crate::desired::Pool;
use crate::diff::diff;
use crate::fault::{Exit, Fault};
use crate::host::root::Root;
use crate::invocation::Invocation;
use crate::observe::{Containers, Observed, observe};
use crate::plan::{Options, Plan, plan};
use crate::report::{self, Paths};

pub(super) fn run(args: &PlanArgs, invocation: &Invocation) -> Result<Exit> {
    let declared = pool::declared(&args.pool, invocation)?;
    let pool = declared.pool(&args.pool, invocation)?;
    index::check(&declared, &pool.root, &args.pool, invocation)?;
    let root = Root::open(&pool.root)?;
    let options = args.planning.options();
    let (plan, observed) = look(root.as_ref(), &pool, &options, Containers::NotAsked)?;
    select(&options, &plan, &pool, &observed)?;
    say(&format!("Using {}\n", declared.origin))?;
    print(&report::plan::render(&plan, &pool, Paths { home: invocation.home.as_deref() }))?;
    Ok(if args.detailed_exitcode && !plan.is_empty() { Exit::Differences } else { Exit::Done })
}

/// Looks at a pool and plans.
pub(super) fn look(
    root: Option<&Root>,
    pool: &Pool,
    options: &Options,
    containers: Containers,
) -> Result<(Plan, Observed)> {
    let observed = Observed { containers, ..observe(root, pool)? };
    Ok((plan(pool, &observed, &diff(pool, &observed), options), observed))
}

/// Refuses the name of a slot that there is not: a typing mistake would otherwise look like a pool that is right.
///
/// # Errors
/// [`Fault`] that names it.
pub(super) fn select(options: &Options, plan: &Plan, pool: &Pool, observed: &Observed) -> Result<()> {
    let named = options.only.iter().flatten().chain(&options.exclude);
    let is_known = |slot| pool.slots.contains_key(slot) || observed.registry.slots.contains_key(slot);
    if let Some(slot) = named.into_iter().find(|slot| !is_known(*slot)) {
        let message = format!("there is no slot {slot}, neither in slots.toml nor in the registry");
        return Err(Fault::usage(message).into());
    }
    if plan.slots.is_empty() && !observed.registry.slots.is_empty() {
        return Err(Fault::usage("--only and --exclude leave no slot").into());
    }
    Ok(())
}
