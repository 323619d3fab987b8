//! Moving a registry between the file of a root and a server. It is in one of both at any time: it leaves its
//! old place under another name before it is in the new one, and a run that is cut short is completed by the
//! next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context as _, Error, Result};

use super::change::Change;
use super::database::{Database, Loaded};
use super::last_seen::LastSeen;
use super::stored::{Stored, parse};
use super::transaction::{Ledger, locking};
use super::writer::{Transaction, new_id};
use crate::fault::{Fault, exit_of, is_known};
use crate::host::lock::LockPolicy;
use crate::host::postgres::{Connection, Row, quoted};
use crate::host::root::{LockedRoot, PULLED, PUSHED, Root};
use crate::registry::{Claim, Registry};
use crate::slot::SlotId;

/// Whether a claim was made in a root. Who moves a registry away from others, says how that is seen.
pub type MadeHere = fn(&Root, SlotId, &Claim) -> Result<bool>;

impl Ledger {
    /// The registry of the root that is to be taken into the database. One that an earlier run put aside
    /// counts.
    ///
    /// # Errors
    /// [`Fault`] when there is none, or it cannot be trusted.
    pub fn to_push(&self) -> Result<Registry> {
        let root = Root::open(self.root())?.ok_or_else(|| self.missing())?;
        Ok(self.in_root(&root)?.0)
    }

    /// The registry that is to come back from the database, and the roots of others that are left behind. One
    /// that an earlier run brought counts. `None` if there is none anywhere.
    ///
    /// # Errors
    /// [`Fault`] when others use it, when it cannot be trusted, or when the server lost it.
    pub fn to_pull(&self, leaving: Option<MadeHere>) -> Result<Option<(Registry, Vec<String>)>> {
        let root = Root::open(self.root())?.ok_or_else(|| self.missing())?;
        let (last, database) = (LastSeen::below(root.path()), self.on_its_server()?);
        let loaded = database.read(None)?;
        let there = loaded.as_ref().filter(|loaded| !loaded.registry.slots.is_empty());
        let is_brought = !there.is_some_and(|loaded| loaded.own.has_slots());
        let (registry, others) = match (root.pulled()?.filter(|_| is_brought), there) {
            (Some(text), _) => (parse(&root.path().join(PULLED), &text)?, Vec::new()),
            (None, Some(Loaded { registry, .. })) => {
                let others = others_of(&database.ask(&database.other_roots())?);
                refuse_others(&others, leaving, &root, registry)?;
                (Registry::clone(registry), others)
            }
            (None, None) => match root.registry()? {
                Some(text) => (parse(&root.registry_path(), &text)?, Vec::new()),
                None => {
                    return LastSeen::check(last.as_ref(), &root, database, loaded.as_ref()).map(|()| None);
                }
            },
        };
        Ok(Some((registry, others)))
    }

    /// Keeps nothing of a server in the root, where that has no slots of it: another user took them into a
    /// file, or they were destroyed.
    ///
    /// # Errors
    /// When the files cannot be changed.
    pub fn let_go(&self, policy: &LockPolicy<'_>) -> Result<()> {
        self.locked(policy)?.forget_server()
    }

    /// Takes the registry of the root into the database, with its claims. The file stays, under another name.
    ///
    /// # Errors
    /// [`Fault`] when the database has another pool of that name, or slots of it on this host.
    pub fn push(&self, policy: &LockPolicy<'_>) -> Result<()> {
        let locked = self.locked(policy)?;
        let (mut registry, is_aside) = self.in_root(locked.root())?;
        if registry.id.is_none() {
            registry.id = Some(new_id()?);
        }
        let change = Change::begin(self.on_its_server()?, None, locking(policy, true))?;
        let mut change = change.ok_or_else(|| Fault::server("the pool was not made on the server"))?;
        let is_there = self.is_pushed(change.loaded(), &registry).inspect_err(|_| {
            // An earlier run may have put it aside. The server does not have it.
            let _ = is_aside.then(|| locked.put_registry_back());
        })?;
        if !is_aside {
            locked.put_registry_aside()?;
        }
        if !is_there {
            let before = Arc::clone(&change.loaded().registry);
            change.save(&before, &Arc::new(registry), None).map_err(|error| {
                if is_known(&error) && locked.put_registry_back().is_ok() {
                    return error;
                }
                cut_short(error, PUSHED, "push")
            })?;
        }
        Ok(())
    }

