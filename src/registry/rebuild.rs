//! A replacement for a registry that cannot be read: its backup, completed from the slot directories. Pure.
//!
//! A repair never frees a slot. A slot with any sign of use comes back claimed, by `unknown` if its holder is
//! not known.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Deserializer;

use super::claim::{Claim, Holder};
use super::entry::{Entry, Provisioned, Registry};
use super::migrate;
use crate::desired::{Pool, Slot};
use crate::file::RelPath;
use crate::observe::{FileState, Observed, SlotDir};
use crate::port::HostPort;
use crate::slot::SlotId;

/// A registry to replace the broken one.
#[derive(Debug, Clone, PartialEq)]
pub struct Repair {
    /// Its content.
    pub registry: Registry,
    /// Whether it was made from the backup. Otherwise it was made from the slot directories alone.
    pub from_backup: bool,
}

/// Makes the replacement for a broken registry. `broken` and `backup` are the texts of the registry and of
/// its backup, as far as they can be read. `observed` is what is on disk. `used` are the slots that show
/// signs of use.
pub fn repair(
    pool: &Pool,
    observed: &Observed,
    broken: &str,
    backup: &str,
    used: &BTreeSet<SlotId>,
) -> Repair {
    let backed_up = Registry::parse(backup).ok();
    let from_backup = backed_up.is_some();
    let mut registry = backed_up.unwrap_or_default();
    let mut claims = readable_claims(backup);
    claims.extend(readable_claims(broken));
    for slot in used {
        claims.entry(*slot).or_insert_with(|| Claim::of(Holder::Unknown, None));
    }
    let entries = registry.slots.values();
    let mut held: BTreeSet<HostPort> =
        entries.flat_map(|entry| entry.provisioned.host_ports()).map(|(_, port)| port).collect();
    let present = observed.dirs.iter().filter(|(_, dir)| matches!(dir, SlotDir::Present { .. }));
    for slot in present.map(|(slot, _)| slot).chain(claims.keys()) {
        if !registry.slots.contains_key(slot) {
            let entry = Entry::new(provisioned(*slot, pool, observed, &held));
            held.extend(entry.provisioned.host_ports().map(|(_, port)| port));
            registry.slots.insert(*slot, Arc::new(entry));
        }
    }
    for (slot, claim) in claims {
        let Some(entry) = registry.slot_mut(slot) else { continue };
        // If the backup has the same claim, keep the backup's: it has all fields, and `claim` only these two.
        let is_same = |backed_up: &Claim| {
            (&backed_up.claimed_by, &backed_up.claimed_at) == (&claim.claimed_by, &claim.claimed_at)
        };
        if !entry.claim.as_ref().is_some_and(is_same) {
            entry.claim = Some(claim);
        }
    }
    Repair { registry, from_backup }
}

/// The provisioned part of a slot that is in no registry. If all its files are as the spec wants them, they
/// count as kinfra's. Otherwise nothing is known of them, and `plan` shows what differs.
fn provisioned(slot: SlotId, pool: &Pool, observed: &Observed, held: &BTreeSet<HostPort>) -> Provisioned {
    let provisioned = match (pool.slots.get(&slot), observed.dir(slot)) {
        (Some(slot), SlotDir::Present { files, others: _ }) if are_as_desired(files, slot) => {
            slot.provisioned()
        }
        _ => migrate::provisioned(slot, pool),
    };
    if provisioned.host_ports().any(|(_, port)| held.contains(&port)) {
        // The port formulas changed after the backup was made.
        return Provisioned {
            ports: BTreeMap::new(),
            udp: BTreeSet::new(),
            files: BTreeMap::new(),
            ..provisioned
        };
    }
    provisioned
}

fn are_as_desired(files: &BTreeMap<RelPath, FileState>, slot: &Slot) -> bool {
    slot.files.iter().all(|(path, file)| {
        matches!(files.get(path), Some(FileState::Present { digest, mode: _ }) if *digest == file.digest)
    })
}

