//! `kinfra apply`

use anyhow::Result;

use super::index::{self, Listing};
use super::plan::{look, select};
use super::{approve, pool, print, say};
use crate::apply::{Outcome, apply};
use crate::cli::ApplyArgs;
use crate::desired::Pool;
use crate::fault::{Exit, Fault};
use crate::host::root::Root;
use crate::host::signals::Interrupt;
use crate::invocation::Invocation;
use crate::observe::{Containers, containers};
use crate::plan::Plan;
use crate::report::{self, Paths};

pub(super) fn run(args: &ApplyArgs, invocation: &Invocation) -> Result<Exit> {
    let declared = pool::declared(&args.pool, invocation)?;
    let pool = declared.pool(&args.pool, invocation)?;
    let listing = index::check(&declared, &pool.root, &args.pool, invocation)?;
    let root = Root::open(&pool.root)?;
    let paths = Paths { home: invocation.home.as_deref() };
    let options = args.planning.options();
    let (mut shown, observed) = look(root.as_ref(), &pool, &options, Containers::NotAsked)?;
    select(&options, &shown, &pool, &observed)?;
    // Docker is asked before the lock is taken, which is never held while another program runs.
    let mut asked = Containers::NotAsked;
    if shown.changes_what_is_there() && !args.dry_run {
        asked = containers(&pool, &observed.registry);
        shown = look(root.as_ref(), &pool, &options, asked.clone())?.0;
    }
    say(&format!("Using {}\n", declared.origin))?;
    print(&report::plan::render(&shown, &pool, paths))?;
    if args.dry_run {
        return Ok(Exit::Done);
    }
    if shown.changes_what_is_there() {
        approve::can_ask(args.auto_approve)?;
        approve::ask("Do you want to perform these actions?", args.auto_approve)?;
    }
    let is_untidy = root.as_ref().map_or(Ok(false), Root::is_untidy)?;
    let (plan, outcome) = if shown.has_work() || is_untidy || listing.is_stale() {
        run_under_lock(&shown, &pool, &listing, args, asked)?
    } else {
        (shown, Outcome::default())
    };
    say(&format!("\n{}", report::outcome::render(&outcome, &plan, &pool, paths)))?;
    let is_blocked = plan.slots.values().any(|slot| !slot.blocked.is_empty());
    Ok(match () {
        () if !outcome.failed.is_empty() => Exit::Failed,
        () if !outcome.left_out.is_empty() => Exit::Interrupted,
        () if args.detailed_exitcode && is_blocked => Exit::Differences,
        () => Exit::Done,
    })
}

/// Plans again, now that nobody else can write, and runs that plan if it does nothing that was not shown.
fn run_under_lock(
    shown: &Plan,
    pool: &Pool,
    listing: &Listing,
    args: &ApplyArgs,
    containers: Containers,
) -> Result<(Plan, Outcome)> {
    let (interrupt, options) = (Interrupt::listen()?, args.planning.options());
    let locked = Root::make(&pool.root)?.lock(&pool::lock_policy(&args.lock, "kinfra apply"))?;
    let (plan, observed) = look(Some(locked.root()), pool, &options, containers)?;
    if !plan.is_within(shown) {
        let changed = report::plan::changed(shown, &plan, pool);
        let message = format!(
            "the pool in `{}` changed since the plan was made: nothing was done, run again{changed}",
            pool.root
        );
        return Err(Fault::refused(message).into());
    }
    listing.save()?;
    let outcome = apply(&plan, pool, &observed, &locked, &interrupt)?;
    Ok((plan, outcome))
}
