//! The format of `registry.json`, and its checks. Pure.
//!
//! The reader is strict: it refuses what it does not fully understand, because the next save would make a
//! misreading permanent. It keeps unknown keys at every level, and every digit of a number.
//!
//! There are two readers, which agree. The quick one in `quick.rs` reads nearly every registry. The careful
//! one here reads the others, and says what is wrong.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::applied_from::AppliedFrom;
use super::claim::{Claim, Holder, OwnKeys};
use super::entry::{Entry, ImportedFrom, Pending, Provisioned, Registry, Status};
use super::id::RegistryId;
use super::quick;
use super::stack::{Engine, Left, Started};
use crate::digest::Digest;
use crate::file::RelPath;
use crate::identifier::{PortName, ProfileName};
use crate::json::{self, Corrupt, at_line, corrupt, file_hashes, optional, optional_object, required};
use crate::memory::Memory;
use crate::port::Port;
use crate::slot::{SlotId, Workers};

/// The version of the format that this kinfra reads and writes.
pub(super) const VERSION: u64 = 2;

impl Registry {
    /// Reads a registry.
    ///
    /// # Errors
    /// The first difference from what kinfra writes.
    pub fn parse(text: &str) -> Result<Self, Corrupt> {
        Self::parse_quickly(text).map_or_else(|| Self::parse_carefully(text), Ok)
    }

    /// Reads a registry in less than half the time. `None` if something in it may be wrong.
    pub fn parse_quickly(text: &str) -> Option<Self> {
        let quick::Document { slots, rest: mut document } = quick::read(text)?;
        check_version(&mut document).ok()?;
        Self::of(slots, document).ok()
    }

    /// Reads a registry so that the first mistake is found, and said with its place.
    ///
    /// # Errors
    /// As [`Registry::parse`].
    pub fn parse_carefully(text: &str) -> Result<Self, Corrupt> {
        let mut document = json::object(text)?;
        check_version(&mut document)?;
        let slots =
            optional_object(&mut document, "", "slots")?.ok_or_else(|| corrupt("slots", "is missing"))?;
        let read =
            |(key, value): (String, Value)| read_entry(&key, value).map(|(id, entry)| (id, Arc::new(entry)));
        Self::of(slots.into_iter().map(read).collect::<Result<_, _>>()?, document)
    }

    /// The registry of these slots and the rest of its document.
    fn of(slots: BTreeMap<SlotId, Arc<Entry>>, mut document: Map<String, Value>) -> Result<Self, Corrupt> {
        let imported_from =
            optional_object(&mut document, "", "imported_from")?.map(ImportedFrom::take).transpose()?;
        let id = optional(&mut document, "", "id")?;
        let applied_from =
            optional_object(&mut document, "", "applied_from")?.map(AppliedFrom::take).transpose()?;
        let registry = Self { id, applied_from, slots, imported_from, unknown: document };
        registry.check_ports()?;
        Ok(registry)
    }

    /// Writes the registry.
    ///
    /// # Errors
    /// What [`Registry::parse`] would refuse. Such a registry must not be written.
    pub fn to_text(&self) -> Result<String, Corrupt> {
        let Self { id, applied_from, slots, imported_from, unknown } = self;
        let slots = Slots(slots);
        let document = RegistryDocument { version: VERSION, id, applied_from, slots, imported_from, unknown };
        self.check()?;
        let mut text = serde_json::to_string_pretty(&document).map_err(|error| at_line(&error))?;
        text.push('\n');
        // The two checks are what a registry of valid values can fail. A development build proves that by
        // reading.
        if cfg!(debug_assertions) && Self::parse(&text)? != *self {
            return Err(corrupt("the registry", "would not read back unchanged"));
        }
        Ok(text)
    }

    /// Refuses what a reader would refuse, and a registry of valid values can have.
    pub(super) fn check(&self) -> Result<(), Corrupt> {
        self.check_ports()?;
        self.check_unknown_keys()
    }

