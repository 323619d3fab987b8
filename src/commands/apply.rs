//! `kinfra apply`

use anyhow::Result;

use super::output::{print, say};
use super::plan::{diffs, look, select};
use super::{approve, saved};
use crate::apply::{Outcome, apply};
use crate::cli::{ApplyArgs, LockArgs};
use crate::desired::{Outline, Pool};
use crate::fault::{Exit, Fault};
use crate::host::invocation::Invocation;
use crate::host::lock::LockPolicy;
use crate::host::root::Root;
use crate::host::signals::Interrupt;
use crate::observe::{Containers, containers};
use crate::plan::{Options, Plan};
use crate::registry::Registry;
use crate::report::{self, Aim, Paths, View};
use crate::saved::Saved;
use crate::which::neighbours::Neighbours;
use crate::which::spec_file as pool;
use crate::which::spec_file::Declared;

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

/// The plan, and what became of it.
fn make(args: &ApplyArgs, invocation: &Invocation) -> Result<(Plan, Option<Outcome>)> {
    let saved = args.saved.as_deref().map(|path| saved::read(path, invocation)).transpose()?;
    let (declared, given) = match &saved {
        None => (pool::declared(&args.pool.choice(), invocation)?, args.pool.choice()),
        Some(saved) => {
            let given = saved::pool_args(saved, &args.pool.choice(), invocation)?;
            (pool::read_again(given.spec(), invocation)?, given)
        }
    };
    let pool = declared.pool(&given, invocation)?;
    let listing = Neighbours::look(&declared, &pool.root, &given, invocation);
    for notice in &listing.notices {
        say(&format!("warning: {notice}\n"))?;
    }
    listing.check(&declared.origin)?;
    let planning = args.planning.options();
    let view = View {
        paths: Paths { home: invocation.home.as_deref() },
        verbose: args.verbose,
        aim: Aim::of(saved.as_ref().map_or(&planning, |saved| &saved.options)),
    };
    let request = Request {
        declared: &declared,
        pool: &pool,
        options: saved.as_ref().map_or(planning, Saved::options_to_apply),
        order: saved.as_ref().map_or_else(|| Order::of(args.dry_run, args.auto_approve), Order::Saved),
        json: args.json,
        view,
        lock: &args.lock,
        listing: Some(&listing),
        command: "kinfra apply",
    };
    request.carry_out()
}

/// How a run ends that did this.
///
/// # Errors
/// What kept everything from being committed.
pub(crate) fn exit_of(outcome: Outcome) -> Result<Exit> {
    let Outcome { done: _, failed, left_out, backups: _, error } = outcome;
    match error {
        Some(error) => Err(error),
        None if !failed.is_empty() => Ok(Exit::Failed),
        None if !left_out.is_empty() => Ok(Exit::Interrupted),
        None => Ok(Exit::Done),
    }
}

/// What is to become of a plan.
#[derive(Clone, Copy)]
pub(crate) enum Order<'a> {
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
    pub(crate) fn of(dry_run: bool, auto_approve: bool) -> Self {
        match (dry_run, auto_approve) {
            (true, _) => Self::Show,
            (false, false) => Self::Ask,
            (false, true) => Self::Approved,
        }
    }
}

/// A pool to be made as it should be.
pub(crate) struct Request<'a> {
    pub(crate) declared: &'a Declared,
    pub(crate) pool: &'a Pool,
    pub(crate) options: Options,
    pub(crate) order: Order<'a>,
    /// Whether programs read it.
    pub(crate) json: bool,
    pub(crate) view: View<'a>,
    pub(crate) lock: &'a LockArgs,
    /// What the index of pools is to say of it.
    pub(crate) listing: Option<&'a Neighbours>,
    /// What others are told of the holder of the lock.
    pub(crate) command: &'a str,
}

impl Request<'_> {
    /// Shows the plan, asks where something that is there changes, runs it and says what was done. The plan that was
    /// shown, and no outcome when it was only to be shown.
    ///
    /// # Errors
    /// What was in the way before anything was begun.
    pub(crate) fn carry_out(&self) -> Result<(Plan, Option<Outcome>)> {
        let root = Root::open(&self.pool.root)?;
        let desired = &self.pool.outline();
        let (mut plan, mut observed) = look(root.as_ref(), self.pool, &self.options, Containers::NotAsked)?;
        if !matches!(self.order, Order::Saved(_)) {
            select(&self.options, &plan, self.pool, &observed)?;
        }
        // Docker is asked before the lock is taken, which is never held while another program runs.
        let mut asked = Containers::NotAsked;
        if plan.changes_what_is_there() && !matches!(self.order, Order::Show) {
            asked = containers(self.pool, &observed.registry);
            (plan, observed) = look(root.as_ref(), self.pool, &self.options, asked.clone())?;
        }
        // A saved plan also says what it leaves as it is.
        let shown = if let Order::Saved(saved) = self.order {
            saved::check(saved, &plan, desired, &observed, self.view)?;
            &saved.plan
        } else {
            &plan
        };
        say(&format!("Using {}\n", self.declared.origin))?;
        if self.json {
            print(&report::json::planned(shown, desired, self.declared.path.as_deref()))?;
        } else {
            let diffs = diffs(false, root.as_ref(), shown, self.pool)?;
            print(&report::plan::render(shown, desired, self.view, &diffs))?;
        }
        match self.order {
            Order::Show => {
                if self.json {
                    print(&report::json::applied(&Outcome::default()))?;
                }
                return Ok((plan, None));
            }
            Order::Ask if plan.needs_approval() => {
                approve::ask("Do you want to perform these actions?", false)?;
            }
            Order::Ask | Order::Approved | Order::Saved(_) => {}
        }
        let is_untidy = root.as_ref().map_or(Ok(false), Root::is_untidy)?;
        let is_stale = self.listing.is_some_and(Neighbours::is_stale);
        let (outcome, registry) = if plan.has_work() || is_untidy || is_stale {
            self.run_under_lock(&plan, desired, asked).unwrap_or_else(|error| {
                (Outcome { error: Some(error), ..Outcome::default() }, Registry::default())
            })
        } else {
            (Outcome::default(), observed.registry)
        };
        say(&format!("\n{}", report::outcome::render(&outcome, shown, desired, &registry, self.view)))?;
        if self.json {
            print(&report::json::applied(&outcome))?;
        }
        Ok((shown.clone(), Some(outcome)))
    }

    /// Plans again, now that nobody else can write, and runs that plan if it does nothing that was not shown. What was done,
    /// and the registry that it began with.
    fn run_under_lock(
        &self,
        shown: &Plan,
        desired: &Outline,
        containers: Containers,
    ) -> Result<(Outcome, Registry)> {
        let interrupt = Interrupt::listen()?;
        let policy = LockPolicy { interrupt: Some(&interrupt), ..self.lock.policy(self.command) };
        let locked = Root::make(&self.pool.root)?.lock(&policy)?;
        let (plan, observed) = look(Some(locked.root()), self.pool, &self.options, containers)?;
        if let Order::Saved(saved) = self.order {
            saved::check(saved, &plan, desired, &observed, self.view)?;
        } else if !plan.is_within(shown) {
            let changed = report::plan::changed(shown, &plan, desired, self.view);
            let root = &self.pool.root;
            let message = format!(
                "the pool in `{root}` changed since the plan was made: nothing was done, run again{changed}"
            );
            return Err(Fault::refused(message).into());
        }
        if let Some(listing) = self.listing {
            listing.save()?;
        }
        let outcome = apply(&plan, self.pool, &observed, &locked, &interrupt);
        Ok((outcome, observed.registry))
    }
}
