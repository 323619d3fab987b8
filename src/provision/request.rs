//! One run over a pool: what is asked for, the plan for it, and carrying that out.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Error, Result};
use camino::{Utf8Path, Utf8PathBuf};

use crate::apply::{Outcome, apply};
use crate::claims::whereabouts::Following;
use crate::desired::{File, Outline, Pool};
use crate::diff::{FieldChange, diff};
use crate::fault::Fault;
use crate::file::RelPath;
use crate::host;
use crate::host::lock::LockPolicy;
use crate::host::root::Root;
use crate::host::signals::Interrupt;
use crate::ledger::{Ledger, Stored};
use crate::observe::{Containers, Observed, containers, observe, text};
use crate::plan::{Blocked, Flag, Options, Plan, plan};
use crate::registry::{AppliedFrom, Registry};
use crate::saved::{Changed, Named, Saved};
use crate::slot::SlotId;
use crate::spec::Spec;
use crate::which::neighbours::Neighbours;

/// A pool to be brought to what its spec says.
pub struct Request<'a> {
    /// The pool as its spec describes it.
    pub pool: &'a Pool,
    /// Where its registry is. `None` if it is on a server that this user has not applied: that is not asked.
    pub ledger: Option<Ledger>,
    /// What the plan may do, and to which slots.
    pub options: Options,
    /// The saved plan to run. Nothing else may be run then.
    pub saved: Option<&'a Saved>,
    /// The pools beside it. This pool is noted among them before the first write.
    pub neighbours: Option<&'a Neighbours>,
}

/// A pool that was looked at, and the plan for it.
pub struct Prepared<'a> {
    pub(super) request: Request<'a>,
    root: Option<Root>,
    desired: Outline,
    pub(super) plan: Plan,
    pub(super) observed: Observed,
}

/// What carrying out a plan did.
pub struct Done {
    /// What became of each action.
    pub outcome: Outcome,
    /// The registry before it.
    pub before: Registry,
}

/// Why a plan was not carried out.
pub enum NotRun {
    /// The pool is not the one that the plan was made for.
    Stale(Box<Stale>),
    /// An error came before the first action.
    Failed(Error),
}

/// How a pool differs from the one that a plan was made for.
pub enum Stale {
    /// The pool changed after the plan was shown. This is the plan now.
    Shown(Box<Plan>),
    /// Nothing is left of the saved plan to do.
    Applied,
    /// Values that the saved plan depends on changed.
    Values(Vec<Changed>),
    /// The saved plan would do something else now, although no value changed that it depends on.
    Actions(Box<Plan>),
    /// Something blocks the saved plan now.
    Blocked(Box<Plan>),
}

/// A file whose text changes.
pub struct ChangedText<'a> {
    /// The slot it belongs to.
    pub slot: SlotId,
    /// Its place in the slot's directory.
    pub path: &'a RelPath,
    /// Its text on disk.
    pub old: String,
    /// The file as it should be.
    pub new: &'a File,
}

impl Done {
    /// Nothing was done because of an error.
    pub fn stopped(error: Error) -> Self {
        Self { outcome: Outcome::stopped(error), before: Registry::default() }
    }
}

impl From<Error> for NotRun {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Stale> for NotRun {
    fn from(stale: Stale) -> Self {
        Self::Stale(Box::new(stale))
    }
}

impl<'a> Request<'a> {
    /// That of a pool by itself, and of no saved plan.
    pub fn alone(pool: &'a Pool, ledger: Option<Ledger>, options: Options) -> Self {
        Self { pool, ledger, options, saved: None, neighbours: None }
    }