    /// Refuses an unknown key that has the name of one that kinfra writes: the name would stand twice.
    fn check_unknown_keys(&self) -> Result<(), Corrupt> {
        let known = |unknown: &Map<String, Value>, own: &[&str]| {
            unknown.keys().find(|key| own.contains(&key.as_str())).cloned()
        };
        let twice = |place: String, key: String| corrupt(format!("{place}{key}"), "would stand twice");
        if let Some(key) = known(&self.unknown, &DOCUMENT_KEYS) {
            return Err(twice(String::new(), key));
        }
        let imported = self.imported_from.as_ref().and_then(|from| known(&from.unknown, &["path", "sha256"]));
        if let Some(key) = imported {
            return Err(twice("imported_from.".to_owned(), key));
        }
        if let Some(key) = self.applied_from.as_ref().and_then(AppliedFrom::key_that_stands_twice) {
            return Err(twice("applied_from.".to_owned(), key.clone()));
        }
        for (id, entry) in &self.slots {
            if let Some(key) = known(&entry.unknown, &ENTRY_KEYS) {
                return Err(twice(format!("slots.{id}."), key));
            }
            let left = entry.started.as_ref().and_then(|started| started.left.as_ref());
            if let Some(key) = left.and_then(Left::key_that_stands_twice) {
                return Err(twice(format!("slots.{id}.left."), key.clone()));
            }
        }
        Ok(())
    }
}

/// The top level without its slots.
pub(super) fn top(registry: &Registry) -> Value {
    let Registry { id, applied_from, slots: _, imported_from, unknown } = registry;
    let none = BTreeMap::new();
    let slots = Slots(&none);
    let document = RegistryDocument { version: VERSION, id, applied_from, slots, imported_from, unknown };
    let mut top = serde_json::to_value(document).unwrap_or_default();
    if let Value::Object(top) = &mut top {
        top.shift_remove("slots");
    }
    top
}

/// The registry of its slots and its top level.
pub(super) fn of_parts(
    slots: BTreeMap<SlotId, Arc<Entry>>,
    mut top: Map<String, Value>,
) -> Result<Registry, Corrupt> {
    check_version(&mut top)?;
    Registry::of(slots, top)
}

impl Entry {
    /// The entry as the registry holds it.
    pub fn to_json(&self, id: SlotId) -> Value {
        serde_json::to_value(self.document(id)).unwrap_or_default()
    }

    fn document(&self, id: SlotId) -> EntryDocument<'_> {
        let Self { provisioned, pending, claim, status, started, peak_memory, unknown } = self;
        let Provisioned { infrastructure_path, profile, workers, ports, udp, files } = provisioned;
        let (claimed_by, claimed_at, claim) =
            claim.as_ref().map(Claim::keys).map_or((None, None, None), |(claimed_by, claimed_at, own)| {
                (Some(claimed_by), claimed_at, Some(own))
            });
        EntryDocument {
            slot_id: id,
            infrastructure_path,
            profile,
            workers,
            ports,
            udp,
            claimed_by,
            claimed_at,
            status,
            claim,
            started_at: started.as_ref().map(|started| started.at.as_str()),
            started_as: started.as_ref().map(|started| started.project.as_str()),
            started_in: started.as_ref().and_then(|started| started.engine.as_ref()),
            started_profiles: started.as_ref().map_or(&[], |started| started.profiles.as_slice()),
            left: started.as_ref().and_then(|started| started.left.as_ref()),
            peak_memory: *peak_memory,
            files,
            pending,
            unknown,
        }
    }
}

/// The top-level keys that kinfra writes.
const DOCUMENT_KEYS: [&str; 5] = ["version", "id", "slots", "applied_from", "imported_from"];

/// The keys of an entry that kinfra writes.
const ENTRY_KEYS: [&str; 34] = [
    "slot_id",
    "infrastructure_path",
    "profile",
    "workers",
    "ports",
    "udp",
    "claimed_by",
    "claimed_at",
    "status",
    "claim_owner",
    "claim_of_run",
    "claim_in_run",
    "claim_id",
    "lease",
    "lease_until",
    "note",
    "claimed_host",
    "claimed_user",
    "claimed_gitdir",
    "claimed_mount",
    "claimed_token",
    "claimed_place",
    "claimed_above",
    "claimed_repository",
    "claim_marked",
    "claim_files",
    "started_at",
    "started_as",
    "started_in",
    "started_profiles",
    "left",
    "peak_memory",
    "files",
    "pending",
];

/// The file, with its keys in the order of writing.
#[derive(Serialize)]
struct RegistryDocument<'a> {
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: &'a Option<RegistryId>,
    slots: Slots<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    applied_from: &'a Option<AppliedFrom>,
    #[serde(skip_serializing_if = "Option::is_none")]
    imported_from: &'a Option<ImportedFrom>,
    #[serde(flatten)]
    unknown: &'a Map<String, Value>,
}

/// The entries. Each document is made when its turn to be written comes.
struct Slots<'a>(&'a BTreeMap<SlotId, Arc<Entry>>);

