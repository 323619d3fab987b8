//! An entry of the index of pools on this machine: what one pool declared when it was last applied. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::identifier::PortName;
use crate::json::{self, Corrupt, at_line, corrupt};
use crate::port::{Port, PortFormula};
use crate::registry::Mark;
use crate::server::ServerUrl;
use crate::slot::SlotId;
use crate::spec::Spec;

/// The version of the format that this kinfra reads and writes.
const VERSION: u64 = 1;

/// How many ports a pool can use.
const ROOM: usize = (Port::MAX - Port::MIN) as usize + 1;

/// A pool that was applied on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexEntry {
    version: u64,
    /// Its root, canonical.
    pub root: String,
    /// The mount point of the disk that the root is on. An older kinfra did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<String>,
    /// Whether the spec declares this root, and no flag or environment variable replaced it.
    pub root_is_declared: bool,
    /// Its name.
    pub pool: String,
    /// The prefix of its slots' variables. An older kinfra did not record it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env_prefix: Option<String>,
    /// What declared it.
    #[serde(flatten)]
    pub origin: Origin,
    /// The server of its registry, as it was applied. Without one, the registry is a file of the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<ServerUrl>,
    /// The host that applied it, as that server knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The project's own check of a stack, as it was applied. An older kinfra did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<Vec<String>>,
    /// The repositories that use it. Recorded for the embedded pool alone.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub repositories: BTreeSet<String>,
    /// The projects whose user applied it. An older kinfra did not record them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applied_by: Vec<Mark>,
    /// Its port formulas.
    pub ports: BTreeMap<PortName, PortFormula>,
    /// Its slots.
    #[serde(with = "ids")]
    pub slots: BTreeSet<SlotId>,
}

/// What declared a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The canonical path of the spec; `None` for the embedded one.
    pub spec: Option<String>,
    /// The git branch that was checked out where the spec is.
    pub branch: Option<String>,
}

/// Slots as a list such as `1-3,7`.
mod ids {
    use std::collections::BTreeSet;

    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use crate::slot::SlotId;

    pub(crate) fn serialize<S: Serializer>(ids: &BTreeSet<SlotId>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&SlotId::list(ids))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeSet<SlotId>, D::Error> {
        let list = String::deserialize(deserializer)?;
        if list.is_empty() {
            return Ok(BTreeSet::new());
        }
        SlotId::parse_list(&list).map_err(de::Error::custom)
    }
}

impl Origin {
    /// Whether both specs belong to one project, on any branch.
    pub fn is_same_spec(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.spec {
            Some(spec) => write!(f, "`{}`", spec.escape_debug())?,
            None => f.write_str("the embedded slots.toml")?,
        }
        match &self.branch {
            Some(branch) => write!(f, " on branch `{}`", branch.escape_debug()),
            None => Ok(()),
        }
    }
}

impl IndexEntry {
    /// The entry of the pool that a spec declares.
    pub fn new(root: &Utf8Path, root_is_declared: bool, origin: Origin, spec: &Spec) -> Self {
        Self {
            version: VERSION,
            root: root.to_string(),
            mount: None,
            root_is_declared,
            pool: spec.name.clone(),
            env_prefix: Some(spec.env_prefix.clone()),
            origin,
            registry: spec.registry.clone(),
            host: None,
            verify: Some(spec.stack.verify.clone()),
            repositories: BTreeSet::new(),
            applied_by: Vec::new(),
            ports: spec.ports.iter().cloned().collect(),
            slots: spec.slots.keys().copied().collect(),
        }
    }

    /// The name of the file that holds the entry of the pool in a root.
    pub fn file_name(root: &Utf8Path) -> String {
        format!("{}.json", Digest::of(root.as_str().as_bytes()))
    }

    /// Reads the entry in a file of this name.
    ///
    /// # Errors
    /// The first difference from what kinfra writes.
    pub fn parse(file_name: &str, text: &str) -> Result<Self, Corrupt> {
        let entry = match serde_json::from_str::<Self>(text) {
            Ok(entry) if entry.version == VERSION => entry,
            read => return Err(why_not(text, read.err().as_ref())),
        };
        if Self::file_name(entry.root()) != file_name {
            return Err(corrupt("root", "is not the one that the file is named for"));
        }
        // No pool has more ports than there are, so such a list is not worth reading.
        if entry.ports.len() * entry.slots.len() > ROOM {
            return Err(corrupt("ports", "are more than there are"));
        }
        Ok(entry)
    }

    /// Writes the entry.
    ///
    /// # Errors
    /// Never happens: JSON can hold every entry.
    pub fn to_text(&self) -> Result<String, Corrupt> {
        let mut text = serde_json::to_string_pretty(self).map_err(|error| at_line(&error))?;
        text.push('\n');
        Ok(text)
    }