    /// Looks at the pool and plans. Docker is not asked.
    fn look(self) -> Result<Prepared<'a>> {
        let root = Root::open(&self.pool.root)?;
        check_own(root.as_ref(), &self.pool.root)?;
        // A plan that was saved for another server does not run, and this one is not asked.
        let is_of_another = self.saved.is_some_and(|saved| saved.desired.registry != self.pool.registry);
        let stored = self.ledger.as_ref().filter(|_| !is_of_another);
        let stored = stored.map_or_else(|| Ok(Stored::default()), |it| it.observe(root.as_ref()))?;
        let observed = observe(stored, root.as_ref(), self.pool)?;
        observed.registry.check_pool(&self.pool.applied_from, &self.pool.root)?;
        let plan = self.plan(&observed);
        check_same(&plan, &self.options, self.pool, &observed)?;
        if self.saved.is_none() {
            check_selection(&self.options, &plan, self.pool, &observed)?;
        }
        Ok(Prepared { desired: self.pool.outline(), request: self, root, plan, observed })
    }

    /// Looks at the pool and plans. Docker is asked if an existing slot would change: never under the lock,
    /// which is not held while another program runs.
    ///
    /// # Errors
    /// [`Fault`] if the pool cannot be read, or if an option names a slot that does not exist.
    pub fn prepare(self) -> Result<Prepared<'a>> {
        let mut prepared = self.look()?;
        if prepared.plan.changes_what_is_there() {
            let pool = prepared.request.pool;
            prepared.observed.containers = containers(pool, &prepared.observed.registry);
            prepared.plan = prepared.request.plan(&prepared.observed);
        }
        Ok(prepared)
    }

    /// The same for a plan that is only shown. A plain one asks Docker nothing: of existing slots it changes
    /// only what was begun.
    ///
    /// # Errors
    /// As [`Request::prepare`].
    pub fn preview(self) -> Result<Prepared<'a>> {
        if self.options.allowed.is_empty() { self.look() } else { self.prepare() }
    }

    fn plan(&self, observed: &Observed) -> Plan {
        plan(self.pool, observed, &diff(self.pool, observed), &self.options)
    }
}

/// Refuses a root that is in use, and not as a pool.
fn check_own(root: Option<&Root>, path: &Utf8Path) -> Result<()> {
    let Some(foreign) = root.map(Root::foreign).transpose()?.flatten() else { return Ok(()) };
    let what = format!("root `{path}` is in use, and not as a pool: `{}` is in it", foreign.escape_debug());
    Err(Fault::refused(what).advise("choose a root that is empty or not there yet").into())
}

