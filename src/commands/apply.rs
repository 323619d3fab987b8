//! `kinfra apply`

use anyhow::Result;

use super::index::{self, Listing};
use super::plan::{diffs, look, select};
use super::{approve, pool, print, saved, say};
use crate::apply::{Outcome, apply};
use crate::cli::{ApplyArgs, LockArgs};
use crate::desired::{Outline, Pool};
use crate::fault::{Exit, Fault};
use crate::host::root::Root;
use crate::host::signals::Interrupt;
use crate::invocation::Invocation;
use crate::observe::{Containers, containers};
use crate::plan::{Options, Plan};
use crate::report::{self, Paths};
use crate::saved::Saved;

pub(super) fn run(args: &ApplyArgs, invocation: &Invocation) -> Result<Exit> {
    let done = make(args, invocation);
    if let (true, Err(error)) = (args.json, &done) {
        let error = format!("{error:#}");
        print(&report::json::refused(&anstream::adapter::strip_str(&error).to_string()))?;
    }
    done
}

fn make(args: &ApplyArgs, invocation: &Invocation) -> Result<Exit> {
    let saved = args.saved.as_deref().map(|path| saved::read(path, invocation)).transpose()?;
    let (declared, given) = match &saved {
        None => (pool::declared(&args.pool, invocation)?, args.pool.clone()),
        Some(saved) => {
            let given = saved::pool_args(saved, &args.pool, invocation)?;
            (pool::read_again(given.spec.as_deref(), invocation)?, given)
        }
    };
    let pool = declared.pool(&given, invocation)?;
    let listing = index::check(&declared, &pool.root, &given, invocation)?;
    let request = Request {
        origin: &declared.origin,
        pool: &pool,
        options: saved.as_ref().map_or_else(|| args.planning.options(), Saved::options_to_apply),
        order: saved.as_ref().map_or_else(|| Order::of(args.dry_run, args.auto_approve), Order::Saved),
        json: args.json,
        verbose: args.verbose,
        lock: &args.lock,
        listing: Some(&listing),
        command: "kinfra apply",
    };
    let Some((plan, outcome)) = request.carry_out(invocation)? else { return Ok(Exit::Done) };
    let blocked = |plan: &Plan| plan.slots.values().any(|slot| !slot.blocked.is_empty());
    let is_blocked = blocked(saved.as_ref().map_or(&plan, |saved| &saved.plan));
    let exit = exit_of(&outcome);
    Ok(if exit == Exit::Done && args.detailed_exitcode && is_blocked { Exit::Differences } else { exit })
}

/// How a run ends that did this.
pub(super) fn exit_of(outcome: &Outcome) -> Exit {
    match () {
        () if !outcome.failed.is_empty() => Exit::Failed,
        () if !outcome.left_out.is_empty() => Exit::Interrupted,
        () => Exit::Done,
    }
}

/// What is to become of a plan.
#[derive(Clone, Copy)]
pub(super) enum Order<'a> {
    /// It is only shown.
    Show,
    /// It is run, and approved first where something that is there changes.
    Ask,
    /// It is run.
    Approved,
    /// It is run if it is this one, which was approved when it was saved.
    Saved(&'a Saved),
}

impl Order<'_> {
    /// The order that flags give.
    pub(super) fn of(dry_run: bool, auto_approve: bool) -> Self {
        match (dry_run, auto_approve) {
            (true, _) => Self::Show,
            (false, false) => Self::Ask,
            (false, true) => Self::Approved,
        }
    }
}

/// A pool to be made as it should be.
pub(super) struct Request<'a> {
    /// How the output names the spec.
    pub(super) origin: &'a str,
    pub(super) pool: &'a Pool,
    pub(super) options: Options,
    pub(super) order: Order<'a>,
    /// Whether programs read it.
    pub(super) json: bool,
    /// Whether each slot of a large pool is shown.
    pub(super) verbose: bool,
    pub(super) lock: &'a LockArgs,
    /// What the index of pools is to say of it.
    pub(super) listing: Option<&'a Listing>,
    /// What others are told of the holder of the lock.
    pub(super) command: &'a str,
}

impl Request<'_> {
    /// Shows the plan, asks where something that is there changes, runs it and says what was done. `None` when it was only
    /// to be shown.
    pub(super) fn carry_out(&self, invocation: &Invocation) -> Result<Option<(Plan, Outcome)>> {
        let root = Root::open(&self.pool.root)?;
        let paths = Paths { home: invocation.home.as_deref() };
        let desired = &self.pool.outline();
        let (mut shown, mut observed) = look(root.as_ref(), self.pool, &self.options, Containers::NotAsked)?;
        if !matches!(self.order, Order::Saved(_)) {
            select(&self.options, &shown, self.pool, &observed)?;
        }
        // Docker is asked before the lock is taken, which is never held while another program runs.
        let mut asked = Containers::NotAsked;
        if shown.changes_what_is_there() && !matches!(self.order, Order::Show) {
            asked = containers(self.pool, &observed.registry);
            (shown, observed) = look(root.as_ref(), self.pool, &self.options, asked.clone())?;
        }
        if let Order::Saved(saved) = self.order {
            saved::check(saved, &shown, desired, &observed)?;
        }
        say(&format!("Using {}\n", self.origin))?;
        if self.json {
            print(&report::json::planned(&shown, desired, self.origin))?;
        } else {
            let diffs = diffs(false, root.as_ref(), &shown, self.pool)?;
            print(&report::plan::render(&shown, desired, paths, &diffs, self.verbose))?;
        }
        match self.order {
            Order::Show => return Ok(None),
            Order::Ask if shown.changes_what_is_there() => {
                approve::ask("Do you want to perform these actions?", false)?;
            }
            Order::Ask | Order::Approved | Order::Saved(_) => {}
        }
        let is_untidy = root.as_ref().map_or(Ok(false), Root::is_untidy)?;
        let is_stale = self.listing.is_some_and(Listing::is_stale);
        let (plan, outcome) = if shown.has_work() || is_untidy || is_stale {
            self.run_under_lock(&shown, desired, asked)?
        } else {
            (shown, Outcome::default())
        };
        say(&format!("\n{}", report::outcome::render(&outcome, &plan, desired, paths, self.verbose)))?;
        if self.json {
            print(&report::json::applied(&outcome))?;
        }
        Ok(Some((plan, outcome)))
    }

    /// Plans again, now that nobody else can write, and runs that plan if it does nothing that was not shown.
    fn run_under_lock(
        &self,
        shown: &Plan,
        desired: &Outline,
        containers: Containers,
    ) -> Result<(Plan, Outcome)> {
        let interrupt = Interrupt::listen()?;
        let locked = Root::make(&self.pool.root)?.lock(&pool::lock_policy(self.lock, self.command))?;
        let (plan, observed) = look(Some(locked.root()), self.pool, &self.options, containers)?;
        if let Order::Saved(saved) = self.order {
            saved::check(saved, &plan, desired, &observed)?;
        } else if !plan.is_within(shown) {
            let changed = report::plan::changed(shown, &plan, desired);
            let root = &self.pool.root;
            let message = format!(
                "the pool in `{root}` changed since the plan was made: nothing was done, run again{changed}"
            );
            return Err(Fault::refused(message).into());
        }
        if let Some(listing) = self.listing {
            listing.save()?;
        }
        let outcome = apply(&plan, self.pool, &observed, &locked, &interrupt)?;
        Ok((plan, outcome))
    }
}
