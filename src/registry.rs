//! `registry.json`: what kinfra owns and who claims it. The format and its checks; no file is touched here.
//!
//! The reader is strict: what it does not fully understand, it refuses, because the next save would make a
//! misunderstanding permanent. Keys it does not know are kept at every level, numbers digit for digit.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, DeserializeOwned, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::digest::Digest;
use crate::slot::{Port, PortName, ProfileName, RelPath, SlotId, Workers};

/// The version of the format that this kinfra reads and writes.
const VERSION: u64 = 2;

/// What kinfra owns.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Registry {
    /// Its slots.
    pub slots: BTreeMap<SlotId, Entry>,
    /// Top-level keys of others.
    unknown: Map<String, Value>,
}

/// A slot that kinfra owns.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What `apply` wrote, from the spec.
    pub provisioned: Provisioned,
    /// Who holds the slot.
    pub claim: Option<Claim>,
    /// Whether its stack ran when last noted.
    pub status: String,
    /// Keys of others.
    unknown: Map<String, Value>,
}

/// The part of an entry that follows from the spec. Only `apply` writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provisioned {
    /// The slot's directory, for others to read; kinfra recomputes it.
    pub infrastructure_path: String,
    /// The slot's size class.
    pub profile: ProfileName,
    /// The workers that the slot runs.
    pub workers: Workers,
    /// The ports that the slot holds.
    pub ports: BTreeMap<PortName, Port>,
    /// The hash of each file as last written. Empty when the entry is an old tool's: then nothing is known.
    pub files: BTreeMap<RelPath, Digest>,
}

/// A worktree's right to a slot. Only claim and release write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The directory that holds the slot.
    pub claimed_by: String,
    /// Since when, in ISO 8601 with an offset.
    pub claimed_at: Option<String>,
}

/// Why a text is not a registry, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corrupt {
    /// A line and column, or a path of keys such as `slots.3.ports`.
    pub place: String,
    /// What is wrong there.
    pub reason: String,
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.reason)
    }
}

impl std::error::Error for Corrupt {}

impl Registry {
    /// Reads a registry.
    ///
    /// # Errors
    /// The first thing that is not as kinfra writes it.
    pub fn parse(text: &str) -> Result<Self, Corrupt> {
        if text.trim().is_empty() {
            return Err(corrupt("line 1", "the file is empty"));
        }
        let Unique(document) = serde_json::from_str(text).map_err(|error| at_line(&error))?;
        let Value::Object(mut document) = document else {
            return Err(corrupt("line 1", "the file is not a JSON object"));
        };
        match field::<u64>(&mut document, "", "version")? {
            VERSION => {}
            newer if newer > VERSION => {
                return Err(corrupt(
                    "version",
                    format!("{newer} is newer than this kinfra, which reads {VERSION}"),
                ));
            }
            older => return Err(corrupt("version", format!("{older} is not {VERSION}"))),
        }
        let slots: Map<String, Value> = field(&mut document, "", "slots")?;
        let slots =
            slots.into_iter().map(|(key, value)| read_entry(&key, value)).collect::<Result<_, _>>()?;
        let registry = Self { slots, unknown: document };
        registry.check_ports()?;
        Ok(registry)
    }

    /// Writes the registry.
    ///
    /// # Errors
    /// What [`Registry::parse`] would refuse in it; such a registry is never to be written.
    pub fn to_text(&self) -> Result<String, Corrupt> {
        let Self { slots, unknown } = self;
        let entries = slots.iter().map(|(id, entry)| (*id, entry.document(*id)));
        let document = Document { version: VERSION, slots: entries.collect(), unknown };
        let mut text = serde_json::to_string_pretty(&document).map_err(|error| at_line(&error))?;
        text.push('\n');
        let reread = Self::parse(&text)?;
        if reread == *self { Ok(text) } else { Err(corrupt("the registry", "would not read back as it is")) }
    }

    /// No two slots may hold one port.
    fn check_ports(&self) -> Result<(), Corrupt> {
        let mut holders = BTreeMap::new();
        for (id, entry) in &self.slots {
            for (name, port) in &entry.provisioned.ports {
                if let Some((other, other_name)) = holders.insert(*port, (*id, name)) {
                    let reason = format!("{port} is also `{other_name}` of slot {other}");
                    return Err(corrupt(format!("slots.{id}.ports.{name}"), reason));
                }
            }
        }
        Ok(())
    }
}

impl Entry {
    /// The entry of a slot that was just provisioned.
    pub fn new(provisioned: Provisioned) -> Self {
        Self { provisioned, claim: None, status: "stopped".to_owned(), unknown: Map::new() }
    }