/// The claims that can still be read in a broken registry. Does not depend on its layout, or on where it is
/// broken.
fn readable_claims(broken: &str) -> BTreeMap<SlotId, Claim> {
    // The first of two values counts: kinfra writes its own keys first, and a later unknown key can have the
    // same name.
    let mut found: BTreeMap<SlotId, (Option<Option<Holder>>, Option<String>)> = BTreeMap::new();
    let (mut rest, mut slot) = (broken, None);
    while let Some((_, quoted)) = rest.find('"').and_then(|start| rest.split_at_checked(start)) {
        let Some((key, after)) = leading::<String>(quoted) else {
            // A string never spans lines, so the next line begins outside of a string.
            rest = quoted.split_once('\n').map_or("", |(_, next)| next);
            continue;
        };
        rest = after;
        let Some(value) = after.trim_start().strip_prefix(':').map(str::trim_start) else { continue };
        match (key.as_str(), slot) {
            ("slot_id", _) => slot = leading(value).and_then(|(number, _)| SlotId::new(number)),
            ("claimed_by", Some(slot)) if value.starts_with('"') => {
                let claimed_by = leading::<String>(value).map_or(Holder::Unknown, |(text, _)| text.into());
                found.entry(slot).or_default().0.get_or_insert(Some(claimed_by));
            }
            ("claimed_by", Some(slot)) if value.starts_with("null") => {
                found.entry(slot).or_default().0.get_or_insert(None);
            }
            ("claimed_at", Some(slot)) => {
                let claimed_at = &mut found.entry(slot).or_default().1;
                *claimed_at = claimed_at.take().or_else(|| Some(leading(value)?.0));
            }
            (key, _) if value.starts_with('{') => {
                slot = key.parse().ok().and_then(SlotId::new).or(slot);
            }
            _ => {}
        }
    }
    let claims = found.into_iter();
    claims.filter_map(|(slot, (by, claimed_at))| Some((slot, Claim::of(by??, claimed_at)))).collect()
}