impl Prepared<'_> {
    /// The plan to show: the saved one, or the one just made.
    pub fn shown(&self) -> &Plan {
        self.request.saved.map_or(&self.plan, |saved| &saved.plan)
    }

    /// The pool as its spec describes it.
    pub fn desired(&self) -> &Outline {
        &self.desired
    }

    /// The values that no output may show.
    pub fn secrets(&self) -> &BTreeSet<String> {
        &self.request.pool.secrets
    }

    /// Whether its registry was asked what is there. It may be on a server that was not applied.
    pub fn is_of_registry(&self) -> bool {
        self.request.ledger.is_some()
    }

    /// Whether an existing slot would change and Docker was not asked for its containers.
    pub fn takes_docker_on_trust(&self) -> bool {
        self.observed.containers == Containers::NotAsked && self.plan.changes_what_is_there()
    }

    /// The plan as a saved one.
    pub fn to_saved(&self, named: Named) -> Saved {
        let (options, plan, desired) =
            (self.request.options.clone(), self.plan.clone(), self.desired.clone());
        Saved::new(named, options, plan, desired, &self.observed)
    }

    /// The files whose text the shown plan changes, or would if a flag allowed it.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn changed_texts(&self) -> Result<Vec<ChangedText<'_>>> {
        let Some(root) = &self.root else { return Ok(Vec::new()) };
        let mut changed = Vec::new();
        for (&slot, slot_plan) in &self.shown().slots {
            for path in slot_plan.changed_files() {
                let new = self.request.pool.slots.get(&slot).and_then(|slot| slot.files.get(path));
                if let Some((old, new)) = text(root, slot, path)?.zip(new) {
                    changed.push(ChangedText { slot, path, old, new });
                }
            }
        }
        Ok(changed)
    }

    /// Checks that a saved plan is still the plan that would be made.
    ///
    /// # Errors
    /// [`Stale`] says what changed.
    pub fn check_saved(&self) -> Result<(), Stale> {
        self.request.saved.map_or(Ok(()), |saved| self.compare(saved, &self.plan, &self.observed))
    }

    /// Runs the plan under the lock, if there is something to do. It plans again there, because another
    /// process may have written before the lock was taken.
    ///
    /// # Errors
    /// [`NotRun`] if nothing was done. What happened after the first write is part of [`Done`].
    pub fn carry_out(&self, lock: &LockPolicy<'_>, interrupt: &Interrupt) -> Result<Done, NotRun> {
        let is_there = self.observed.is_applied;
        let is_untidy = self.root.as_ref().map_or(Ok(false), Root::is_untidy)?;
        let is_unnoted = self.request.neighbours.is_some_and(|neighbours| neighbours.is_stale(is_there));
        if self.plan.has_work() || is_untidy || is_unnoted || self.is_unsigned() {
            let lock = LockPolicy { interrupt: Some(interrupt), ..*lock };
            return self.transact(&lock, interrupt);
        }
        Ok(Done { outcome: Outcome::default(), before: self.observed.registry.clone() })
    }

    /// Whether the registry is to say anew which pool it is of. A pool that goes needs no such note.
    fn is_unsigned(&self) -> bool {
        let Observed { registry, .. } = &self.observed;
        let wanted = self.request.pool.applied_from.clone().with_keys_of(registry.applied_from.as_ref());
        let is_declared = self.request.neighbours.is_some();
        is_declared && !registry.slots.is_empty() && registry.applied_from.as_ref() != Some(&wanted)
    }

    /// Takes the lock, reads, compares, writes.
    fn transact(&self, lock: &LockPolicy<'_>, interrupt: &Interrupt) -> Result<Done, NotRun> {
        let Request { pool, ledger, saved, neighbours, options: _ } = &self.request;
        let ledger =
            ledger.as_ref().ok_or_else(|| Error::msg("a plan that is only shown was carried out"))?;
        ledger.create(lock, |transaction| {
            let containers = self.observed.containers.clone();
            let stored = transaction.stored().clone();
            let observed = observe(stored, Some(transaction.locked().root()), pool)?;
            observed.registry.check_pool(&pool.applied_from, &pool.root)?;
            let observed = Observed { containers, ..observed };
            let plan = self.request.plan(&observed);
            check_same(&plan, &self.request.options, pool, &observed)?;
            let is_as_shown = match saved {
                Some(saved) => self.compare(saved, &plan, &observed),
                None if plan.is_within(&self.plan) => Ok(()),
                None => Err(Stale::Shown(Box::new(plan.clone()))),
            };
            if let Err(stale) = is_as_shown {
                return Ok(Err(stale.into()));
            }
            if let Some(neighbours) = neighbours {
                neighbours.note(observed.registry.slots.is_empty(), lock)?;
            }
            let outcome = apply(&plan, pool, &observed, transaction, interrupt);
            Ok(Ok(Done { outcome, before: observed.registry }))
        })?
    }

    fn compare(&self, saved: &Saved, plan: &Plan, observed: &Observed) -> Result<(), Stale> {
        let changes = saved.changes(plan, self.desired.clone(), observed);
        if changes.is_empty() && saved.does_the_same_as(plan) {
            return Ok(());
        }
        Err(if saved.is_done(plan, self.desired.clone()) {
            Stale::Applied
        } else if !changes.is_empty() {
            Stale::Values(changes)
        } else if plan.is_blocked() {
            Stale::Blocked(Box::new(plan.clone()))
        } else {
            Stale::Actions(Box::new(plan.clone()))
        })
    }
}

