//! `kinfra apply`

use anyhow::Result;

use super::index::{self, Listing};
use super::plan::{diffs, look, select};
use super::{approve, pool, print, say};
use crate::apply::{Outcome, apply};
use crate::cli::{ApplyArgs, LockArgs};
use crate::desired::Pool;
use crate::fault::{Exit, Fault};
use crate::host::root::Root;
use crate::host::signals::Interrupt;
use crate::invocation::Invocation;
use crate::observe::{Containers, containers};
use crate::plan::{Options, Plan};
use crate::report::{self, Paths};

pub(super) fn run(args: &ApplyArgs, invocation: &Invocation) -> Result<Exit> {
    let done = make(args, invocation);
    if let (true, Err(error)) = (args.json, &done) {
        let error = format!("{error:#}");
        print(&report::json::refused(&anstream::adapter::strip_str(&error).to_string()))?;
    }
    done
}

fn make(args: &ApplyArgs, invocation: &Invocation) -> Result<Exit> {
    let declared = pool::declared(&args.pool, invocation)?;
    let pool = declared.pool(&args.pool, invocation)?;
    let listing = index::check(&declared, &pool.root, &args.pool, invocation)?;
    let request = Request {
        origin: &declared.origin,
        pool: &pool,
        options: args.planning.options(),
        dry_run: args.dry_run,
        auto_approve: args.auto_approve,
        json: args.json,
        lock: &args.lock,
        listing: Some(&listing),
        command: "kinfra apply",
    };
    let Some((plan, outcome)) = request.carry_out(invocation)? else { return Ok(Exit::Done) };
    let is_blocked = plan.slots.values().any(|slot| !slot.blocked.is_empty());
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

/// A pool to be made as it should be.
pub(super) struct Request<'a> {
    /// How the output names the spec.
    pub(super) origin: &'a str,
    pub(super) pool: &'a Pool,
    pub(super) options: Options,
    pub(super) dry_run: bool,
    pub(super) auto_approve: bool,
    /// Whether programs read it.
    pub(super) json: bool,
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
        let (mut shown, observed) = look(root.as_ref(), self.pool, &self.options, Containers::NotAsked)?;
        select(&self.options, &shown, self.pool, &observed)?;
        // Docker is asked before the lock is taken, which is never held while another program runs.
        let mut asked = Containers::NotAsked;
        if shown.changes_what_is_there() && !self.dry_run {
            asked = containers(self.pool, &observed.registry);
            shown = look(root.as_ref(), self.pool, &self.options, asked.clone())?.0;
        }
        say(&format!("Using {}\n", self.origin))?;
        if self.json {
            print(&report::json::planned(&shown, self.pool, self.origin))?;
        } else {
            let diffs = diffs(false, root.as_ref(), &shown, self.pool)?;
            print(&report::plan::render(&shown, self.pool, paths, &diffs))?;
        }
        if self.dry_run {
            return Ok(None);
        }
        if shown.changes_what_is_there() {
            approve::can_ask(self.auto_approve)?;
            approve::ask("Do you want to perform these actions?", self.auto_approve)?;
        }
        let is_untidy = root.as_ref().map_or(Ok(false), Root::is_untidy)?;
        let is_stale = self.listing.is_some_and(Listing::is_stale);
        let (plan, outcome) = if shown.has_work() || is_untidy || is_stale {
            self.run_under_lock(&shown, asked)?
        } else {
            (shown, Outcome::default())
        };
        say(&format!("\n{}", report::outcome::render(&outcome, &plan, self.pool, paths)))?;
        if self.json {
            print(&report::json::applied(&outcome))?;
        }
        Ok(Some((plan, outcome)))
    }

    /// Plans again, now that nobody else can write, and runs that plan if it does nothing that was not shown.
    fn run_under_lock(&self, shown: &Plan, containers: Containers) -> Result<(Plan, Outcome)> {
        let interrupt = Interrupt::listen()?;
        let locked = Root::make(&self.pool.root)?.lock(&pool::lock_policy(self.lock, self.command))?;
        let (plan, observed) = look(Some(locked.root()), self.pool, &self.options, containers)?;
        if !plan.is_within(shown) {
            let changed = report::plan::changed(shown, &plan, self.pool);
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