    /// Brings the registry back from the database into a file of the root, with its claims. The database has
    /// no slots of this host then.
    ///
    /// # Errors
    /// [`Fault`] when other users of the host have applied the pool and are not to be left behind, or hold
    /// slots; or when there is a file already.
    pub fn pull(&self, leaving: Option<MadeHere>, policy: &LockPolicy<'_>) -> Result<()> {
        let locked = self.locked(policy)?;
        let database = self.on_its_server()?;
        let change = Change::begin(database, None, locking(policy, false))?;
        // Another user of the host may have applied the pool since an earlier run has brought it.
        if !change.as_ref().is_some_and(|change| change.loaded().own.has_slots())
            && locked.root().pulled()?.is_some()
        {
            return locked.put_pulled_in_place();
        }
        let change = change.filter(|change| !change.loaded().registry.slots.is_empty());
        let is_file = locked.root().registry()?.is_some();
        let Some(mut change) = change else {
            return if is_file { Ok(()) } else { Err(self.nothing_there().into()) };
        };
        if is_file {
            let path = locked.root().registry_path();
            return Err(Fault::refused(format!("`{path}` is there already")).advise("move it away").into());
        }
        let before = Arc::clone(&change.loaded().registry);
        if let Some(connection) = change.connection() {
            let others = others_of(&connection.ask(&database.other_roots())?);
            refuse_others(&others, leaving, locked.root(), &before)?;
        }
        locked
            .write_pulled(&before.to_text().context("the registry of the server is not one for a file")?)?;
        // Its id goes along: what is made there later is another pool's.
        let after = Registry { id: None, slots: BTreeMap::new(), ..Registry::clone(&before) };
        change.moves_claims();
        change.save(&before, &Arc::new(after), None).map_err(|error| {
            if is_known(&error) && locked.remove_pulled().is_ok() {
                return error;
            }
            cut_short(error, PULLED, "pull")
        })?;
        locked.put_pulled_in_place()
    }

    /// Refuses a pool whose registry has left its place and is not in the other one yet.
    pub(super) fn refuse_half_moved(&self, root: &Root, stored: &Stored) -> Result<()> {
        if matches!(self, Self::File { .. }) {
            let is_aside = stored.text.is_none() && root.pushed()?.is_some();
            return if is_aside { Err(half_moved(root, PUSHED, "push").into()) } else { Ok(()) };
        }
        let is_gone = stored.loaded.as_ref().is_some_and(|loaded| !loaded.own.has_slots());
        if !is_gone || root.pulled()?.is_none() {
            return Ok(());
        }
        Err(half_moved(root, PULLED, "pull").into())
    }

    fn locked(&self, policy: &LockPolicy<'_>) -> Result<LockedRoot> {
        let open = || Ok(Root::open(self.root())?.ok_or_else(|| self.missing())?);
        Transaction::lock(open, policy)
    }

    fn nothing_there(&self) -> Fault {
        let what = "the server has no slots of the pool in";
        Fault::no_slot(format!("{what} `{}` on this host", self.root())).advise("`kinfra apply` makes them")
    }

    fn on_its_server(&self) -> Result<&Arc<Database>> {
        match self {
            Self::Postgres { database, .. } => Ok(database),
            Self::File { root } => {
                Err(Fault::refused(format!("the registry of the pool in `{root}` is on no server")).into())
            }
        }
    }

