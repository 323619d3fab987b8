//! The slot that a worktree holds, for the verbs that use it.

use std::sync::Arc;

use anyhow::{Error, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::environment;
use super::fitness::Unfit;
use super::held_by::{Directory, held_by};
use super::lease;
use super::listing::Listed;
use super::refusal::{is_elsewhere, no_such_slot, why};
use super::signs::Sign;
use super::whereabouts::{Following, look_at, mark_for, noted};
use crate::dotenv::{self, Variables};
use crate::fault::Fault;
use crate::file::RelPath;
use crate::guarded_variables::{readers_in_file, refusal};
use crate::host;
use crate::host::fs::{Dir, Found};
use crate::host::lock::LockPolicy;
use crate::host::root::Root;
use crate::ledger::{Age, Snapshot};
use crate::names::{COMPOSE_FILES, ENV_FILE, OVERLAY, OVERRIDE_FILES, USED_FILE, project};
use crate::observe::whose::Whose;
use crate::registry::{Engine, Entry, Pending, Registry};
use crate::slot::SlotId;
use crate::spec::{Spec, StackSpec};
use crate::stack::remove::StackOn;
use crate::which::by_worktree::{FoundPool, Search};
use crate::which::stack_as_applied::AppliedStack;

/// The most that an env file may be, in bytes.
const LIMIT: u64 = 16 << 20;

/// A slot that a worktree holds.
pub struct Held {
    /// The slot.
    pub slot: SlotId,
    /// Its entry in the registry.
    pub entry: Arc<Entry>,
    /// The prefix of the pool's variables.
    pub prefix: String,
    stack: AppliedStack,
    pool: FoundPool,
    snapshot: Snapshot,
    /// The worktree, by the path under which it holds the slot.
    directory: Directory,
}

/// What a search for the slot of a worktree came to.
pub struct SoughtSlot {
    /// The slot, if the worktree holds one.
    pub held: Option<Held>,
    /// The roots of pools that did not answer. It may hold one there.
    pub silent: Vec<Utf8PathBuf>,
    /// That only an old state says so, if that is all there is.
    pub age: Option<Age>,
}

impl SoughtSlot {
    /// The slot, where having `none` is an error.
    ///
    /// # Errors
    /// [`Fault`] says that it holds none, as far as is known, and which pools did not answer.
    pub fn needed(self, none: impl FnOnce() -> Fault) -> Result<Held, Fault> {
        let Self { held, silent, age } = self;
        let silent = silent.iter().map(|root| format!("; the pool in `{root}` does not answer"));
        held.ok_or_else(|| {
            let none = none();
            let none = Fault { what: silent.fold(none.what.clone(), |what, more| what + &more), ..none };
            age.map_or(none.clone(), |age| age.doubts(&none))
        })
    }
}

/// Finds the slot that a worktree holds.
///
/// # Errors
/// When the pool cannot be found or read.
pub fn find(worktree: &Utf8Path, search: &Search<'_>) -> Result<SoughtSlot> {
    let own = search.look_at(worktree)?;
    let mut pool = search.of_directory(&own)?;
    let silent = pool.silent().to_vec();
    let Some(snapshot) = pool.look(Following::Of(worktree))? else {
        return Ok(SoughtSlot { held: None, silent, age: None });
    };
    let (age, directory) = (snapshot.age(), noted(&snapshot.registry, &own));
    let slot = held_by(&snapshot.registry, &directory);
    let entry = slot.and_then(|slot| Some((slot, Arc::clone(snapshot.registry.slots.get(&slot)?))));
    let prefix = pool.env_prefix.clone().unwrap_or_default();
    let stack = search.stack_as_applied(&pool);
    let held = entry.map(|(slot, entry)| Held { slot, entry, prefix, stack, pool, snapshot, directory });
    Ok(SoughtSlot { held, silent, age })
}

/// The slot with this id, for the worktree that holds it, if one does.
///
/// # Errors
/// When the pool cannot be found or read, or has no such slot, or another directory is where its holder was.
pub fn find_slot(slot: SlotId, search: &Search<'_>) -> Result<SoughtSlot> {
    let mut pool = search.here()?;
    let snapshot = pool.applied(Following::EveryHolder)?;
    let (silent, age) = (pool.silent().to_vec(), snapshot.age());
    let Some(entry) = snapshot.registry.slots.get(&slot) else {
        let none = no_such_slot(slot);
        return Err(age.map_or(none.clone(), |age| age.doubts(&none)).into());
    };
    let entry = Arc::clone(entry);
    let claim = entry.claim.as_ref().and_then(|claim| Some((claim, claim.claimed_by.directory()?)));
    let Some((claim, path)) = claim else { return Ok(SoughtSlot { held: None, silent, age }) };
    let there = look_at(path)?;
    if there.mark.is_some() && !there.is_at(claim) {
        return Err(is_elsewhere(slot, path).into());
    }
    let directory = Directory::unseen(path).owned_by(claim.claim_owner.clone());
    let prefix = pool.env_prefix.clone().unwrap_or_default();
    let stack = search.stack_as_applied(&pool);
    let held = Some(Held { slot, entry, prefix, stack, pool, snapshot, directory });
    Ok(SoughtSlot { held, silent, age })
}

impl Held {
    /// The same, if this user trusts the pool.
    ///
    /// # Errors
    /// [`Fault`] says how to trust it.
    pub fn trusted(self) -> Result<Self, Fault> {
        self.pool.trusted().map(|()| self)
    }

    /// The pool.
    pub fn pool(&self) -> &FoundPool {
        &self.pool
    }

    /// The pool alone.
    pub fn into_pool(self) -> FoundPool {
        self.pool
    }

    /// The worktree, by the path under which it holds the slot.
    pub fn worktree(&self) -> &Utf8Path {
        &self.directory.path
    }

    /// The pool's registry, as it was read for the search.
    pub fn seen(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The slot as it is now. `None` if the claim ended meanwhile.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn again(self) -> Result<Option<Self>> {
        Ok(self.now()?.map(|(entry, snapshot)| Self { entry, snapshot, ..self }))
    }

    /// Whether the claim did not end meanwhile.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn is_still_held(&self) -> Result<bool> {
        Ok(self.now()?.is_some())
    }

    fn now(&self) -> Result<Option<(Arc<Entry>, Snapshot)>> {
        let seen = self.pool.ledger().read_since(&self.snapshot, Following::Of(self.worktree()))?;
        let Some(snapshot) = seen else { return Ok(None) };
        Ok(self.still(&snapshot.registry).map(|entry| (entry, snapshot)))
    }

    /// The slot's entry in a registry that was read later. `None` if the claim ended meanwhile.
    fn still(&self, registry: &Registry) -> Option<Arc<Entry>> {
        let identity = |entry: &Entry| {
            let claim = entry.claim.as_ref()?;
            // The worktree of a claim with an id may be moved.
            let path = claim.claim_id.is_none().then(|| (claim.claimed_by.clone(), claim.claimed_at.clone()));
            Some((claim.claim_id, path))
        };
        let entry = registry.slots.get(&self.slot).filter(|entry| identity(entry) == identity(&self.entry));
        entry.cloned()
    }

    /// Renews the lease, and notes that the stack is in use. Of a claim without a lease, only one of an older
    /// kinfra changes: it gets a mark. `None` if the claim ended meanwhile.
    ///
    /// # Errors
    /// When the registry cannot be saved.
    pub fn renew(self, policy: &LockPolicy<'_>) -> Result<Option<Self>> {
        Ok(self.extend(policy)?.map(|entry| Self { entry, ..self }))
    }

    /// [`Held::renew`] for a slot that stays in use. Its entry.
    ///
    /// # Errors
    /// As [`Held::renew`].
    pub fn extend(&self, policy: &LockPolicy<'_>) -> Result<Option<Arc<Entry>>> {
        if self.entry.started.is_some() {
            // No verb fails for this note.
            let _ = host::fs::touch(&self.dir().join(USED_FILE));
        }
        let claim = self.entry.claim.as_ref().filter(|_| self.directory.mark.is_some());
        let mark = claim.and_then(mark_for);
        let has_lease = self.entry.claim.as_ref().is_some_and(|claim| claim.lease.is_some());
        if !has_lease && mark.is_none() {
            return Ok(Some(Arc::clone(&self.entry)));
        }
        self.pool.ledger().transact(&self.snapshot, policy, |transaction| {
            if self.still(transaction.registry()).is_none() {
                return Ok(None);
            }
            let now = transaction.now();
            lease::renew(transaction.registry_mut(), self.slot, None, mark, now);
            Ok(self.still(transaction.registry()))
        })
    }

    /// The Docker engine of its stack. `None` is the caller's: nothing was started yet.
    pub fn engine(&self) -> Option<&Engine> {
        self.entry.started.as_ref()?.engine.as_ref()
    }

    /// Whose things on an engine are. A registry that has no id yet has made none with its label.
    pub fn whose(&self) -> Whose<'_> {
        let registry = &self.snapshot.registry;
        Whose::new(&self.pool.root, registry, registry.id)
    }

    /// Its stack on its engine.
    pub fn stack_on(&self) -> StackOn<'_> {
        StackOn { engine: self.engine(), project: self.project(), slot: self.slot, whose: self.whose() }
    }

    /// What declares its pool, if that is known.
    pub fn spec(&self) -> Option<&Spec> {
        self.pool.declared.as_ref().map(|declared| &declared.spec)
    }

    /// How its stack is started, checked and kept, by the slots.toml that was applied.
    pub fn stack(&self) -> StackSpec {
        self.stack.spec.clone()
    }

    /// Why that is not what this slots.toml says now. A sentence.
    pub fn stack_note(&self) -> Option<&str> {
        self.stack.note.as_deref()
    }

    /// The name of its Compose project. It stays the one of the last start for as long as there may be
    /// something of that, also if the pool was renamed since.
    pub fn project(&self) -> String {
        let started = self.entry.started.as_ref().map(|started| started.project.clone());
        started.unwrap_or_else(|| project(&self.pool.name, self.slot))
    }

    /// The slot's directory. The root may have moved since the entry was written.
    pub fn dir(&self) -> Utf8PathBuf {
        self.pool.root.join(self.slot.directory())
    }

    /// The slot with the state of its holder.
    pub fn listed(&self) -> Listed {
        Listed::of(self.slot, Arc::clone(&self.entry), &self.pool.root, self.snapshot.now())
    }

    /// The variables of the slot.
    ///
    /// # Errors
    /// [`Fault`] when its env file cannot be used.
    pub fn variables(&self) -> Result<Variables> {
        let text = env_text(&self.snapshot.root, self.slot, &self.entry, &self.pool.name, &self.prefix)?;
        let path = self.dir().join(ENV_FILE);
        let variables = dotenv::read(&text).map_err(|bad| {
            let unknown = unknown(self.slot, &format!("`{path}` {bad}"));
            Fault { advice: bad.advice.map(str::to_owned), ..unknown }
        })?;
        let owner = self.entry.claim.as_ref().and_then(|claim| claim.claim_owner.as_ref());
        Ok(environment::with_slot(variables, self.slot, &self.dir(), owner))
    }
}