    /// The entry as the registry holds it.
    pub fn to_json(&self, id: SlotId) -> Value {
        serde_json::to_value(self.document(id)).unwrap_or_default()
    }

    fn document(&self, id: SlotId) -> EntryDocument<'_> {
        let Self { provisioned, claim, status, unknown } = self;
        let Provisioned { infrastructure_path, profile, workers, ports, files } = provisioned;
        EntryDocument {
            slot_id: id,
            infrastructure_path,
            profile,
            workers,
            ports,
            claimed_by: claim.as_ref().map(|claim| claim.claimed_by.as_str()),
            claimed_at: claim.as_ref().and_then(|claim| claim.claimed_at.as_deref()),
            status,
            files,
            unknown,
        }
    }
}

/// The file, in the order it is written.
#[derive(Serialize)]
struct Document<'a> {
    version: u64,
    slots: BTreeMap<SlotId, EntryDocument<'a>>,
    #[serde(flatten)]
    unknown: &'a Map<String, Value>,
}

/// An entry, in the order it is written: the old tool's keys first.
#[derive(Serialize)]
struct EntryDocument<'a> {
    slot_id: SlotId,
    infrastructure_path: &'a str,
    profile: &'a ProfileName,
    workers: &'a Workers,
    ports: &'a BTreeMap<PortName, Port>,
    claimed_by: Option<&'a str>,
    claimed_at: Option<&'a str>,
    status: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    files: &'a BTreeMap<RelPath, Digest>,
    #[serde(flatten)]
    unknown: &'a Map<String, Value>,
}

fn read_entry(key: &str, value: Value) -> Result<(SlotId, Entry), Corrupt> {
    let path = format!("slots.{}", key.escape_debug());
    let Value::Object(mut entry) = value else {
        return Err(corrupt(path, "is not an object"));
    };
    let number: u16 = field(&mut entry, &path, "slot_id")?;
    let id = SlotId::new(number).filter(|id| id.to_string() == key);
    let id =
        id.ok_or_else(|| corrupt(&path, format!("has slot_id {number}: key and id must be the same slot")))?;
    let provisioned = Provisioned {
        infrastructure_path: field(&mut entry, &path, "infrastructure_path")?,
        profile: field(&mut entry, &path, "profile")?,
        workers: field(&mut entry, &path, "workers")?,
        ports: field(&mut entry, &path, "ports")?,
        files: optional(&mut entry, &path, "files")?.unwrap_or_default(),
    };
    let claimed_by: Option<String> = optional(&mut entry, &path, "claimed_by")?;
    let claimed_at: Option<String> = optional(&mut entry, &path, "claimed_at")?;
    let claim = claimed_by.map(|claimed_by| Claim { claimed_by, claimed_at });
    let status = field(&mut entry, &path, "status")?;
    Ok((id, Entry { provisioned, claim, status, unknown: entry }))
}

/// Takes a key that must be there out of an object.
fn field<T: DeserializeOwned>(object: &mut Map<String, Value>, path: &str, key: &str) -> Result<T, Corrupt> {
    optional(object, path, key)?.ok_or_else(|| corrupt(below(path, key), "is missing"))
}

/// Takes a key that may be missing or null out of an object.
fn optional<T: DeserializeOwned>(
    object: &mut Map<String, Value>,
    path: &str,
    key: &str,
) -> Result<Option<T>, Corrupt> {
    let value = object.shift_remove(key).unwrap_or(Value::Null);
    serde_json::from_value(value).map_err(|error| corrupt(below(path, key), error.to_string()))
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn corrupt(place: impl Into<String>, reason: impl Into<String>) -> Corrupt {
    Corrupt { place: place.into(), reason: reason.into() }
}

fn at_line(error: &serde_json::Error) -> Corrupt {
    let text = error.to_string();
    let reason = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason);
    corrupt(format!("line {}, column {}", error.line(), error.column()), reason)
}

/// Any JSON in which no object has a key twice. `serde_json` itself keeps the last of two, and a claim would vanish.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

/// The key under which `serde_json` hands over a number that is no machine integer, with all its digits.
const NUMBER: &str = "$serde_json::private::Number";

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Unique(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if key == NUMBER {
                let digits: String = entries.next_value()?;
                return digits.parse().map(Value::Number).map_err(de::Error::custom);
            }
            if object.contains_key(&key) {
                return Err(de::Error::custom(format!("key `{}` stands twice", key.escape_debug())));
            }
            let Unique(value) = entries.next_value()?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}
