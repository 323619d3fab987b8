//! The ledger: where a pool's registry is kept, and the only way to change it.
//!
//! A change is one [`Ledger::transact`]. Under the lock it reads, decides and writes. Rendering, git, other
//! holders' directories, Docker and printing come before or after the lock.

use std::sync::Arc;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use super::change::Change;
use super::database::{Database, Loaded, Locking};
use super::last_seen::LastSeen;
use super::snapshot::Snapshot;
use super::stored::{Stored, read};
use super::writer::{Transaction, new_id};
use crate::claims::whereabouts::Following;
use crate::fault::{Exit, Fault, exit_of};
use crate::host::identity::host_of_pools;
use crate::host::lock::LockPolicy;
use crate::host::postgres::credentials::Login;
use crate::host::root::Root;
use crate::registry::{OwnPlace, RegistryId};

/// Where a pool's registry is kept.
#[derive(Debug, Clone)]
pub enum Ledger {
    /// In the file `registry.json` of the pool's root.
    File {
        /// The root.
        root: Utf8PathBuf,
    },
    /// In a database, for several users and machines. The root has the files of this user on this host.
    Postgres {
        /// The root.
        root: Utf8PathBuf,
        /// The database.
        database: Arc<Database>,
        /// Whether a verb that only reads gets the last known state where the server cannot be asked.
        may_be_old: bool,
    },
}

impl Ledger {
    /// The ledger of a pool in a file of its root.
    pub fn of(root: &Utf8Path) -> Self {
        Self::File { root: root.to_owned() }
    }

    /// The ledger of a pool on a server. `command` is what the server's list of clients shows.
    pub fn on_server(root: &Utf8Path, pool: &str, login: Login, command: &str, may_be_old: bool) -> Self {
        let place = OwnPlace { host: host_of_pools(), root: root.to_owned() };
        let database = Arc::new(Database::new(login, command, pool, place));
        Self::Postgres { root: root.to_owned(), database, may_be_old }
    }

    /// The root with the files of the pool.
    pub fn root(&self) -> &Utf8Path {
        match self {
            Self::File { root } | Self::Postgres { root, .. } => root,
        }
    }

    /// Reads the registry. `None` where the pool was never applied.
    ///
    /// # Errors
    /// [`Fault`] when it cannot be trusted.
    pub fn read(&self, following: Following<'_>) -> Result<Option<Snapshot>> {
        self.look(None, following)
    }

    /// [`Ledger::read`] again. What did not change since `seen` is not parsed again.
    ///
    /// # Errors
    /// As [`Ledger::read`].
    pub fn read_since(&self, seen: &Snapshot, following: Following<'_>) -> Result<Option<Snapshot>> {
        self.look(Some(seen), following)
    }

    /// The registry's id. A registry that an older kinfra saved has none, and gets one.
    ///
    /// # Errors
    /// As [`Ledger::transact`].
    pub fn id(&self, seen: &Snapshot, policy: &LockPolicy<'_>) -> Result<RegistryId> {
        if let Some(id) = seen.registry.id {
            return Ok(id);
        }
        self.transact(seen, policy, |transaction| {
            let id = transaction.registry().id.map_or_else(new_id, Ok)?;
            transaction.registry_mut().id = Some(id);
            Ok(id)
        })
    }

    /// That the pool which was there is gone.
    pub fn missing(&self) -> Fault {
        let root = self.root();
        Fault::no_slot(format!("there is no pool in `{root}` any more")).advise("`kinfra apply` creates it")
    }

