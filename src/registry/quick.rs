//! The quick reader of `registry.json`: known keys straight into their types. Pure.
//!
//! It takes only what is right in every way, and gives no reason for the rest. The careful reader in
//! `codec.rs` has the last word there, so each message has one source.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{self, DeserializeSeed, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::claim::{Claim, ClaimId, Lease};
use super::entry::{Entry, Provisioned, Status};
use super::mark::{Mark, Place, Token};
use super::stack::{Engine, Left, Started};
use crate::digest::Digest;
use crate::file::RelPath;
use crate::identifier::{Owner, PortName, ProfileName, WorkerKind};
use crate::json::{Distinct, Once, Unique};
use crate::memory::Memory;
use crate::port::Port;
use crate::slot::SlotId;
use crate::time::{Span, Time};

#[cfg(test)]
#[path = "quick_tests.rs"]
mod tests;

/// A registry's slots, and the other keys of the document.
#[derive(Default)]
pub(super) struct Document {
    pub(super) slots: BTreeMap<SlotId, Arc<Entry>>,
    pub(super) rest: Map<String, Value>,
}

/// Reads a registry's slots. `None` if they must be read with care.
pub(super) fn read(text: &str) -> Option<Document> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let document = deserializer.deserialize_map(DocumentVisitor).ok()?;
    deserializer.end().ok()?;
    Some(document)
}

/// Ends quick reading. The text of this error is never shown.
fn with_care<E: de::Error>() -> E {
    E::custom("must be read with care")
}

/// A key, without a copy where it has no escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

struct DocumentVisitor;

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a registry")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Document, A::Error> {
        let mut slots = None;
        let mut rest = Map::new();
        while let Some(Key(key)) = entries.next_key()? {
            let is_new = if key == "slots" {
                slots.replace(entries.next_value_seed(SlotsVisitor)?).is_none()
            } else {
                let Unique(value) = entries.next_value()?;
                rest.insert(key.into_owned(), value).is_none()
            };
            if !is_new {
                return Err(with_care());
            }
        }
        Ok(Document { slots: slots.ok_or_else(with_care)?, rest })
    }
}

struct SlotsVisitor;

impl<'de> DeserializeSeed<'de> for SlotsVisitor {
    type Value = BTreeMap<SlotId, Arc<Entry>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for SlotsVisitor {
    type Value = BTreeMap<SlotId, Arc<Entry>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("slots")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut slots = BTreeMap::new();
        while let Some(Key(key)) = entries.next_key()? {
            let keys: Keys = entries.next_value()?;
            let (id, entry) = keys.entry()?;
            if id.to_string() != key || slots.insert(id, Arc::new(entry)).is_some() {
                return Err(with_care());
            }
        }
        Ok(slots)
    }
}

/// The keys of an entry, in any order.
#[derive(Default)]
struct Keys {
    slot_id: Once<u16>,
    infrastructure_path: Once<String>,
    profile: Once<ProfileName>,
    workers: Once<Distinct<WorkerKind, u16>>,
    ports: Once<Distinct<PortName, Port>>,
    udp: Once<Vec<PortName>>,
    files: Once<Distinct<RelPath, Digest>>,
    /// Not yet in its type: it is rare.
    pending: Once<Unique>,
    status: Once<Status>,
    started_at: Once<String>,
    started_as: Once<String>,
    started_in: Once<Engine>,
    started_profiles: Once<Vec<String>>,
    /// Not yet in its type: it is rare.
    left: Once<Unique>,
    peak_memory: Once<Memory>,
    claim: ClaimKeys,
    unknown: Map<String, Value>,
}

/// The keys of a claim, in any order.
#[derive(Default)]
struct ClaimKeys {
    claimed_by: Once<String>,
    claim_owner: Once<Owner>,
    claim_of_run: Once<bool>,
    claim_in_run: Once<ClaimId>,
    claimed_at: Once<String>,
    claim_id: Once<ClaimId>,
    lease: Once<Span>,
    lease_until: Once<Time>,
    note: Once<String>,
    claimed_host: Once<String>,
    claimed_user: Once<String>,
    claimed_gitdir: Once<String>,
    claimed_mount: Once<String>,
    claimed_token: Once<Token>,
    claimed_place: Once<Place>,
    claimed_above: Once<Place>,
    claimed_repository: Once<Place>,
    claim_marked: Once<String>,
    claim_files: Once<Distinct<RelPath, Digest>>,
}

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(KeysVisitor)
    }
}

struct KeysVisitor;

impl<'de> Visitor<'de> for KeysVisitor {
    type Value = Keys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an entry")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Keys, A::Error> {
        let mut keys = Keys::default();
        while let Some(Key(key)) = entries.next_key()? {
            keys.read(key, &mut entries)?;
        }
        Ok(keys)
    }
}

