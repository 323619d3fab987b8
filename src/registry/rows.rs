//! The registry as the rows of a database: its top level, and each slot in three parts. Pure.
//!
//! The parts of a slot together have the keys of its entry in `registry.json`, so one reader serves both.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::codec;
use super::entry::{Entry, Registry};
use crate::json::{Corrupt, corrupt};
use crate::slot::SlotId;

/// The parts of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotRow {
    /// What `apply` wrote, and the keys of others.
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
        row
    }

    /// The entry of these parts.
    ///
    /// # Errors
    /// The first difference from what kinfra writes.
    pub fn entry(self, slot: SlotId) -> Result<Entry, Corrupt> {
        let Self { mut content, claim, stack } = self;
        for (key, value) in claim.into_iter().chain(stack).flatten() {
            if content.insert(key.clone(), value).is_some() {
                return Err(corrupt(format!("slots.{slot}.{key}"), "stands twice"));
            }
        }
        codec::read_entry(&slot.to_string(), Value::Object(content)).map(|(_, entry)| entry)
    }
}

fn is_of_claim(key: &str) -> bool {
    key.starts_with("claim") || key.starts_with("lease") || key == "note"
}

fn is_of_stack(key: &str) -> bool {
    key.starts_with("started_") || key == "left"
}

impl Registry {
    /// The top level without slots.
    pub fn top(&self) -> Value {
        codec::top(self)
    }

    /// The registry of a top level and slots.
    ///
    /// # Errors
    /// The first difference from what kinfra writes.
    pub fn of_rows(top: Map<String, Value>, slots: BTreeMap<SlotId, Arc<Entry>>) -> Result<Self, Corrupt> {
        if top.is_empty() {
            return Ok(Self { slots, ..Self::default() });
        }
        codec::of_parts(slots, top)
    }

    /// What is to be saved so that this registry becomes another one, on a host. `seen` has the generation of
    /// each row that was read. `None` where nothing differs.
    ///
    /// # Errors
    /// What no reader would accept.
    pub fn changes_to(
        &self,
        after: &Self,
        host: &str,
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
                (!is_same).then(|| change(*id, old, new, (host, seen.get(id))))
            })
            .collect();
        if changed.is_empty() && was == is && self.unknown == after.unknown {
            return Ok(None);
        }
        after.check()?;
        let mut changes = Map::new();
        if was != is {
            changes.insert("pool".to_owned(), is);
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
    let (old, new) = (row(old), row(new));
    let content = |row: &Option<SlotRow>| row.as_ref().map(|row| row.content.clone());
    let claim = |row: &Option<SlotRow>| row.as_ref().and_then(|row| row.claim.clone());
    let stack = |row: &Option<SlotRow>| row.as_ref().and_then(|row| row.stack.clone());
    for (key, was, is) in [
        ("content", content(&old), content(&new)),
        ("claim", claim(&old), claim(&new)),
        ("stack", stack(&old), stack(&new)),
    ] {
        if was != is {
            note(key, json!(is));
        }
    }
    Value::Object(change)
}

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;