/// The JSON value at the start of a text, and the rest of the text.
fn leading<T: for<'de> serde::Deserialize<'de>>(text: &str) -> Option<(T, &str)> {
    let mut values = Deserializer::from_str(text).into_iter();
    let value = values.next()?.ok()?;
    Some((value, text.get(values.byte_offset()..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(broken: &str) -> Vec<(u16, String, Option<String>)> {
        let claims = readable_claims(broken).into_iter();
        claims.map(|(slot, claim)| (slot.get(), claim.claimed_by.to_string(), claim.claimed_at)).collect()
    }

    fn claim(slot: u16, by: &str, at: Option<&str>) -> (u16, String, Option<String>) {
        (slot, by.to_owned(), at.map(str::to_owned))
    }

    #[test]
    fn claims_are_read_from_a_truncated_registry() {
        let broken = r#"{
  "version": 2,
  "slots": {
    "1": {
      "slot_id": 1,
      "claimed_by": null,
      "claimed_at": null,
    },
    "2": {
      "slot_id": 2, "note": "}}} \q
      "claimed_by": "/home/me/\u00e9 tree",
      "claimed_at": "2026-03-01T17:22:10.004211+00:00",
      "workers": {}
    },
    "3": {
      "slot_id": 3,
      "claimed_by": "/home/me/cu"#;
        let at = Some("2026-03-01T17:22:10.004211+00:00");
        assert_eq!(claims(broken), [claim(2, "/home/me/é tree", at), claim(3, "unknown", None)]);
    }

    #[test]
    fn claims_are_read_in_any_layout_and_key_order() {
        let sorted = r#"{"slots":{"1":{"claimed_at":null,"claimed_by":null,"slot_id":1},
            "4":{"claimed_at":"t","claimed_by":"/a","ports":{"web":1},"slot_id":4}},"version":2}}"#;
        assert_eq!(claims(&sorted.replace(['\n', ' '], "")), [claim(4, "/a", Some("t"))]);
        let nested = r#"{"3": {"slot_id": 3, "claimed_by": null, "x_history": [{"claimed_by": "/old"}]}}"#;
        assert_eq!(claims(nested), []);
        let twice = r#"{"slots": {"2": {"claimed_by": "/a"}, "2": {"claimed_by": null}}}"#;
        assert_eq!(claims(twice), [claim(2, "/a", None)]);
        assert_eq!(claims("\"\"\"\u{0}{[[\"claimed_by\":\"x\""), []);
    }

    #[test]
    fn a_claim_is_read_for_the_slot_that_it_stands_in() {
        let at = Some("t");
        for (text, found) in [
            // The key of the slot is lost.
            (r#"{"slot_id": 7, "claimed_by": "/a", "claimed_at": "t"}"#, vec![claim(7, "/a", at)]),
            (r#"{"slot_id": 0, "claimed_by": "/a"}"#, vec![]),
            // Another value under a key that is a number.
            (r#"{"1": {"5": true, "claimed_by": "/a"}}"#, vec![claim(1, "/a", None)]),
            (r#"{"1": {"x": {"claimed_by": "/a"}}}"#, vec![claim(1, "/a", None)]),
            (r#"{"1": {"claimed_by": 7, "x": 1}, "2": {"claimed_by": "/b"}}"#, vec![claim(2, "/b", None)]),
            (r#"{"1": {"claimed_by": 7, "claimed_by": "/a"}}"#, vec![claim(1, "/a", None)]),
            (r#"{"1": {"claimed_by": "/a", "claimed_at": null}}"#, vec![claim(1, "/a", None)]),
            (r#"{"1": {"claimed_by": "/a", "claimed_at": 7, "claimed_at": "t"}}"#, vec![claim(1, "/a", at)]),
            (
                r#"{"1": {"claimed_at": "t", "claimed_at": "u", "claimed_by": "/a"}}"#,
                vec![claim(1, "/a", at)],
            ),
        ] {
            assert_eq!(claims(text), found, "{text}");
        }
    }

    #[test]
    fn a_slot_in_no_registry_is_as_the_spec_wants_it_if_its_files_are() {
        use crate::desired::tests::{slot, small};
        let pool = small();
        let wanted = &pool.slots[&slot(1)];
        let (path, file) = wanted.files.first_key_value().unwrap();
        let present = |state: Option<FileState>| {
            let others = wanted.files.iter().skip(1).map(|(path, file)| {
                (path.clone(), FileState::Present { digest: file.digest, mode: file.mode })
            });
            let files = state.map(|state| (path.clone(), state)).into_iter().chain(others).collect();
            let dir = SlotDir::Present { files, others: Vec::new() };
            Observed { dirs: [(slot(1), dir)].into(), ..Observed::default() }
        };
        let right = FileState::Present { digest: file.digest, mode: file.mode };
        let other = FileState::Present { digest: crate::digest::Digest::of(b"x"), mode: file.mode };
        let whole = wanted.provisioned();
        let ports = Provisioned { files: BTreeMap::new(), ..whole.clone() };
        for (state, expected) in [(Some(right), &whole), (Some(other), &ports), (None, &ports)] {
            let made = provisioned(slot(1), &pool, &present(state), &BTreeSet::new());
            assert_eq!(&made, expected, "{state:?}");
        }
        // Another entry holds its UDP port: nothing of it is known.
        let held: BTreeSet<HostPort> = whole.host_ports().map(|(_, port)| port).skip(1).collect();
        let made = provisioned(slot(1), &pool, &present(Some(right)), &held);
        let nothing = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        assert_eq!((made.ports, made.udp, made.files), nothing);
        let repaired = repair(&pool, &present(Some(right)), "{", "", &[slot(2)].into());
        assert!(!repaired.from_backup);
        let entries = &repaired.registry.slots;
        assert_eq!(entries[&slot(1)].provisioned, whole);
        assert_eq!((&entries[&slot(1)].claim, entries.len()), (&None, 2));
        assert_eq!(entries[&slot(2)].claim.as_ref().map(|claim| &claim.claimed_by), Some(&Holder::Unknown));
    }

    #[test]
    fn what_the_backup_knows_of_a_claim_is_kept_if_it_is_the_same_claim() {
        use crate::desired::tests::{slot, small};
        let backup = r#"{"version": 2, "slots": {"1": {"slot_id": 1, "infrastructure_path": "", "profile": "light",
            "workers": {}, "ports": {}, "claimed_by": "/a", "claimed_at": "t", "status": "stopped", "note": "n"}}}"#;
        let repaired = |broken: &str| {
            let repair = repair(&small(), &Observed::default(), broken, backup, &BTreeSet::new());
            assert!(repair.from_backup);
            let claim = repair.registry.slots[&slot(1)].claim.clone().unwrap();
            (claim.claimed_by.to_string(), claim.note)
        };
        assert_eq!(repaired("{"), ("/a".to_owned(), Some("n".to_owned())));
        let same = r#"{"1": {"claimed_by": "/a", "claimed_at": "t""#;
        assert_eq!(repaired(same), ("/a".to_owned(), Some("n".to_owned())));
        let later = r#"{"1": {"claimed_by": "/a", "claimed_at": "u""#;
        assert_eq!(repaired(later), ("/a".to_owned(), None));
        assert_eq!(repaired(&later.replace("/a", "/b")), ("/b".to_owned(), None));
    }
}
