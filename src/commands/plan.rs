//! `kinfra plan`

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _};

use anyhow::Result;

use super::output::{print, say};
use super::saved;
use crate::cli::PlanArgs;
use crate::desired::Pool;
use crate::diff::diff;
use crate::fault::{Exit, Fault};
use crate::host::invocation::Invocation;
use crate::host::root::Root;
use crate::observe::{Containers, Observed, observe, text};
use crate::plan::{Options, Plan, plan};
use crate::report::{self, Aim, Paths, View};
use crate::saved::Saved;
use crate::slot::SlotId;
use crate::which::neighbours::Neighbours;
use crate::which::spec_file as pool;

pub(crate) fn run(args: &PlanArgs, invocation: &Invocation) -> Result<Exit> {
    let declared = pool::declared(&args.pool.choice(), invocation)?;
    let pool = declared.pool(&args.pool.choice(), invocation)?;
    let neighbours = Neighbours::look(&declared, &pool.root, &args.pool.choice(), invocation);
    for notice in &neighbours.notices {
        say(&format!("warning: {notice}\n"))?;
    }
    neighbours.check(&declared.origin)?;
    let root = Root::open(&pool.root)?;
    let options = args.planning.options();
    let (plan, observed) = look(root.as_ref(), &pool, &options, Containers::NotAsked)?;
    select(&options, &plan, &pool, &observed)?;
    let desired = pool.outline();
    let exit = if args.detailed_exitcode && !plan.is_empty() { Exit::Differences } else { Exit::Done };
    say(&format!("Using {}\n", declared.origin))?;
    let view = View {
        paths: Paths { home: invocation.home.as_deref() },
        verbose: args.verbose || args.diff,
        aim: Aim::of(&options),
    };
    if let Some(path) = &args.out {
        let root_is_named = args.pool.choice().root().is_some();
        let (plan, desired) = (plan.clone(), desired.clone());
        let saved = Saved::new(declared.path.clone(), root_is_named, options, plan, desired, &observed);
        saved::write(path, &saved, invocation)?;
    }
    if args.json {
        print(&report::json::plan(&plan, &desired, declared.path.as_deref()))?;
    } else {
        let diffs = diffs(args.diff, root.as_ref(), &plan, &pool)?;
        print(&report::plan::render(&plan, &desired, view, &diffs))?;
    }
    if let Some(path) = &args.out {
        say(&format!(
            "\nSaved the plan. Just that is run by: kinfra apply {}\n",
            report::word(path.as_str())
        ))?;
    }
    Ok(exit)
}

/// Looks at a pool and plans.
pub(crate) fn look(
    root: Option<&Root>,
    pool: &Pool,
    options: &Options,
    containers: Containers,
) -> Result<(Plan, Observed)> {
    let observed = Observed { containers, ..observe(root, pool)? };
    Ok((plan(pool, &observed, &diff(pool, &observed), options), observed))
}

/// The differences of the files that would change, by slot: asked for, or on a terminal.
pub(crate) fn diffs(
    asked: bool,
    root: Option<&Root>,
    plan: &Plan,
    pool: &Pool,
) -> Result<BTreeMap<SlotId, String>> {
    let mut diffs: BTreeMap<SlotId, String> = BTreeMap::new();
    let Some(root) = root.filter(|_| asked || io::stdout().is_terminal()) else { return Ok(diffs) };
    for (slot, path) in plan
        .slots
        .iter()
        .flat_map(|(slot, plan)| plan.changed_files().into_iter().map(move |path| (*slot, path)))
    {
        let new = pool.slots.get(&slot).and_then(|slot| slot.files.get(path));
        if let Some((old, new)) = text(root, slot, path)?.zip(new) {
            let diff = report::diff::unified(path.as_path().as_str(), &old, new, &pool.secrets);
            diffs.entry(slot).or_default().push_str(&diff);
        }
    }
    Ok(diffs)
}

/// Refuses the name of a slot that there is not: a typing mistake would otherwise look like a pool that is right.
///
/// # Errors
/// [`Fault`] that names it.
pub(crate) fn select(options: &Options, plan: &Plan, pool: &Pool, observed: &Observed) -> Result<()> {
    let named = options.only.iter().flatten().chain(&options.exclude);
    let is_known = |slot| pool.slots.contains_key(slot) || observed.registry.slots.contains_key(slot);
    if let Some(slot) = named.into_iter().find(|slot| !is_known(*slot)) {
        let message = format!("there is no slot {slot}, neither in slots.toml nor in the registry");
        return Err(Fault::usage(message).into());
    }
    if plan.slots.is_empty() && options.is_selective() {
        return Err(Fault::usage("--only and --exclude leave no slot").into());
    }
    Ok(())
}