impl Serialize for Slots<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(id, entry)| (id, entry.document(*id))))
    }
}

/// An entry, with its keys in the order of writing: the old tool's keys first.
#[derive(Serialize)]
struct EntryDocument<'a> {
    slot_id: SlotId,
    infrastructure_path: &'a str,
    profile: &'a ProfileName,
    workers: &'a Workers,
    ports: &'a BTreeMap<PortName, Port>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    udp: &'a BTreeSet<PortName>,
    claimed_by: Option<&'a Holder>,
    claimed_at: Option<&'a str>,
    status: &'a Status,
    #[serde(flatten)]
    claim: Option<OwnKeys<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_as: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_in: Option<&'a Engine>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    started_profiles: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<&'a Left>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_memory: Option<Memory>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    files: &'a BTreeMap<RelPath, Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: &'a Option<Pending>,
    #[serde(flatten)]
    unknown: &'a Map<String, Value>,
}

fn check_version(document: &mut Map<String, Value>) -> Result<(), Corrupt> {
    let version: u64 = required(document, "", "version")?;
    match version.cmp(&VERSION) {
        Ordering::Equal => Ok(()),
        Ordering::Greater => {
            let reason = format!("{version} is newer than this kinfra, which reads {VERSION}");
            Err(Corrupt { is_newer: true, ..corrupt("version", reason) })
        }
        Ordering::Less => {
            Err(corrupt("version", format!("{version} is not {VERSION}, the one that kinfra writes")))
        }
    }
}

pub(super) fn read_entry(key: &str, value: Value) -> Result<(SlotId, Entry), Corrupt> {
    let path = format!("slots.{}", key.escape_debug());
    let Value::Object(mut entry) = value else {
        return Err(corrupt(path, "is not an object"));
    };
    let number: u16 = required(&mut entry, &path, "slot_id")?;
    let id = SlotId::new(number).filter(|id| id.to_string() == key);
    let id =
        id.ok_or_else(|| corrupt(&path, format!("has slot_id {number}: key and id must be the same slot")))?;
    let provisioned = Provisioned {
        infrastructure_path: required(&mut entry, &path, "infrastructure_path")?,
        profile: required(&mut entry, &path, "profile")?,
        workers: required(&mut entry, &path, "workers")?,
        ports: required(&mut entry, &path, "ports")?,
        udp: read_udp(&mut entry, &path)?,
        files: file_hashes(&mut entry, &path, "files")?,
    };
    let pending = optional(&mut entry, &path, "pending")?;
    let claim = Claim::take(&mut entry, &path)?;
    let status = required(&mut entry, &path, "status")?;
    let started = read_started(&mut entry, &path)?;
    let peak_memory = optional(&mut entry, &path, "peak_memory")?;
    // Into a map of its own, which is as small as what is left.
    let unknown = entry.into_iter().collect();
    Ok((id, Entry { provisioned, pending, claim, status, started, peak_memory, unknown }))
}

/// Takes the last start. Time and project are there, or none of its keys.
fn read_started(entry: &mut Map<String, Value>, path: &str) -> Result<Option<Started>, Corrupt> {
    let at = optional(entry, path, "started_at")?;
    let project = optional(entry, path, "started_as")?;
    let engine: Option<Engine> = optional(entry, path, "started_in")?;
    let profiles: Vec<String> = optional(entry, path, "started_profiles")?.unwrap_or_default();
    let left = optional_object(entry, path, "left")?;
    let left = left.map(|left| Left::take(left, path)).transpose()?;
    match (at, project) {
        (None, None) if engine.is_none() && profiles.is_empty() && left.is_none() => Ok(None),
        (Some(at), Some(project)) => Ok(Some(Started { at, project, engine, profiles, left })),
        (None, _) => Err(corrupt(format!("{path}.started_at"), "is missing")),
        (Some(_), None) => Err(corrupt(format!("{path}.started_as"), "is missing")),
    }
}

/// Takes the names of the UDP ports. A list in another order would not be saved as it was.
fn read_udp(entry: &mut Map<String, Value>, path: &str) -> Result<BTreeSet<PortName>, Corrupt> {
    let names: Vec<PortName> = optional(entry, path, "udp")?.unwrap_or_default();
    if names.is_sorted_by(|name, next| name < next) {
        return Ok(names.into_iter().collect());
    }
    Err(corrupt(format!("{path}.udp"), "is not a sorted list of ports"))
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
