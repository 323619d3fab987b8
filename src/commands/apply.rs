//! `kinfra apply`

use anyhow::Result;

use super::index::{self, Listing};
use super::{pool, print, say};
use crate::apply::{Outcome, apply};
use crate::cli::ApplyArgs;
use crate::desired::Pool;
use crate::diff::diff;
use crate::fault::{Exit, Fault};
use crate::host::root::Root;
use crate::invocation::Invocation;
use crate::observe::{Observed, observe};
use crate::plan::{Plan, plan};
use crate::report::{self, Paths};

pub(super) fn run(args: &ApplyArgs, invocation: &Invocation) -> Result<Exit> {
    let declared = pool::declared(&args.pool, invocation)?;
    let pool = declared.pool(&args.pool, invocation)?;
    let listing = index::check(&declared, &pool.root, &args.pool, invocation)?;
    let root = Root::open(&pool.root)?;
    let (shown, _) = look(root.as_ref(), &pool)?;
    say(&format!("Using {}\n", declared.origin))?;
    print(&report::plan::render(&shown, &pool, Paths { home: invocation.home.as_deref() }))?;
    if args.dry_run {
        return Ok(Exit::Done);
    }
    let is_untidy = root.as_ref().map_or(Ok(false), Root::is_untidy)?;
    let (plan, outcome) = if shown.has_work() || is_untidy || listing.is_stale() {
        run_under_lock(&shown, &pool, &listing, args)?
    } else {
        (shown, Outcome::default())
    };
    say(&format!("\n{}", report::plan::outcome(&outcome, &plan, &pool)))?;
    Ok(if outcome.failed.is_empty() { Exit::Done } else { Exit::Failed })
}

fn look(root: Option<&Root>, pool: &Pool) -> Result<(Plan, Observed)> {
    let observed = observe(root, pool)?;
    Ok((plan(pool, &observed, &diff(pool, &observed)), observed))
}

/// Plans again, now that nobody else can write, and runs that plan if it does nothing that was not shown.
fn run_under_lock(shown: &Plan, pool: &Pool, listing: &Listing, args: &ApplyArgs) -> Result<(Plan, Outcome)> {
    let locked = Root::make(&pool.root)?.lock(&pool::lock_policy(&args.lock, "kinfra apply"))?;
    let (plan, observed) = look(Some(locked.root()), pool)?;
    if !plan.is_within(shown) {
        let message = format!(
            "the pool in `{}` changed since the plan was made: nothing was done, run again",
            pool.root
        );
        return Err(Fault::refused(message).into());
    }
    listing.save()?;
    let outcome = apply(&plan, pool, &observed, &locked)?;
    Ok((plan, outcome))
}
