//! The registry as the rows of a database: its top level, each slot in three parts, and what `apply` wrote in
//! each root. Pure.
//!
//! Users of one machine share its slots, and each has the files of them in a root of its own. The parts of a
//! slot together have the keys of its entry in `registry.json`, so one reader serves both.

use std::collections::BTreeMap;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::map::Entry as Place;
use serde_json::{Map, Value, json};

use super::codec;
use super::entry::{Entry, Pending, Registry};
use crate::json::{Corrupt, corrupt, optional_object};
use crate::slot::SlotId;

/// The keys of an entry that are of one root.
const OF_ROOT: [&str; 3] = ["infrastructure_path", "files", "pending"];
/// The keys of an entry that its files are made for.
const MADE_FOR_KEYS: [&str; 4] = ["profile", "workers", "ports", "udp"];
/// Their values then, in what is of one root.
const MADE_FOR: &str = "made_for";
/// The key of the top level that is of one root.
const APPLIED_FROM: &str = "applied_from";
/// The key of the top level that is of one host.
const ID: &str = "id";

/// The host and the root that a client works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnPlace {
    /// The host's name.
    pub host: String,
    /// The root.
    pub root: Utf8PathBuf,
}

/// What `apply` wrote in a root.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RootRow {
    applied_from: Option<Value>,
    slots: Map<String, Value>,
}

impl RootRow {
    /// Reads it.
    ///
    /// # Errors
    /// The first difference from what kinfra writes.
    pub fn of(mut content: Map<String, Value>) -> Result<Self, Corrupt> {
        let slots = optional_object(&mut content, "", "slots")?.unwrap_or_default();
        Ok(Self { applied_from: content.shift_remove(APPLIED_FROM), slots })
    }

    /// Whether it wrote files of slots there.
    pub fn has_slots(&self) -> bool {
        !self.slots.is_empty()
    }

    /// The keys of a slot that are of this root. A slot that was not applied here has no files.
    fn keys_of(&self, slot: SlotId, root: &Utf8Path) -> Result<Map<String, Value>, Corrupt> {
        match self.slots.get(&slot.to_string()) {
            Some(Value::Object(keys)) => Ok(keys.clone()),
            Some(_) => Err(corrupt(format!("slots.{slot}"), "is not an object")),
            None => {
                let path = json!(root.join(slot.directory()));
                Ok([("infrastructure_path".to_owned(), path)].into_iter().collect())
            }
        }
    }
}

/// The parts of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotRow {
    /// What the spec says of it, and the keys of others.
    pub content: Map<String, Value>,
    /// The claim, if it is held.
    pub claim: Option<Map<String, Value>>,
    /// The last start of its stack, if there is something of it.
    pub stack: Option<Map<String, Value>>,
}

impl SlotRow {
    /// The parts of an entry.
    pub fn of(slot: SlotId, entry: &Entry) -> Self {
        let Value::Object(keys) = entry.to_json(slot) else {
            return Self { content: Map::new(), claim: None, stack: None };
        };
        let mut row = Self {
            content: Map::new(),
            claim: entry.claim.is_some().then(Map::new),
            stack: entry.started.is_some().then(Map::new),
        };
        for (key, value) in keys {
            let part = match (&mut row.claim, &mut row.stack) {
                (Some(claim), _) if is_of_claim(&key) => claim,
                (_, Some(stack)) if is_of_stack(&key) => stack,
                _ => &mut row.content,
            };
            part.insert(key, value);
        }
        if row.claim.is_none() {
            // The old tool has these keys for a free slot, too; a row has none.
            for key in ["claimed_by", "claimed_at"] {
                row.content.shift_remove(key);
            }
        }
        for key in OF_ROOT {
            row.content.shift_remove(key);
        }
        row
    }

    /// The entry of these parts, in a root.
    ///
    /// # Errors
    /// The first difference from what kinfra writes.
    pub fn entry(self, slot: SlotId, own: &RootRow, root: &Utf8Path) -> Result<Entry, Corrupt> {
        let Self { mut content, claim, stack } = self;
        let mut own = own.keys_of(slot, root)?;
        let made_for = own.shift_remove(MADE_FOR);
        if made_for.is_some_and(|made_for| !is_made_for_now(&made_for, &content))
            && !own.contains_key("pending")
        {
            // Another user has applied another slots.toml since.
            own.insert("pending".to_owned(), json!(Pending::Elsewhere));
        }
        for (key, value) in claim.into_iter().chain(stack).chain([own]).flatten() {
            match content.entry(key) {
                Place::Vacant(place) => drop(place.insert(value)),
                Place::Occupied(place) => {
                    return Err(corrupt(format!("slots.{slot}.{}", place.key()), "stands twice"));
                }
            }
        }
        codec::read_entry(&slot.to_string(), Value::Object(content)).map(|(_, entry)| entry)
    }
}

/// What the files of a slot are made for, by its keys.
fn made_for_now(keys: &Map<String, Value>) -> Value {
    Value::Object(made_for_keys(keys).map(|(key, value)| (key.to_owned(), value.clone())).collect())
}

/// Whether this is what the files of a slot are made for, by its keys.
fn is_made_for_now(made_for: &Value, keys: &Map<String, Value>) -> bool {
    made_for.as_object().is_some_and(|made_for| {
        made_for_keys(keys).count() == made_for.len()
            && made_for_keys(keys).all(|(key, value)| made_for.get(key) == Some(value))
    })
}

fn made_for_keys(keys: &Map<String, Value>) -> impl Iterator<Item = (&'static str, &Value)> {
    MADE_FOR_KEYS.into_iter().filter_map(|key| Some((key, keys.get(key)?)))
}

