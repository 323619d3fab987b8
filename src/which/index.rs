//! The index of pools on this machine: what one pool's entry says, and which ports of two pools are the same.
//!
//! No file is touched here. Pools of one spec are one project's, whoever gave them another root knows that they share
//! its ports; the ports of slot 0 are those of the projects' own stacks, and two of them may be the same.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::num::NonZeroU16;

use camino::Utf8Path;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::Digest;
use crate::identifier::PortName;
use crate::json;
use crate::json::Corrupt;
use crate::json::{at_line, corrupt};
use crate::port::{Port, PortFormula};
use crate::proof::ports::{Remedy, TakenPorts};
use crate::slot::SlotId;
use crate::spec::Spec;

/// The version of the format that this kinfra reads and writes.
const VERSION: u64 = 1;

/// How many ports a pool can use.
const ROOM: usize = (Port::MAX - Port::MIN) as usize + 1;

/// A pool that was applied on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    version: u64,
    /// Its root, canonical.
    pub root: String,
    /// Whether its spec says so, not a flag or the environment.
    pub root_is_declared: bool,
    /// Its name.
    pub pool: String,
    /// What the names of its slots' variables start with; an older kinfra did not note it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env_prefix: Option<String>,
    /// What declared it.
    #[serde(flatten)]
    pub origin: Origin,
    /// Its port formulas.
    pub ports: BTreeMap<PortName, PortFormula>,
    /// Its slots.
    #[serde(with = "ids")]
    pub slots: BTreeSet<SlotId>,
}

/// What declared a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The canonical path of the spec; none is the embedded one.
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
    /// Whether both are one project's spec, whatever branch is checked out.
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