/// Refuses the name of a slot that does not exist. A typing mistake would otherwise look like a pool without
/// changes.
///
/// # Errors
/// [`Fault`] names the slot.
fn check_selection(options: &Options, plan: &Plan, pool: &Pool, observed: &Observed) -> Result<()> {
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

/// Refuses a first apply in a root where a server has a pool of that name with other slots: it may be another
/// project's.
///
/// # Errors
/// [`Fault`] names what differs.
fn check_same(plan: &Plan, options: &Options, pool: &Pool, observed: &Observed) -> Result<(), Fault> {
    let may_change = [Flag::Update, Flag::Overwrite].iter().any(|flag| options.allowed.contains(flag));
    if may_change || !observed.is_shared || observed.is_applied {
        return Ok(());
    }
    let mut blocked =
        plan.slots.iter().flat_map(|(slot, plan)| plan.blocked.iter().map(move |why| (slot, why)));
    let differs =
        blocked.find_map(|it| if let (slot, Blocked::Field(it)) = it { Some((slot, it)) } else { None });
    let Some((slot, FieldChange { field, old, new })) = differs else { return Ok(()) };
    let [old, new] = [old, new].map(|value| value.as_deref().unwrap_or("nothing"));
    let what = format!(
        "the registry's server has a pool `{}` of another slots.toml: `{field}` of slot {slot} is {old} there, and {new} here",
        pool.name
    );
    Err(Fault::refused(what).advise(
        "if it is another project's, give this pool another `name`. If not, apply the slots.toml that the others have, or \
         `--update` to change these slots for all",
    ))
}

/// Refuses a spec or a root, named by the user, that is not the saved plan's own. Both paths are absolute.
///
/// # Errors
/// [`Fault`] names the one that differs.
pub fn check_named(saved: &Saved, spec: Option<&Utf8Path>, root: Option<&Utf8Path>) -> Result<()> {
    let canonical = |path: &Utf8Path| host::fs::canonical(path).unwrap_or_else(|_| path.to_owned());
    let own_spec = saved.spec.as_deref();
    if spec.is_some_and(|spec| own_spec.map(canonical) != Some(canonical(spec))) {
        let own =
            own_spec.map_or_else(|| "the embedded slots.toml".to_owned(), |spec| format!("spec `{spec}`"));
        return Err(another(&own, "--spec or KINFRA_SPEC").into());
    }
    let own_root = &saved.desired.root;
    if root.map(host::root::resolve).transpose()?.is_some_and(|root| root != *own_root) {
        return Err(another(&format!("root `{own_root}`"), "--root or KINFRA_ROOT").into());
    }
    Ok(())
}

fn another(own: &str, option: &str) -> Fault {
    Fault::usage(format!("this plan was made for {own}, and {option} names another"))
        .advise(format!("leave {option} out"))
}

/// The pool of a spec without its slots. A plan for it removes every slot.
pub fn emptied(spec: &Spec, applied_from: AppliedFrom, root: Utf8PathBuf) -> Pool {
    Pool {
        name: spec.name.clone(),
        root,
        registry: spec.registry.clone(),
        project: None,
        applied_from,
        import: None,
        formulas: spec.ports.clone(),
        slots: BTreeMap::new(),
        elsewhere: BTreeMap::new(),
        on_claim: BTreeSet::new(),
        left_out: Vec::new(),
        secrets: BTreeSet::new(),
    }
}

/// Whether there is a pool.
///
/// # Errors
/// When that cannot be examined.
pub fn exists(ledger: &Ledger) -> Result<bool> {
    match ledger {
        Ledger::File { root } => Ok(Root::open(root)?.map_or(Ok(None), |root| root.registry())?.is_some()),
        Ledger::Postgres { .. } => Ok(ledger.read(Following::NoHolder)?.is_some()),
    }
}
