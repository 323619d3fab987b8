//! An old tool's registry → [`Registry`]. `apply` imports it once, while there is no registry yet, and never
//! changes it.
//!
//! An old file has one of three shapes. Version 1 has `instances` and no `slots`. Version 2 has `slots`, each
//! with or without a `slot_id`. Claims come from the old file. Ports and paths come from the spec, because
//! the old ports collide.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use camino::Utf8Path;
use serde_json::{Map, Value};

use super::claim::Claim;
use super::entry::{Entry, ImportedFrom, Provisioned, Registry};
use crate::desired::Pool;
use crate::digest::Digest;
use crate::identifier::ProfileName;
use crate::json;
use crate::json::{Corrupt, corrupt, optional, optional_object, required};
use crate::slot::{SlotId, Workers};

/// Reads an old tool's registry. An instance holds its slot only if `is_directory` says that its path is a
/// directory. Only the claims that `may_hold` accepts are taken over; the others are given beside it.
///
/// # Errors
/// The first difference from what the old tool writes.
pub fn import(
    text: &str,
    path: &str,
    pool: &Pool,
    is_directory: impl Fn(&str) -> bool,
    may_hold: impl Fn(&Claim) -> bool,
) -> Result<(Registry, BTreeMap<SlotId, Claim>), Corrupt> {
    let mut document = json::object(text)?;
    let version: u64 = required(&mut document, "", "version")?;
    if !(1..=2).contains(&version) {
        return Err(corrupt("version", format!("{version} is neither 1 nor 2")));
    }
    let old_slots = optional_object(&mut document, "", "slots")?.unwrap_or_default();
    let mut slots = BTreeMap::new();
    for (key, value) in old_slots {
        let (slot, entry) = read_slot(&key, value, pool)?;
        slots.insert(slot, entry);
    }
    for (slot, claim) in claims_of_instances(&document, is_directory)? {
        let entry = slots.entry(slot).or_insert_with(|| Entry::new(provisioned(slot, pool)));
        entry.claim.get_or_insert(claim);
    }
    let refused = slots
        .iter_mut()
        .filter_map(|(slot, entry)| Some((*slot, entry.claim.take_if(|claim| !may_hold(claim))?)));
    let refused = refused.collect();
    let sha256 = Digest::of(text.as_bytes());
    // If the old registry was itself imported, keep where from.
    let unknown = document.shift_remove_entry("imported_from").into_iter().collect();
    let imported_from = Some(ImportedFrom { path: path.to_owned(), sha256, unknown });
    // Of another root's registry, neither its id nor which pool it is.
    for own in ["id", "applied_from"] {
        document.shift_remove(own);
    }
    let slots = slots.into_iter().map(|(slot, entry)| (slot, Arc::new(entry))).collect();
    Ok((Registry { id: None, applied_from: None, slots, imported_from, unknown: document }, refused))
}

fn read_slot(key: &str, value: Value, pool: &Pool) -> Result<(SlotId, Entry), Corrupt> {
    let path = format!("slots.{}", key.escape_debug());
    let Value::Object(mut old) = value else { return Err(corrupt(path, "is not an object")) };
    let slot = key.parse().ok().and_then(SlotId::new).filter(|slot| slot.to_string() == key);
    let slot = slot.ok_or_else(|| corrupt(&path, "is not the id of a slot"))?;
    let id: Option<u16> = optional(&mut old, &path, "slot_id")?;
    if id.is_some_and(|id| id != slot.get()) {
        return Err(corrupt(path, "key and slot_id must be the same slot"));
    }
    let mut entry = Entry::new(provisioned(slot, pool));
    entry.claim = Claim::take(&mut old, &path)?;
    if let Some(status) = optional(&mut old, &path, "status")? {
        entry.status = status;
    }
    if !pool.slots.contains_key(&slot) {
        entry.provisioned.profile = required(&mut old, &path, "profile")?;
        entry.provisioned.workers = optional(&mut old, &path, "workers")?.unwrap_or_default();
    }
    for replaced in ["infrastructure_path", "profile", "workers", "ports", "udp", "files"] {
        old.shift_remove(replaced);
    }
    entry.unknown = old;
    Ok((slot, entry))
}

/// The slot as the spec has it, but without files: nothing is known of those on disk. A slot that is not in
/// the spec gets no ports.
pub(crate) fn provisioned(slot: SlotId, pool: &Pool) -> Provisioned {
    match pool.slots.get(&slot) {
        Some(slot) => Provisioned { files: BTreeMap::new(), ..slot.provisioned() },
        None => Provisioned {
            infrastructure_path: pool.root.join(slot.directory()).into_string(),
            profile: ProfileName::unknown(),
            workers: Workers::new(),
            ports: BTreeMap::new(),
            udp: BTreeSet::new(),
            files: BTreeMap::new(),
        },
    }
}

/// The claims of the instances whose directory still exists.
fn claims_of_instances(
    document: &Map<String, Value>,
    is_directory: impl Fn(&str) -> bool,
) -> Result<BTreeMap<SlotId, Claim>, Corrupt> {
    let mut claims = BTreeMap::new();
    let Some(instances) = document.get("instances").filter(|instances| !instances.is_null()) else {
        return Ok(claims);
    };
    let Value::Object(instances) = instances else { return Err(corrupt("instances", "is not an object")) };
    for (name, instance) in instances {
        let path = format!("instances.{}", name.escape_debug());
        let Value::Object(mut instance) = instance.clone() else {
            return Err(corrupt(path, "is not an object"));
        };
        let slot: Option<u16> = optional(&mut instance, &path, "slot")?;
        let claimed_by: Option<String> = optional(&mut instance, &path, "path")?;
        let claimed_at: Option<String> = optional(&mut instance, &path, "created_at")?;
        let is_there = |path: &String| Utf8Path::new(path).is_absolute() && is_directory(path);
        let held = slot.and_then(SlotId::new).zip(claimed_by.filter(is_there));
        if let Some((slot, claimed_by)) = held {
            claims.entry(slot).or_insert(Claim::of(claimed_by.into(), claimed_at));
        }
    }
    Ok(claims)
}