impl Keys {
    /// Reads the value of a key.
    fn read<'de, A: MapAccess<'de>>(&mut self, key: Cow<'de, str>, from: &mut A) -> Result<(), A::Error> {
        match key.as_ref() {
            "slot_id" => self.slot_id.read(from),
            "infrastructure_path" => self.infrastructure_path.read(from),
            "profile" => self.profile.read(from),
            "workers" => self.workers.read(from),
            "ports" => self.ports.read(from),
            "udp" => self.udp.read(from),
            "files" => self.files.read(from),
            "pending" => self.pending.read(from),
            "status" => self.status.read(from),
            "started_at" => self.started_at.read(from),
            "started_as" => self.started_as.read(from),
            "started_in" => self.started_in.read(from),
            "started_profiles" => self.started_profiles.read(from),
            "left" => self.left.read(from),
            "peak_memory" => self.peak_memory.read(from),
            "claimed_by" => self.claim.claimed_by.read(from),
            "claim_owner" => self.claim.claim_owner.read(from),
            "claim_of_run" => self.claim.claim_of_run.read(from),
            "claim_in_run" => self.claim.claim_in_run.read(from),
            "claimed_at" => self.claim.claimed_at.read(from),
            "claim_id" => self.claim.claim_id.read(from),
            "lease" => self.claim.lease.read(from),
            "lease_until" => self.claim.lease_until.read(from),
            "note" => self.claim.note.read(from),
            "claimed_host" => self.claim.claimed_host.read(from),
            "claimed_user" => self.claim.claimed_user.read(from),
            "claimed_gitdir" => self.claim.claimed_gitdir.read(from),
            "claimed_mount" => self.claim.claimed_mount.read(from),
            "claimed_token" => self.claim.claimed_token.read(from),
            "claimed_place" => self.claim.claimed_place.read(from),
            "claimed_above" => self.claim.claimed_above.read(from),
            "claimed_repository" => self.claim.claimed_repository.read(from),
            "claim_marked" => self.claim.claim_marked.read(from),
            "claim_files" => self.claim.claim_files.read(from),
            _ => {
                let Unique(value) = from.next_value()?;
                let before = self.unknown.insert(key.into_owned(), value);
                before.map_or(Ok(()), |_| Err(with_care()))
            }
        }
    }

    /// The entry with these keys.
    ///
    /// # Errors
    /// When they do not make one, or must be read with care.
    fn entry<E: de::Error>(self) -> Result<(SlotId, Entry), E> {
        let id = SlotId::new(self.slot_id.required()?).ok_or_else(with_care)?;
        let udp = self.udp.value().unwrap_or_default();
        if !udp.is_sorted_by(|name, next| name < next) {
            return Err(with_care());
        }
        let (engine, profiles) = (self.started_in.value(), self.started_profiles.value().unwrap_or_default());
        let left = left(self.left)?;
        let started = match (self.started_at.value(), self.started_as.value()) {
            (None, None) if engine.is_none() && profiles.is_empty() && left.is_none() => None,
            (Some(at), Some(project)) => Some(Started { at, project, engine, profiles, left }),
            (None, _) | (Some(_), None) => return Err(with_care()),
        };
        let provisioned = Provisioned {
            infrastructure_path: self.infrastructure_path.required()?,
            profile: self.profile.required()?,
            workers: self.workers.required()?.0,
            ports: self.ports.required()?.0,
            udp: udp.into_iter().collect(),
            files: self.files.value().unwrap_or_default().0,
        };
        let pending = self.pending.value().map(|Unique(value)| serde_json::from_value(value));
        let entry = Entry {
            provisioned,
            pending: pending.transpose().map_err(E::custom)?,
            claim: self.claim.claim()?,
            status: self.status.required()?,
            started,
            peak_memory: self.peak_memory.value(),
            unknown: self.unknown,
        };
        Ok((id, entry))
    }
}

/// What a stack left behind, if it is noted.
///
/// # Errors
/// When it must be read with care.
fn left<E: de::Error>(value: Once<Unique>) -> Result<Option<Left>, E> {
    let Some(Unique(value)) = value.value() else { return Ok(None) };
    let Value::Object(object) = value else { return Err(with_care()) };
    Left::take(object, "").map(Some).map_err(E::custom)
}

impl ClaimKeys {
    /// The claim with these keys, if they have a holder.
    ///
    /// # Errors
    /// When they must be read with care.
    fn claim<E: de::Error>(self) -> Result<Option<Claim>, E> {
        let lease = match (self.lease.value(), self.lease_until.value()) {
            (Some(length), Some(until)) => Some(Lease { length, until }),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(with_care()),
        };
        let Some(claimed_by) = self.claimed_by.value() else { return Ok(None) };
        let claim = Claim {
            claimed_by: claimed_by.into(),
            claim_owner: self.claim_owner.value(),
            is_of_run: self.claim_of_run.value().unwrap_or_default(),
            in_run: self.claim_in_run.value(),
            claimed_at: self.claimed_at.value(),
            claim_id: self.claim_id.value(),
            lease,
            note: self.note.value(),
            claimed_host: self.claimed_host.value(),
            claimed_user: self.claimed_user.value(),
            claimed_gitdir: self.claimed_gitdir.value(),
            claimed_mount: self.claimed_mount.value(),
            mark: Mark {
                token: self.claimed_token.value(),
                place: self.claimed_place.value(),
                above: self.claimed_above.value(),
                repository: self.claimed_repository.value(),
            },
            files: self.claim_files.value().unwrap_or_default().0,
        };
        Ok(Some(claim.with_own_mark(self.claim_marked.value().as_deref())))
    }
}