    /// Notes that a project applied it. Of very many, the last ones are kept.
    pub fn note_project(&mut self, project: Mark) {
        const MOST: usize = 100;
        if project.is_empty() || self.applied_by.contains(&project) {
            return;
        }
        self.applied_by.retain(|noted| !project.is_of(noted, true));
        self.applied_by.push(project);
        self.applied_by.drain(..self.applied_by.len().saturating_sub(MOST));
    }

    /// Whether a project applied it.
    pub fn is_applied_by(&self, project: &Mark) -> bool {
        self.applied_by.iter().any(|noted| !noted.is_empty() && project.is_of(noted, true))
    }

    /// The same, with the registry on another server, which knows this host by a name, or in a file.
    #[must_use]
    pub fn with_registry(self, registry: Option<ServerUrl>, host: String) -> Self {
        Self { host: registry.is_some().then_some(host), registry, ..self }
    }

    /// Its root, canonical.
    pub fn root(&self) -> &Utf8Path {
        Utf8Path::new(&self.root)
    }

    /// Its slots for the port proof, with slot 0 first.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u16> {
        std::iter::once(0).chain(self.slots.iter().map(|slot| slot.get()))
    }
}

/// Why a text is no entry that this kinfra reads. One of a newer kinfra may be another error to serde.
fn why_not(text: &str, error: Option<&serde_json::Error>) -> Corrupt {
    let object = match json::object(text) {
        Ok(object) => object,
        Err(corrupt) => return corrupt,
    };
    let version = object.get("version").filter(|version| version.as_u64() != Some(VERSION));
    match (version, error) {
        (None, Some(error)) => at_line(error),
        (version, _) => {
            let version = version.map_or_else(String::new, ToString::to_string);
            let reason = format!("is {version}, and this kinfra reads {VERSION}");
            Corrupt { is_newer: true, ..corrupt("version", reason) }
        }
    }
}

/// A pool for tests.
#[cfg(test)]
pub(super) mod fixture {
    use std::collections::BTreeSet;
    use std::num::NonZeroU16;

    use super::{IndexEntry, Origin, Port, PortFormula, PortName, SlotId, VERSION};
    use crate::port::Protocol;

    pub(in crate::which) fn pool(spec: &str, ports: &[(&str, u16, u16)], slots: &str) -> IndexEntry {
        let ports = ports
            .iter()
            .map(|&(name, base, stride)| {
                let (base, stride) = (Port::new(base).unwrap(), NonZeroU16::new(stride).unwrap());
                let protocol = Protocol::Tcp;
                (PortName::new(name).unwrap(), PortFormula { base, stride, protocol })
            })
            .collect();
        let origin = Origin { spec: Some(format!("/{spec}/slots.toml")), branch: None };
        let slots = SlotId::parse_list(slots).unwrap();
        IndexEntry {
            version: VERSION,
            root: format!("/roots/{spec}"),
            mount: Some("/".to_owned()),
            root_is_declared: true,
            pool: spec.to_owned(),
            env_prefix: None,
            origin,
            registry: None,
            host: None,
            verify: None,
            repositories: BTreeSet::new(),
            applied_by: Vec::new(),
            ports,
            slots,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fixture::pool;
    use super::*;
    use crate::port::Protocol;

    #[test]
    fn an_entry_reads_back() {
        let entry = pool("shop", &[("web", 8000, 1), ("db", 5432, 10)], "1-3,7");
        let (name, text) = (IndexEntry::file_name(entry.root()), entry.to_text().unwrap());
        assert_eq!(IndexEntry::parse(&name, &text).unwrap(), entry);
        assert!(text.contains(r#""slots": "1-3,7""#), "{text}");
        assert!(!text.contains("protocol"), "an older kinfra knows TCP alone: {text}");
        for (from, to, place) in [
            (r#""version": 1"#, r#""version": 2"#, "version: is 2"),
            ("/roots/shop", "/roots/else", "root: is not the one"),
            ("8000", "80", "port 80 is below 1024"),
            ("1-3,7", "1-60000", "ports: are more than there are"),
            ("{\n", "", "line 1"),
            (r#""version": 1"#, r#""version": "b", "new": 3"#, r#"version: is "b""#),
        ] {
            let error = IndexEntry::parse(&name, &text.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains(place), "{to}: {error}");
        }
    }

    #[test]
    fn udp_is_noted() {
        let mut entry = pool("shop", &[("dns", 5300, 1)], "1-3");
        entry.ports.values_mut().for_each(|formula| formula.protocol = Protocol::Udp);
        let (name, text) = (IndexEntry::file_name(entry.root()), entry.to_text().unwrap());
        assert!(text.contains(r#""protocol": "udp""#), "{text}");
        assert_eq!(IndexEntry::parse(&name, &text).unwrap(), entry);
    }
}
