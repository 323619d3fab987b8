//! A change of a registry in PostgreSQL. It has the turn of its pool until it saves.
//!
//! A save lets the lock go. So a later save of the same change locks again, and is made in the registry as it
//! is then: what other clients saved in between stays.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::database::{Database, Loaded, Locking};
use super::save::Save;
use crate::fault::Fault;
use crate::history;
use crate::host::postgres::Connection;
use crate::registry::{Overlap, Registry, RootRow};
use crate::slot::SlotId;
use crate::time::Time;

/// A change in progress.
pub struct Change {
    database: Arc<Database>,
    /// In its transaction, with the row locked. `None` after a save.
    locked: Option<Connection>,
    /// The registry as this client last read or saved it.
    loaded: Loaded,
    /// How long a later save may take.
    later: Duration,
    /// What a stack uses, to be noted with the next save.
    uses: Option<Value>,
    /// Whether the claims that it ends go on elsewhere.
    moves: bool,
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a change of {:?}", self.database)
    }
}

impl Drop for Change {
    /// What was not saved is taken back.
    fn drop(&mut self) {
        if let Some(connection) = self.locked.take() {
            self.database.give_back(connection, "rollback");
        }
    }
}

impl Change {
    /// Locks and reads. `None` where the pool was never made.
    ///
    /// # Errors
    /// [`Fault`] when the server cannot be asked, when another client holds the lock for too long, or when
    /// the registry cannot be trusted.
    pub fn begin(
        database: &Arc<Database>,
        known: Option<&Loaded>,
        locking: Locking<'_>,
    ) -> Result<Option<Self>> {
        let locked = database.lock(known, locking)?;
        Ok(locked.map(|(connection, loaded)| {
            let database = Arc::clone(database);
            Self {
                database,
                locked: Some(connection),
                loaded,
                later: locking.patience,
                uses: None,
                moves: false,
            }
        }))
    }

    /// The registry as it was last read.
    pub fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// The server's time.
    pub fn now(&self) -> Time {
        self.loaded.now
    }

    /// The connection that holds the lock, if it does.
    pub(super) fn connection(&self) -> Option<&Connection> {
        self.locked.as_ref()
    }

    /// The database.
    pub(super) fn database(&self) -> &Arc<Database> {
        &self.database
    }

    /// Lets the lock go, and keeps what was done but for the registry.
    ///
    /// # Errors
    /// [`Fault`] when the server does not do it.
    pub fn unlock(&mut self) -> Result<()> {
        let Some(connection) = self.locked.take() else { return Ok(()) };
        connection.ask("commit")?;
        self.database.keep(connection);
        Ok(())
    }

    /// Saves the change from `before` to `after`, commits, and waits until the disk has it. `happened` is
    /// what the history says of it.
    ///
    /// # Errors
    /// [`Fault`] when it was not saved, or when that is not known.
    pub fn save(
        &mut self,
        before: &Registry,
        after: &Arc<Registry>,
        happened: Option<&history::Change>,
    ) -> Result<()> {
        let (connection, registry) = match self.locked.take() {
            Some(connection) => (connection, Arc::clone(after)),
            None => self.lock_again(before, after)?,
        };
        let uses = self.uses.take();
        let (database, loaded) = (&self.database, &self.loaded);
        let changes = loaded.registry.changes_to(&registry, &database.place, &loaded.seen);
        let changes = changes.context("the new registry would not be readable, so it was not saved");
        let changes = changes.inspect_err(|_| drop(connection.run("rollback")))?;
        let Some(mut changes) = changes.or_else(|| uses.is_some().then(|| json!({}))) else {
            connection.ask("commit")?;
            database.keep(connection);
            return Ok(());
        };
        if let Value::Object(changes) = &mut changes {
            let happened = happened.map(|it| json!({ "host": database.place.host, "content": it }));
            changes.extend(happened.map(|it| ("history".to_owned(), it)));
            changes.extend(uses.map(|it| ("uses".to_owned(), it)));
            changes.extend(self.moves.then(|| ("moved".to_owned(), Value::Bool(true))));
        }
        let save = Save::new(loaded.pool, (loaded.generation, loaded.token.clone()), &changes)?;
        database.keep(save.carry_out(connection, &database.login, &database.command)?);
        let generation = loaded.generation + 1;
        let mut seen = loaded.seen.clone();
        let changed = changes.get("slots").and_then(Value::as_array).into_iter().flatten();
        let changed = changed.filter_map(|change| change.get("slot")?.as_u64()?.try_into().ok());
        seen.extend(changed.filter_map(SlotId::new).map(|slot| (slot, generation)));
        seen.retain(|slot, _| registry.slots.contains_key(slot));
        let mut saved =
            Loaded { registry, generation, token: save.token().to_owned(), seen, ..loaded.clone() };
        if let Some(Value::Object(own)) = changes.get("root").and_then(|root| root.get("content")) {
            let own = RootRow::of(own.clone()).context("what was saved of this root cannot be read")?;
            (saved.own, saved.is_applied_here) = (Arc::new(own), true);
        }
        self.loaded = saved;
        Ok(())
    }

    /// Says that the claims which it ends go on elsewhere.
    pub(super) fn moves_claims(&mut self) {
        self.moves = true;
    }

    /// Notes with the next save what a stack uses.
    pub(super) fn keep_uses(&mut self, slot: SlotId, content: &Value) {
        self.uses = Some(json!({ "host": self.database.place.host, "slot": slot, "content": content }));
    }

    /// Puts something into the history that is no change of the registry.
    ///
    /// # Errors
    /// [`Fault`] when the server does not do it.
    pub(super) fn record_also(&self, happened: &history::Change) -> Result<()> {
        let statement = self.database.recording(self.loaded.pool, happened)?;
        match &self.locked {
            Some(connection) => drop(connection.ask(&statement)?),
            None => drop(self.database.ask(&statement)?),
        }
        Ok(())
    }

    /// Locks once more. The change is made in the registry as it is now.
    fn lock_again(&mut self, before: &Registry, after: &Registry) -> Result<(Connection, Arc<Registry>)> {
        let locking = Locking { may_make: false, patience: self.later, flag: None, interrupt: None };
        let gone = || Fault::refused("the pool was removed from the registry's server meanwhile");
        let locked = self.database.lock(Some(&self.loaded), locking)?;
        let (connection, loaded) = locked.ok_or_else(gone)?;
        self.loaded = loaded;
        match before.rebased(after, &self.loaded.registry) {
            Ok(registry) => Ok((connection, Arc::new(registry))),
            Err(overlap) => {
                self.database.give_back(connection, "rollback");
                let of = match overlap {
                    Overlap::Pool => "the pool".to_owned(),
                    Overlap::Slot(slot) => format!("slot {slot}"),
                };
                let what = format!("another client changed {of} meanwhile: this change of it was not saved");
                Err(Fault::refused(what).advise("run again").into())
            }
        }
    }
}
