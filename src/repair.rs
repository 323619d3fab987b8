//! What a registry that cannot be read is replaced with. Pure: from its backup, else from the slot directories.
//!
//! A repair never frees: a slot that shows any sign of use comes back claimed, by `unknown` where nobody can tell who.

use std::collections::{BTreeMap, BTreeSet};

use crate::desired::Pool;
use crate::observe::{FileState, Observed, SlotDir};
use crate::registry::{Claim, Entry, Provisioned, Registry};
use crate::slot::SlotId;

/// Who holds a slot when nobody can tell.
const UNKNOWN: &str = "unknown";

/// A registry to put in the place of the broken one.
#[derive(Debug, Clone, PartialEq)]
pub struct Repair {
    /// What it would hold.
    pub registry: Registry,
    /// Whether it is the backup; otherwise it was put together from the slot directories.
    pub from_backup: bool,
    /// The slots that come back claimed though the backup did not say so.
    pub claimed: BTreeSet<SlotId>,
}

/// Decides what a broken registry is replaced with. `observed` is what is on disk, `broken` the broken text as far as
/// it can be read, `used` the slots that show signs of use.
pub fn repair(
    pool: &Pool,
    observed: &Observed,
    backup: Option<Registry>,
    broken: &str,
    used: &BTreeSet<SlotId>,
) -> Repair {
    let from_backup = backup.is_some();
    let mut registry = backup.unwrap_or_else(|| from_directories(pool, observed));
    let mut claimed = BTreeSet::new();
    let legible = legible_claims(broken);
    for (slot, entry) in &mut registry.slots {
        if entry.claim.is_some() {
            continue;
        }
        let unknown = || Claim { claimed_by: UNKNOWN.to_owned(), claimed_at: None };
        entry.claim = legible.get(slot).cloned().or_else(|| used.contains(slot).then(unknown));
        if entry.claim.is_some() {
            claimed.insert(*slot);
        }
    }
    Repair { registry, from_backup, claimed }
}

/// An entry for every slot whose directory is there. Its files count as kinfra's when all of them are as they should
/// be; otherwise nothing is known of them, and `apply` says what differs.
fn from_directories(pool: &Pool, observed: &Observed) -> Registry {
    let mut registry = Registry::default();
    for slot in pool.slots.values() {
        let SlotDir::Present(files) = observed.dir(slot.id) else { continue };
        let is_right = |path, digest| matches!(files.get(path), Some(FileState::Present { digest: found, .. }) if *found == digest);
        let mut provisioned = slot.provisioned();
        if !slot.files.iter().all(|(path, file)| is_right(path, file.digest)) {
            provisioned = Provisioned { files: BTreeMap::new(), ..provisioned };
        }
        registry.slots.insert(slot.id, Entry::new(provisioned));
    }
    registry
}

/// The claims that can still be read in a broken registry, line by line as kinfra writes it.
fn legible_claims(broken: &str) -> BTreeMap<SlotId, Claim> {
    let mut claims = BTreeMap::new();
    let mut slot = None;
    for line in broken.lines() {
        let Some((key, value)) = line.trim().trim_end_matches(',').split_once(": ") else { continue };
        match key {
            "\"slot_id\"" => slot = value.parse().ok().and_then(SlotId::new),
            "\"claimed_by\"" => {
                if let (Some(slot), Ok(claimed_by)) = (slot, serde_json::from_str(value)) {
                    claims.entry(slot).or_insert(Claim { claimed_by, claimed_at: None });
                }
            }
            "\"claimed_at\"" => {
                if let Some(claim) = slot.and_then(|slot| claims.get_mut(&slot)) {
                    claim.claimed_at = serde_json::from_str(value).ok();
                }
            }
            _ => {}
        }
    }
    claims
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_read_from_what_is_left() {
        let broken = "\
{
  \"version\": 2,
  \"slots\": {
    \"1\": {
      \"slot_id\": 1,
      \"claimed_by\": null,
      \"claimed_at\": null,
    },
    \"2\": {
      \"slot_id\": 2,
      \"claimed_by\": \"/home/me/\\u00e9 tree\",
      \"claimed_at\": \"2026-03-01T17:22:10.004211+00:00\",
    },
    \"3\": {
      \"slot_id\": 3,
      \"claimed_by\": \"/home/me/cu";
        let claims = legible_claims(broken);
        let claim = Claim {
            claimed_by: "/home/me/é tree".to_owned(),
            claimed_at: Some("2026-03-01T17:22:10.004211+00:00".to_owned()),
        };
        assert_eq!(claims, BTreeMap::from([(SlotId::new(2).unwrap(), claim)]));
    }
}
