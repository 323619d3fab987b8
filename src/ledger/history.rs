//! What happened to a pool, as its journal tells it.

use anyhow::{Error, Result};

use super::stored::{Stored, read};
use super::transaction::{Ledger, Snapshot};
use crate::history::{History, Recorded, Replaces, What};
use crate::host::lock::LockPolicy;
use crate::host::root::{self, Root};
use crate::slot::SlotId;

/// How often the journals are read again, because the registry was saved meanwhile.
const LOOKS: usize = 5;

impl Ledger {
    /// Puts something into the history that no registry shows. No verb fails for it. Where it cannot be done,
    /// the user is told at the end.
    pub fn record(&self, seen: &Snapshot, policy: &LockPolicy<'_>, slot: SlotId, what: What) {
        let recorded = self.transact(seen, policy, |transaction| {
            transaction.record(slot, what);
            Ok(())
        });
        // Without its advice: to run again does not record it.
        recorded.unwrap_or_else(|why| root::tell_not_recorded(Error::msg(format!("{why:#}"))));
    }

    /// What happened to the pool, as far as that is recorded. Takes no lock.
    ///
    /// # Errors
    /// [`Fault`](crate::fault::Fault) when there is no pool, or its registry or journal cannot be read.
    pub fn history(&self) -> Result<History> {
        let Self::File { root } = self;
        let root = Root::open(root)?.ok_or_else(|| self.missing())?;
        let mut look = look(&root)?;
        for _ in 1..LOOKS {
            if look.is_of_one_moment {
                break;
            }
            look = self::look(&root)?;
        }
        let registry = Some(&*look.stored.registry).filter(|_| look.is_of_one_moment);
        let recorded = Recorded { texts: &look.texts, registry, present: look.present.as_ref() };
        Ok(History { not_read: look.not_read, ..recorded.history() })
    }
}

/// The journals, and the registry with them.
struct Look {
    texts: Vec<String>,
    not_read: Vec<String>,
    stored: Stored,
    present: Option<Replaces>,
    /// Whether nothing was saved meanwhile.
    is_of_one_moment: bool,
}

fn look(root: &Root) -> Result<Look> {
    let stored = read(root, None)?;
    let journals = root.journals()?;
    let text = stored.text.as_ref().map(|text| text.text.as_str());
    // Asked after the journals are read: a save that is done by now is seen by its registry.
    let present = root.has_staged()?.then(|| Replaces::text(text));
    let is_of_one_moment = root.registry()?.as_deref() == text;
    Ok(Look { texts: journals.texts, not_read: journals.not_read, stored, present, is_of_one_moment })
}