    /// The registry in a file of a root, and whether it is aside already.
    fn in_root(&self, root: &Root) -> Result<(Registry, bool)> {
        if let Some(text) = root.registry()? {
            return Ok((parse(&root.registry_path(), &text)?, false));
        }
        let text = root.pushed()?.ok_or_else(|| self.missing())?;
        Ok((parse(&root.path().join(PUSHED), &text)?, true))
    }

    /// Whether the database has the registry already. Refuses another one.
    fn is_pushed(&self, loaded: &Loaded, registry: &Registry) -> Result<bool, Fault> {
        let there = &loaded.registry;
        let is_same = there.id.is_none() || there.id == registry.id;
        if is_same && there.slots.is_empty() {
            return Ok(false);
        }
        // Of none, there is nothing to move: who destroyed a pool here may use the one that is there.
        if registry.slots.is_empty() || (is_same && loaded.is_applied_here) {
            return Ok(true);
        }
        let root = self.root();
        let (name, database) = ("another name in slots.toml", "another database");
        let (what, advice) = if is_same {
            let what = format!("the server has slots of the pool in `{root}` on this host already");
            (what, format!("give the pool {name}, or {database}"))
        } else {
            let advice = format!(
                "to use that one, take `[registry]` out of slots.toml, `kinfra destroy`, put it back, and `kinfra registry push` \
                 again, then `kinfra apply`; to keep both, give the pool {name}, or {database}"
            );
            (format!("the server has a pool of that name already, and it is not the one in `{root}`"), advice)
        };
        Err(Fault::refused(what).unchanged().advise(advice))
    }
}

impl Database {
    /// The statement for the roots of the host, but for this one, that have files of slots.
    fn other_roots(&self) -> String {
        format!(
            "select r.root from kinfra.root r join kinfra.pool p using (pool) where p.name = {} and r.host = {} and r.root \
             <> {} and r.content -> 'slots' <> '{{}}' order by 1",
            quoted(&self.pool),
            quoted(&self.place.host),
            quoted(self.place.root.as_str())
        )
    }
}

fn others_of(rows: &[Row]) -> Vec<String> {
    rows.iter().map(|row| Connection::text(row, 0)).collect()
}

/// Refuses to take the slots away from other users of the host: those who are not to be left behind, and
/// those who hold one. A claim that was made in this root has its sign there.
fn refuse_others(
    others: &[String],
    leaving: Option<MadeHere>,
    root: &Root,
    registry: &Registry,
) -> Result<()> {
    if others.is_empty() {
        return Ok(());
    }
    let Some(is_made_here) = leaving else {
        let roots: Vec<String> = others.iter().map(|root| format!("`{}`", root.escape_debug())).collect();
        let what = format!("others of this host use the pool, too: it is applied in {}", roots.join(", "));
        let advice = "agree with them; `--leave-others` leaves their roots behind, without slots";
        return Err(Fault::refused(what).unchanged().advise(advice).into());
    };
    let mut held = BTreeSet::new();
    for (slot, entry) in &registry.slots {
        if let Some(claim) = &entry.claim
            && !is_made_here(root, *slot, claim)?
        {
            held.insert(*slot);
        }
    }
    let Some(slot) = held.first() else { return Ok(()) };
    let advice =
        format!("wait until they release it, or end their claim with `kinfra release {slot} --force`");
    Err(Fault::refused(format!("others hold {}", SlotId::named(&held))).unchanged().advise(advice).into())
}

/// The error for a registry that is in a file of a root, on its way.
fn half_moved(root: &Root, file: &str, verb: &str) -> Fault {
    let path = root.path().join(file);
    let what = format!("the pool's registry is aside, in `{path}`: a move of it was cut short");
    Fault::refused(what).advise(format!("`kinfra registry {verb}` completes it"))
}

/// The error for a move whose end is not known.
fn cut_short(error: Error, file: &str, verb: &str) -> Error {
    let what = format!("the registry is in `{file}` of the root, and not moved for all that is known");
    let fault = Fault { exit: exit_of(&error), ..Fault::failed(what) };
    error.context(fault.advise(format!("run `kinfra registry {verb}` again: it completes what was begun")))
}