/// The text of a slot's env file. Compose reads the same file. A pool without this file has the variables
/// that the registry knows.
///
/// # Errors
/// [`Fault`] when the file cannot be used.
pub fn env_text(root: &Root, slot: SlotId, entry: &Entry, pool: &str, prefix: &str) -> Result<String> {
    let path = root.path().join(slot.directory()).join(ENV_FILE);
    if let Some(pending) = &entry.pending {
        let unfit = if *pending == Pending::Elsewhere { Unfit::Elsewhere } else { Unfit::Unfinished };
        let (what, advice) = why(slot, Some(unfit));
        return Err(unknown(slot, &what).advise(advice.unwrap_or_default()).into());
    }
    if let Some(sign) = Sign::unknown_to(root, slot, entry)?.filter(|_| entry.claim.is_some()) {
        return Err(sign.fault(slot).into());
    }
    let found = match root.slot(slot)? {
        Found::This(dir) => {
            dir.check_owner("the slot's directory")?;
            check_composed(&dir)?;
            dir.read(Utf8Path::new(ENV_FILE), LIMIT)?
        }
        Found::Nothing => Found::Nothing,
        Found::Other(obstacle) => Found::Other(obstacle),
    };
    let is_env_file = |file: &RelPath| file.as_str() == ENV_FILE;
    match found {
        Found::This(content) => {
            content.check_owner("the slot's file", &path)?;
            let text = String::from_utf8(content.bytes)
                .map_err(|_| unknown(slot, &format!("`{path}` is not UTF-8 text")))?;
            refuse_guarded(slot, &path, &text).map(|()| text).map_err(Error::from)
        }
        Found::Nothing if entry.files().any(is_env_file) => {
            let fault = unknown(slot, &format!("`{path}` is not there"));
            Err(fault.advise("`kinfra plan` says how it comes back").into())
        }
        Found::Nothing => {
            let variables = environment::of_entry(slot, entry, pool, prefix);
            environment::dotenv(&variables).map_err(|why| unknown(slot, &why).into())
        }
        Found::Other(obstacle) => Err(unknown(slot, &format!("`{path}` is {obstacle}")).into()),
    }
}

/// Refuses Compose files of a slot that others can write: the variables lead `docker compose` to them.
fn check_composed(dir: &Dir) -> Result<()> {
    for name in COMPOSE_FILES.iter().chain(&OVERRIDE_FILES).chain(&[OVERLAY]) {
        dir.check_owner_of_file(name, "the slot's file")?;
    }
    Ok(())
}

/// Refuses an env file that sets what no slot may set: it is older than that rule, or changed by hand.
fn refuse_guarded(slot: SlotId, path: &Utf8Path, text: &str) -> Result<(), Fault> {
    let refused = |(line, name): (usize, String)| {
        Some(format!("line {line}: {}", refusal(&name, readers_in_file(&name)?)))
    };
    let refused: Vec<String> = dotenv::assigned(text).filter_map(refused).collect();
    if refused.is_empty() {
        return Ok(());
    }
    let fault =
        Fault::refused(format!("the variables of slot {slot} are not used: `{path}` {}", refused.join("; ")));
    Err(fault.advise(
        "take it out of slots.toml and its template, then run `kinfra apply --update --include-claimed`",
    ))
}

fn unknown(slot: SlotId, why: &str) -> Fault {
    Fault::refused(format!("the variables of slot {slot} are not known: {why}"))
}