impl Entry {
    /// The entry of the pool that a spec declares.
    pub fn new(root: &Utf8Path, root_is_declared: bool, origin: Origin, spec: &Spec) -> Self {
        Self {
            version: VERSION,
            root: root.to_string(),
            root_is_declared,
            pool: spec.name.clone(),
            env_prefix: Some(spec.env_prefix.clone()),
            origin,
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
    /// What is not as kinfra writes it.
    pub fn parse(file_name: &str, text: &str) -> Result<Self, Corrupt> {
        let object = json::object(text)?;
        if let Some(version) = object.get("version").filter(|version| version.as_u64() != Some(VERSION)) {
            let reason = format!("is {version}, and this kinfra reads {VERSION}: upgrade kinfra");
            return Err(corrupt("version", reason));
        }
        let entry: Self = serde_json::from_value(Value::Object(object))
            .map_err(|error| corrupt("the entry", error.to_string()))?;
        if Self::file_name(entry.root()) != file_name {
            return Err(corrupt("root", "is not the one that the file is named for"));
        }
        // What no pool can be is not worth working through.
        if entry.ports.len() * entry.slots.len() > ROOM {
            return Err(corrupt("ports", "are more than there are"));
        }
        Ok(entry)
    }

    /// Writes the entry.
    ///
    /// # Errors
    /// None that can be: every entry is one that JSON can hold.
    pub fn to_text(&self) -> Result<String, Corrupt> {
        let mut text = serde_json::to_string_pretty(self).map_err(|error| at_line(&error))?;
        text.push('\n');
        Ok(text)
    }

    /// Its root, canonical.
    pub fn root(&self) -> &Utf8Path {
        Utf8Path::new(&self.root)
    }

    /// Its slots as the proof counts them: the main stack's first.
    fn numbers(&self) -> impl Iterator<Item = u16> {
        std::iter::once(0).chain(self.slots.iter().map(|slot| slot.get()))
    }
}

/// Another pool on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// What it declared when it was last applied.
    pub entry: Entry,
    /// The ports that its registry holds: slots that are no longer declared keep theirs.
    pub held: Vec<(PortName, SlotId, Port)>,
}

/// A port that two pools would use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collision<'a> {
    /// The port.
    pub port: Port,
    /// What it is for in the pool that is planned, and in which slot; 0 is the main stack.
    pub ours: (&'a PortName, u16),
    /// The same of the other pool.
    pub theirs: (&'a PortName, u16),
    /// The other pool.
    pub other: &'a Entry,
    /// What, done together with what the collisions before this one ask for, settles it; `None` when only fewer slots or
    /// ports would.
    pub remedy: Option<Remedy>,
}

impl Collision<'_> {
    /// Which ports are the same.
    pub fn message(&self) -> String {
        let Self { port, ours, theirs: _, other, remedy: _ } = self;
        let (origin, root) = (&other.origin, other.root.escape_debug());
        format!(
            "port {port} is `{}` of {} and also {} in `{root}`, declared by {origin}",
            ours.0,
            stack(ours.1),
            self.user()
        )
    }

    /// Whose port it is in the other pool.
    pub fn user(&self) -> String {
        let (of, pool) = (stack(self.theirs.1), self.other.pool.escape_debug());
        format!("`{}` of {of} of the pool `{pool}`", self.theirs.0)
    }

    /// What to do about it.
    pub fn help(&self) -> String {
        let name = self.ours.0;
        match self.remedy {
            Some(Remedy::Stride(stride)) => format!("the smallest stride that frees `{name}` is {stride}"),
            Some(Remedy::Base(base)) => {
                format!("no stride frees `{name}`; the nearest base that does is {base}")
            }
            None => {
                format!("no stride and no base frees `{name}`: declare fewer slots or ports, there or here")
            }
        }
    }
}

fn stack(slot: u16) -> String {
    match slot {
        0 => "the main stack (slot 0)".to_owned(),
        slot => format!("slot {slot}"),
    }
}

/// The ports that a pool would share with others: for each of its formulas and each of the others, the first.
pub fn collisions<'a>(pool: &'a Entry, others: &'a [Neighbour]) -> Vec<Collision<'a>> {
    let others: Vec<&Neighbour> =
        others.iter().filter(|other| !other.entry.origin.is_same_spec(&pool.origin)).collect();
    let mut users: HashMap<Port, (&PortName, u16, &Entry)> = HashMap::new();
    let mut taken = TakenPorts::none();
    // A port that is one pool's slot's and another's main stack's counts as the slot's, so slots come last.
    for Neighbour { entry, held } in &others {
        let uses = entry.numbers().flat_map(|slot| {
            entry.ports.iter().filter_map(move |(name, formula)| Some((formula.port(slot)?, name, slot)))
        });
        let held = held.iter().map(|(name, slot, port)| (*port, name, slot.get()));
        for (port, name, slot) in uses.chain(held) {
            taken.take_port(port);
            let user = users.entry(port).or_insert((name, slot, entry));
            if user.1 == 0 {
                *user = (name, slot, entry);
            }
        }
    }
    let mut formulas = pool.ports.clone();
    let mut collisions = Vec::new();
    for (name, formula) in &pool.ports {
        let mut met: BTreeMap<&str, Collision<'a>> = BTreeMap::new();
        for slot in pool.numbers() {
            let Some((port, (their_name, their_slot, other))) =
                formula.port(slot).and_then(|port| Some((port, *users.get(&port)?)))
            else {
                continue;
            };
            if (slot, their_slot) != (0, 0) {
                met.entry(&other.root).or_insert(Collision {
                    port,
                    ours: (name, slot),
                    theirs: (their_name, their_slot),
                    other,
                    remedy: None,
                });
            }
        }
        if met.is_empty() {
            continue;
        }
        let base_is_taken = met.values().any(|collision| collision.ours.1 == 0);
        let remedy = remedy(name, base_is_taken, &formulas, pool, &taken);
        if let (Some(remedy), Some(formula)) = (remedy, formulas.get_mut(name)) {
            match remedy {
                Remedy::Stride(stride) => formula.stride = stride,
                Remedy::Base(base) => formula.base = base,
            }
        }
        collisions.extend(met.into_values().map(|collision| Collision { remedy, ..collision }));
    }
    collisions
}

/// What frees one formula from the ports that others have taken, and keeps it apart from the pool's own.
fn remedy(
    name: &PortName,
    base_is_taken: bool,
    formulas: &BTreeMap<PortName, PortFormula>,
    pool: &Entry,
    taken: &TakenPorts,
) -> Option<Remedy> {
    let slots: Vec<u16> = pool.numbers().collect();
    let mut taken = taken.clone();
    for (_, formula) in formulas.iter().filter(|(other, _)| *other != name) {
        taken.take(*formula, &slots);
    }
    let formula = *formulas.get(name)?;
    let (last, above_main) = (*slots.last()?, slots.get(1..)?);
    let stride = (1..=u16::MAX)
        .filter(|_| !base_is_taken)
        .filter_map(NonZeroU16::new)
        .map(|stride| PortFormula { stride, ..formula })
        // A larger stride only leads further out of the range.
        .take_while(|formula| formula.port(last).is_some())
        .find(|formula| taken.has_free(*formula, above_main))
        .map(|formula| Remedy::Stride(formula.stride));
    stride.or_else(|| taken.nearest_base(formula, &slots).map(Remedy::Base))
}

/// The pool that a spec declared where it declares another root now. While it is there, a second one would be made.
pub fn moved_from<'a>(pool: &Entry, others: &'a [Neighbour]) -> Option<&'a Entry> {
    let mut declared = others.iter().map(|other| &other.entry).filter(|_| pool.root_is_declared);
    declared.find(|other| other.root_is_declared && other.origin.is_same_spec(&pool.origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(spec: &str, ports: &[(&str, u16, u16)], slots: &str) -> Entry {
        let ports = ports
            .iter()
            .map(|&(name, base, stride)| {
                let (base, stride) = (Port::new(base).unwrap(), NonZeroU16::new(stride).unwrap());
                (PortName::new(name).unwrap(), PortFormula { base, stride })
            })
            .collect();
        let origin = Origin { spec: Some(format!("/{spec}/slots.toml")), branch: None };
        let slots = SlotId::parse_list(slots).unwrap();
        Entry {
            version: VERSION,
            root: format!("/roots/{spec}"),
            root_is_declared: true,
            pool: spec.to_owned(),
            env_prefix: None,
            origin,
            ports,
            slots,
        }
    }

    fn beside(entry: Entry) -> Vec<Neighbour> {
        vec![Neighbour { entry, held: Vec::new() }]
    }

    #[test]
    fn an_entry_reads_back() {
        let entry = pool("shop", &[("web", 8000, 1), ("db", 5432, 10)], "1-3,7");
        let (name, text) = (Entry::file_name(entry.root()), entry.to_text().unwrap());
        assert_eq!(Entry::parse(&name, &text).unwrap(), entry);
        assert!(text.contains(r#""slots": "1-3,7""#), "{text}");
        for (from, to, place) in [
            (r#""version": 1"#, r#""version": 2"#, "version: is 2"),
            ("/roots/shop", "/roots/else", "root: is not the one"),
            ("8000", "80", "port 80 is below 1024"),
            ("1-3,7", "1-60000", "ports: are more than there are"),
            ("{\n", "", "line 1"),
        ] {
            let error = Entry::parse(&name, &text.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains(place), "{to}: {error}");
        }
    }

    #[test]
    fn only_main_stacks_may_share_ports() {
        let met = |ours: &Entry, theirs: Entry| {
            let others = beside(theirs);
            let met = collisions(ours, &others);
            met.iter().map(|met| (met.port.get(), met.ours.1, met.theirs.1, met.remedy)).collect::<Vec<_>>()
        };
        let ours = pool("ours", &[("web", 8000, 10)], "1-2");
        let stride = |stride| NonZeroU16::new(stride).map(Remedy::Stride);
        let base = |base| Port::new(base).map(Remedy::Base);
        assert_eq!(met(&ours, pool("theirs", &[("api", 8000, 1)], "1-9")), []);
        assert_eq!(met(&ours, pool("theirs", &[("api", 8000, 1)], "1-10")), [(8010, 1, 10, stride(11))]);
        assert_eq!(met(&ours, pool("theirs", &[("api", 8020, 1)], "1-2")), [(8020, 2, 0, stride(1))]);
        assert_eq!(met(&ours, pool("theirs", &[("api", 7999, 1)], "1")), [(8000, 0, 1, base(8001))]);
        assert_eq!(met(&ours, pool("ours", &[("api", 8000, 1)], "1-10")), []);
    }

    #[test]
    fn remedies_done_together_leave_no_collision() {
        let mut cases = 0;
        for (base, stride) in [(5000, 1), (5001, 3), (5003, 2), (65_000, 5), (1024, 1)] {
            for theirs in [(4999, 1), (5000, 2), (5010, 1), (64_990, 7)] {
                let mut ours = pool(
                    "ours",
                    &[("a", base, stride), ("b", base + 300, stride), ("c", base + 500, 1)],
                    "1-6,9",
                );
                let others =
                    beside(pool("theirs", &[("x", theirs.0, theirs.1), ("y", theirs.0 + 300, 1)], "1-8"));
                let fixes: Vec<_> = collisions(&ours, &others)
                    .iter()
                    .map(|met| (met.ours.0.clone(), met.remedy.unwrap()))
                    .collect();
                cases += fixes.len();
                for (name, remedy) in fixes {
                    let formula = ours.ports.get_mut(&name).unwrap();
                    match remedy {
                        Remedy::Stride(stride) => formula.stride = stride,
                        Remedy::Base(base) => formula.base = base,
                    }
                }
                assert_eq!(collisions(&ours, &others), []);
                let formulas: Vec<_> = ours.ports.values().copied().collect();
                assert_eq!(crate::proof::ports::prove(&formulas, &ours.slots), Ok(()));
            }
        }
        assert!(cases > 10, "only {cases} collisions");
    }
}