fn is_of_claim(key: &str) -> bool {
    key.starts_with("claim") || key.starts_with("lease") || key == "note"
}

fn is_of_stack(key: &str) -> bool {
    key.starts_with("started_") || key == "left"
}

impl Registry {
    /// The top level that all hosts share, without slots.
    pub fn top(&self) -> Value {
        let mut top = codec::top(self);
        if let Value::Object(top) = &mut top {
            top.shift_remove(APPLIED_FROM);
            top.shift_remove(ID);
        }
        top
    }

    /// What is of its root alone.
    pub fn of_root(&self) -> Value {
        let keys = |(slot, entry): (&SlotId, &Arc<Entry>)| {
            let Value::Object(mut keys) = entry.to_json(*slot) else { return None };
            let made_for = made_for_now(&keys);
            keys.retain(|key, _| OF_ROOT.contains(&key.as_str()));
            let is_applied = keys.keys().any(|key| key != "infrastructure_path");
            keys.insert(MADE_FOR.to_owned(), made_for);
            is_applied.then(|| (slot.to_string(), Value::Object(keys)))
        };
        let slots: Map<String, Value> = self.slots.iter().filter_map(keys).collect();
        let mut own: Map<String, Value> = [("slots".to_owned(), Value::Object(slots))].into_iter().collect();
        own.extend(self.applied_from.as_ref().map(|from| (APPLIED_FROM.to_owned(), json!(from))));
        Value::Object(own)
    }

    /// The registry of a top level, slots, what is of its root, and the id that its host has.
    ///
    /// # Errors
    /// The first difference from what kinfra writes.
    pub fn of_rows(
        mut top: Map<String, Value>,
        slots: BTreeMap<SlotId, Arc<Entry>>,
        own: &RootRow,
        id: Option<&str>,
    ) -> Result<Self, Corrupt> {
        // Of a pool that was just made, or that has nothing of its own.
        if top.is_empty() {
            top.insert("version".to_owned(), json!(codec::VERSION));
        }
        if let Some(id) = id.filter(|id| !id.is_empty())
            && top.insert(ID.to_owned(), json!(id)).is_some()
        {
            return Err(corrupt(ID, "stands twice"));
        }
        if let Some(from) = &own.applied_from
            && top.insert(APPLIED_FROM.to_owned(), from.clone()).is_some()
        {
            return Err(corrupt(APPLIED_FROM, "stands twice"));
        }
        codec::of_parts(slots, top)
    }

    /// Whether what is of its root alone differs from another state of it.
    fn differs_in_root(&self, other: &Self) -> bool {
        let is_same =
            |one: &Entry, other: &Entry| one.provisioned == other.provisioned && one.pending == other.pending;
        let both = self.slots.iter().zip(&other.slots);
        let mut both = both.map(|((id, one), (other_id, other))| (id == other_id, one, other));
        self.applied_from != other.applied_from
            || self.slots.len() != other.slots.len()
            || !both.all(|(is_one, one, other)| is_one && (Arc::ptr_eq(one, other) || is_same(one, other)))
    }

    /// What is to be saved so that this registry becomes another one, in a root. `seen` has the generation of
    /// each row that was read. `None` where nothing differs.
    ///
    /// # Errors
    /// What no reader would accept.
    pub fn changes_to(
        &self,
        after: &Self,
        place: &OwnPlace,
        seen: &BTreeMap<SlotId, u64>,
    ) -> Result<Option<Value>, Corrupt> {
        let (was, is) = (self.top(), after.top());
        let ids = self.slots.keys().chain(after.slots.keys().filter(|id| !self.slots.contains_key(id)));
        let changed: Vec<Value> = ids
            .filter_map(|id| {
                let (old, new) = (self.slots.get(id), after.slots.get(id));
                let is_same = match (old, new) {
                    (Some(old), Some(new)) => Arc::ptr_eq(old, new) || old == new,
                    (old, new) => old.is_none() && new.is_none(),
                };
                (!is_same).then(|| change(*id, old, new, (&place.host, seen.get(id))))
            })
            .collect();
        let has_own = self.differs_in_root(after);
        let has_id = self.id != after.id;
        if changed.is_empty() && was == is && self.unknown == after.unknown && !has_own && !has_id {
            return Ok(None);
        }
        after.check()?;
        let mut changes = Map::new();
        if was != is {
            changes.insert("pool".to_owned(), is);
        }
        let OwnPlace { host, root } = place;
        if has_id {
            changes.insert(ID.to_owned(), json!({ "host": host, "id": after.id }));
        }
        if has_own {
            let own = json!({ "host": host, "root": root, "content": after.of_root() });
            changes.insert("root".to_owned(), own);
        }
        changes.insert("slots".to_owned(), Value::Array(changed));
        Ok(Some(Value::Object(changes)))
    }
}

/// The parts of a slot that change.
fn change(
    slot: SlotId,
    old: Option<&Arc<Entry>>,
    new: Option<&Arc<Entry>>,
    (host, seen): (&str, Option<&u64>),
) -> Value {
    let mut change = Map::new();
    let mut note = |key: &str, value: Value| drop(change.insert(key.to_owned(), value));
    note("host", json!(host));
    note("slot", json!(slot));
    note("seen", json!(seen));
    let row = |entry: Option<&Arc<Entry>>| entry.map(|entry| SlotRow::of(slot, entry));
    let parts = |row: Option<SlotRow>| {
        row.map_or([None, None, None], |SlotRow { content, claim, stack }| [Some(content), claim, stack])
    };
    let parts = parts(row(old)).into_iter().zip(parts(row(new)));
    for (key, (was, is)) in ["content", "claim", "stack"].into_iter().zip(parts) {
        if was != is {
            note(key, json!(is));
        }
    }
    Value::Object(change)
}

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;
