//! Finding a claim in a registry. Pure.

use camino::{Utf8Path, Utf8PathBuf};

use crate::identifier::Owner;
use crate::registry::{Claim, ClaimId, Mark, Place, Registry};
use crate::slot::SlotId;

#[cfg(test)]
#[path = "held_by_tests.rs"]
mod tests;

/// A directory, as it is compared with the holders of claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// The path under which it holds a slot.
    pub path: Utf8PathBuf,
    /// Which of its claims is meant, if it is not the one that it has for itself.
    pub owner: Option<Owner>,
    /// What it is known by. `None` if it is not there: then its path decides, and the directory above it.
    pub mark: Option<Mark>,
    /// Where the directory above it is, if it is not there itself.
    pub above: Option<Place>,
    /// The name of this machine. `None` if the holder is meant, wherever it is.
    pub host: Option<String>,
}

impl Directory {
    /// The holder under a path, whatever is there now.
    pub fn unseen(path: &Utf8Path) -> Self {
        Self { path: path.to_owned(), owner: None, mark: None, above: None, host: None }
    }

    /// The same, with the claim of an owner in place of its own.
    #[must_use]
    pub fn owned_by(self, owner: Option<Owner>) -> Self {
        Self { owner, ..self }
    }

    /// Whether it is the holder of a claim: it has the path and the owner, and what it is known by.
    pub fn holds(&self, claim: &Claim) -> bool {
        self.owner == claim.claim_owner && self.is_at(claim)
    }

    /// Whether it is the directory of a claim, of any owner.
    pub fn is_at(&self, claim: &Claim) -> bool {
        let is_same_machine = match (&claim.claimed_host, &self.host) {
            (Some(claimed), Some(own)) => claimed == own,
            (None, _) | (_, None) => true,
        };
        // Where a disk is mounted, another one may be: a copy there is no backup that was put back.
        let is_mounted = claim.claimed_mount.as_deref() == Some(self.path.as_str());
        let is_it = |mark: Mark| mark.is_of(&claim.mark, is_same_machine && !is_mounted);
        // Containers may share a name, and a machine may have a new one: what both note of the place counts.
        let was_here = || match self.above.zip(claim.mark.above) {
            Some((above, noted)) => above.is(noted) || (is_same_machine && above.may_be(noted)),
            None => is_same_machine,
        };
        claim.claimed_by.is(&self.path) && self.mark.map_or_else(was_here, is_it)
    }
}

/// Whether a directory holds the slot of this run: its own claim is that of the run around it.
pub fn is_within(registry: &Registry, directory: &Directory, run: Option<ClaimId>) -> bool {
    let slot = held_by(registry, directory);
    let claim = slot.and_then(|slot| registry.slots.get(&slot)?.claim.as_ref());
    claim.is_some_and(|claim| claim.is_of_run && run.is_some() && claim.claim_id == run)
}

/// What the claim is known by that a killed start made for a directory, now lost. What had a stack, or was
/// git's, has a history of its own.
pub fn begun_at(registry: &Registry, lost: &Directory) -> Option<Mark> {
    let entry = registry.slots.get(&held_by(registry, lost)?).filter(|entry| entry.started.is_none())?;
    let claim = entry.claim.as_ref().filter(|claim| claim.claimed_gitdir.is_none())?;
    Some(claim.mark).filter(|mark| mark.token.is_none())
}

/// The slot that a directory holds.
pub fn held_by(registry: &Registry, directory: &Directory) -> Option<SlotId> {
    find(registry, |claim| directory.holds(claim))
}

/// The slot that a directory holds by what it is known by. The path alone of one that is there is something
/// that any registry can name.
pub fn held_by_mark(registry: &Registry, directory: &Directory) -> Option<SlotId> {
    find(registry, |claim| (directory.mark.is_none() || !claim.mark.is_empty()) && directory.holds(claim))
}

/// The slot whose holder has the path of a directory and is another: in another container, or before.
pub fn held_at_its_path(registry: &Registry, directory: &Directory) -> Option<SlotId> {
    find(registry, |claim| claim.claimed_by.is(&directory.path) && !directory.is_at(claim))
}

/// The slot whose claim has this id.
pub fn with_id(registry: &Registry, id: ClaimId) -> Option<SlotId> {
    find(registry, |claim| claim.claim_id == Some(id))
}

/// The slot of a run: it has the claim of the run, or one that the run ends with it.
pub fn of_run(registry: &Registry, run: &Claim) -> Option<SlotId> {
    let own = run.claim_id.and_then(|id| with_id(registry, id));
    own.or_else(|| find(registry, |claim| claim.is_ended_by(run)))
}

fn find(registry: &Registry, is_it: impl Fn(&Claim) -> bool) -> Option<SlotId> {
    registry.slots.iter().find(|(_, entry)| entry.claim.as_ref().is_some_and(&is_it)).map(|(slot, _)| *slot)
}