    fn look(&self, seen: Option<&Snapshot>, following: Following<'_>) -> Result<Option<Snapshot>> {
        let Some(root) = Root::open(self.root())? else { return Ok(None) };
        // Before the server is asked: what others note meanwhile is newer than its answer.
        let last = self.database().and_then(|_| LastSeen::below(root.path()));
        let stored = match self {
            Self::File { .. } => read(&root, seen.map(|seen| &seen.stored))?,
            Self::Postgres { database, may_be_old, .. } => {
                match database.read(seen.and_then(|seen| seen.stored.loaded.as_ref())) {
                    Ok(loaded) => {
                        LastSeen::check(last.as_ref(), &root, database, loaded.as_ref())?;
                        Stored::on_server(loaded)
                    }
                    Err(error) if *may_be_old && exit_of(&error) == Exit::Docker => {
                        let (Some(last), Some(why)) = (last, error.downcast_ref::<Fault>().cloned()) else {
                            return Err(error);
                        };
                        let old = Snapshot::old(root, (&last, why), following);
                        return old.map_or(Err(error), |old| Ok(Some(old)));
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        self.refuse_half_moved(&root, &stored)?;
        if !stored.is_there() {
            return Ok(None);
        }
        if let Some(loaded) = stored.loaded.as_ref().filter(|_| seen.is_none()) {
            LastSeen::note(&root, loaded, last.as_ref());
        }
        Ok(Some(Snapshot::new(root, stored, self.database(), following)))
    }

    /// The registry as it is, wherever it was applied. For `plan` and `apply`.
    ///
    /// # Errors
    /// As [`Ledger::read`].
    pub fn observe(&self, root: Option<&Root>) -> Result<Stored> {
        match self {
            Self::File { .. } => root.map_or_else(|| Ok(Stored::default()), |root| read(root, None)),
            Self::Postgres { database, .. } => {
                let last = root.and_then(|root| LastSeen::below(root.path()));
                let loaded = database.read(None)?;
                if let Some(root) = root {
                    LastSeen::check(last.as_ref(), root, database, loaded.as_ref())?;
                }
                Ok(Stored::on_server(loaded))
            }
        }
    }

    /// Whether its server has the registry that was seen last in this root, wherever that was.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub fn has_what_was_seen(&self) -> Result<bool> {
        let Self::Postgres { root, database, .. } = self else { return Ok(false) };
        let id = LastSeen::below(root).and_then(|last| last.state.id);
        Ok(id.is_some() && database.read(None)?.is_some_and(|loaded| loaded.registry.id == id))
    }

    pub(super) fn database(&self) -> Option<Arc<Database>> {
        match self {
            Self::File { .. } => None,
            Self::Postgres { database, .. } => Some(Arc::clone(database)),
        }
    }

    /// Changes the registry: takes the lock, reads again, lets `work` decide, and saves if the registry
    /// changed. `seen` is the registry as the caller read it before.
    ///
    /// # Errors
    /// [`Fault`] when the lock is not obtained, or another program saved meanwhile; then nothing is saved.
    /// Also the errors of `work`.
    pub fn transact<T>(
        &self,
        seen: &Snapshot,
        policy: &LockPolicy<'_>,
        work: impl FnOnce(&mut Transaction) -> Result<T>,
    ) -> Result<T> {
        let open = || Ok(Root::open(self.root())?.ok_or_else(|| self.missing())?);
        let locked = Transaction::lock(open, policy)?;
        let mut transaction = match self {
            Self::File { .. } => Transaction::of_file(locked, Some(&seen.stored), policy.command)?,
            Self::Postgres { database, .. } => {
                let known = seen.stored.loaded.as_ref();
                let change = Change::begin(database, known, locking(policy, false))?;
                let change = change.filter(|change| change.loaded().is_applied_here);
                Transaction::of_server(locked, change.ok_or_else(|| self.missing())?, policy.command)
            }
        };
        if !seen.moves.is_empty() {
            seen.moves.note_in(transaction.registry_mut());
        }
        end(transaction, seen.stored.loaded.as_ref(), work)
    }

    /// [`Ledger::transact`] for a pool that may not exist yet. Makes its root. On a server the lock is not
    /// held while `work` goes on: each save of it takes the lock.
    ///
    /// # Errors
    /// As [`Ledger::transact`].
    pub fn create<T>(
        &self,
        policy: &LockPolicy<'_>,
        work: impl FnOnce(&mut Transaction) -> Result<T>,
    ) -> Result<T> {
        let locked = Transaction::lock(|| Root::make(self.root()), policy)?;
        let transaction = match self {
            Self::File { .. } => Transaction::of_file(locked, None, policy.command)?,
            Self::Postgres { database, .. } => {
                let change = Change::begin(database, None, locking(policy, true))?;
                let mut change =
                    change.ok_or_else(|| Fault::server("the pool was not made on the server"))?;
                change.unlock()?;
                Transaction::of_server(locked, change, policy.command)
            }
        };
        end(transaction, None, work)
    }
}

/// Runs the work of a transaction, and ends it. On a server, what was `seen` before it may be noted already.
fn end<T>(
    mut transaction: Transaction,
    seen: Option<&Loaded>,
    work: impl FnOnce(&mut Transaction) -> Result<T>,
) -> Result<T> {
    let done = work(&mut transaction)?;
    transaction.finish()?;
    if let Some(loaded) = &transaction.stored().loaded {
        let root = transaction.locked().root();
        let last = seen.filter(|seen| *seen == loaded).and_then(|_| LastSeen::below(root.path()));
        LastSeen::note(root, loaded, last.as_ref());
    }
    Ok(done)
}

/// How the turn of a pool is taken.
pub(super) fn locking<'a>(policy: &LockPolicy<'a>, may_make: bool) -> Locking<'a> {
    let LockPolicy { patience, flag, interrupt, .. } = *policy;
    Locking { may_make, patience, flag, interrupt }
}
