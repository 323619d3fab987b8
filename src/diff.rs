//! Compares the pool as it should be with the pool as it is. [`crate::plan`] decides what to do about the
//! differences.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::desired::{File, Pool, Slot};
use crate::digest::Digest;
use crate::file::{FileMode, Obstacle, RelPath};
use crate::identifier::{PortName, ProfileName, WorkerKind};
use crate::observe::{FileState, Observed, SlotDir};
use crate::port::HostPort;
use crate::registry::{Condition, Entry, Pending, Provisioned};
use crate::slot::{SlotId, Workers};

/// How one slot differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Whether the spec and the registry have the slot.
    pub registration: Registration,
    /// What has the place of the slot's directory, if it is no directory.
    pub obstacle: Option<Obstacle>,
    /// Every file that the spec or the registry names.
    pub files: BTreeMap<RelPath, FileDifference>,
    /// What else is in the directory of a slot that the spec dropped.
    pub others: Vec<String>,
    /// What an earlier apply began and did not complete.
    pub unfinished: Option<Unfinished>,
    /// The worktree that holds the slot.
    pub claimed_by: Option<String>,
    /// What there may be of an earlier stack in a slot that no worktree holds.
    pub remnant: Option<Remnant>,
}

/// What there may be of an earlier stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remnant {
    /// The volumes that are kept for this worktree.
    DataOf(String),
    /// Anything.
    Anything,
}

/// The work that an apply began in a slot and did not complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfinished {
    /// A change of its files.
    Change,
    /// Its removal.
    Removal,
    /// What another user's apply changed is not in this root yet. That approved nothing here.
    Elsewhere,
}

/// Whether the spec and the registry have a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registration {
    /// Only the spec has it.
    Unregistered,
    /// Both have it, and the entry is an old tool's. Its files may be anything.
    Imported,
    /// Both have it, and the entry is another user's: kinfra wrote nothing of it in this root. These fields
    /// of the entry differ from the spec.
    Shared(Vec<FieldChange>),
    /// Both have it. These fields of the entry differ from the spec.
    Registered(Vec<FieldChange>),
    /// Only the registry has it.
    Surplus,
}

/// A field of an entry that the spec would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Which field.
    pub field: Field,
    /// Its value; `None` if the entry lacks the field.
    pub old: Option<String>,
    /// Its value in the spec; `None` if the spec dropped the field.
    pub new: Option<String>,
}

/// How one file differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileDifference {
    /// Not at all.
    Same,
    /// It is missing. What kinfra last wrote is what the spec says.
    Lost,
    /// It is missing. Kinfra never wrote it, or wrote something else.
    Absent,
    /// It is as kinfra last wrote it. The spec changed since.
    Outdated,
    /// Its content is right. It has this mode, which is wrong.
    WrongMode(FileMode),
    /// The spec dropped it. It is as kinfra last wrote it, or gone with its directories perhaps left.
    Dropped,
    /// The spec dropped it, and it was edited by hand.
    Disowned,
    /// It is neither what kinfra wrote nor what the spec says.
    Edited,
    /// Something else has its place.
    Blocked(Obstacle),
}

/// Compares every slot that the spec or the registry names.
pub fn diff(pool: &Pool, observed: &Observed) -> BTreeMap<SlotId, Difference> {
    let registry = &observed.registry;
    let entry = |id| registry.slots.get(&id).map(Arc::as_ref);
    let compare = |id, slot| (id, compare((slot, entry(id)), observed.is_shared, observed.dir(id)));
    let wanted = pool.slots.values().map(|slot| compare(slot.id, Some(slot)));
    let surplus = registry.slots.keys().filter(|id| !pool.slots.contains_key(id));
    let surplus = surplus.map(|id| compare(*id, None));
    wanted.chain(surplus).collect()
}

fn compare((slot, entry): (Option<&Slot>, Option<&Entry>), is_shared: bool, dir: &SlotDir) -> Difference {
    let pending = entry.and_then(|entry| entry.pending.as_ref());
    let registration = match (slot, entry.map(|entry| &entry.provisioned)) {
        (None, _) => Registration::Surplus,
        (Some(_), None) => Registration::Unregistered,
        (Some(slot), Some(old)) if old.files.is_empty() && pending.is_none() => {
            if is_shared {
                Registration::Shared(field_changes(old, &slot.provisioned()))
            } else {
                Registration::Imported
            }
        }
        (Some(slot), Some(old)) => Registration::Registered(field_changes(old, &slot.provisioned())),
    };
    let obstacle = match dir {
        SlotDir::Blocked(obstacle) => Some(*obstacle),
        SlotDir::Missing | SlotDir::Present { .. } => None,
    };
    let written = entry.map(|entry| &entry.provisioned.files);
    let wanted = slot.map(|slot| &slot.files);
    let paths = wanted.into_iter().flat_map(BTreeMap::keys).chain(entry.into_iter().flat_map(Entry::files));
    let (found, others) = match dir {
        SlotDir::Present { files, others } => (Some(files), others.clone()),
        SlotDir::Missing | SlotDir::Blocked(_) => (None, Vec::new()),
    };
    let files = paths.map(|path| {
        let state = found.and_then(|files| files.get(path)).copied().unwrap_or(FileState::Missing);
        let ours = Ours {
            written: written.and_then(|files| files.get(path)).copied(),
            pending: pending.and_then(|pending| pending.file(path)),
        };
        let wanted = wanted.and_then(|files| files.get(path));
        let difference = match (wanted, state) {
            // Its directories may still be there.
            (None, FileState::Missing) if pending.is_some() || slot.is_none() => FileDifference::Dropped,
            _ => compare_file(wanted, ours, state),
        };
        (path.clone(), difference)
    });
    let unfinished = pending.map(|pending| match pending {
        Pending::Files(_) => Unfinished::Change,
        Pending::Remove => Unfinished::Removal,
        Pending::Elsewhere => Unfinished::Elsewhere,
    });
    let claimed_by = entry.and_then(|entry| entry.claim.as_ref()).map(|claim| claim.claimed_by.to_string());
    let remnant = entry.and_then(|entry| match entry.condition() {
        Condition::Held | Condition::Clean => None,
        Condition::KeepsData(left) => Some(Remnant::DataOf(left.by.to_string())),
        Condition::Dirty(_) | Condition::Quarantined(_) => Some(Remnant::Anything),
    });
    let files = files.collect();
    Difference { registration, obstacle, files, others, unfinished, claimed_by, remnant }
}

/// The hashes of what kinfra wrote in a file's place, if it did.
#[derive(Clone, Copy)]
struct Ours {
    written: Option<Digest>,
    pending: Option<Digest>,
}

impl Ours {
    fn are(self, digest: Digest) -> bool {
        self.written == Some(digest) || self.pending == Some(digest)
    }
}

fn compare_file(wanted: Option<&File>, ours: Ours, state: FileState) -> FileDifference {
    match (wanted, state) {
        (_, FileState::Blocked(obstacle)) => FileDifference::Blocked(obstacle),
        (None, FileState::Missing) => FileDifference::Same,
        (None, FileState::Present { digest, .. }) if ours.are(digest) => FileDifference::Dropped,
        (None, FileState::Present { .. }) => FileDifference::Disowned,
        (Some(file), FileState::Missing) if ours.written == Some(file.digest) => FileDifference::Lost,
        (Some(_), FileState::Missing) => FileDifference::Absent,
        (Some(file), FileState::Present { digest, mode }) if file.digest == digest => {
            if file.mode == mode {
                FileDifference::Same
            } else {
                FileDifference::WrongMode(mode)
            }
        }
        (Some(_), FileState::Present { digest, .. }) if ours.are(digest) => FileDifference::Outdated,
        (Some(_), FileState::Present { .. }) => FileDifference::Edited,
    }
}

/// A field of an entry that the spec decides. Fields are shown in this order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// The slot's directory.
    InfrastructurePath,
    /// The name of its profile.
    Profile,
    /// How many workers of this kind it runs.
    Workers(WorkerKind),
    /// Its port for this.
    Port(PortName),
}

impl Field {
    /// Reads a field's name as [`Display`](fmt::Display) writes it.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the name.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once('.') {
            None if text == "infrastructure_path" => Ok(Self::InfrastructurePath),
            None if text == "profile" => Ok(Self::Profile),
            Some(("workers", kind)) => WorkerKind::new(kind).map(Self::Workers),
            Some(("ports", name)) => PortName::new(name).map(Self::Port),
            None | Some(_) => Err(format!("`{}` is no field of an entry", text.escape_debug())),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InfrastructurePath => f.write_str("infrastructure_path"),
            Self::Profile => f.write_str("profile"),
            Self::Workers(kind) => write!(f, "workers.{kind}"),
            Self::Port(name) => write!(f, "ports.{name}"),
        }
    }
}

impl Serialize for Field {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// What the spec decides of a slot, as text.
pub fn fields<'a>(
    profile: &ProfileName,
    workers: &Workers,
    ports: impl Iterator<Item = (&'a PortName, HostPort)>,
) -> BTreeMap<Field, String> {
    let workers = workers.iter().map(|(kind, count)| (Field::Workers(kind.clone()), count.to_string()));
    let ports = ports.map(|(name, port)| (Field::Port(name.clone()), port.to_string()));
    [(Field::Profile, profile.to_string())].into_iter().chain(workers).chain(ports).collect()
}

/// The fields of an entry. The files' hashes are not among them.
pub fn entry_fields(entry: &Provisioned) -> BTreeMap<Field, String> {
    let Provisioned { infrastructure_path, profile, workers, ports: _, udp: _, files: _ } = entry;
    let mut fields = fields(profile, workers, entry.host_ports());
    fields.insert(Field::InfrastructurePath, infrastructure_path.clone());
    fields
}

/// The fields of an entry that differ from the spec.
fn field_changes(old: &Provisioned, new: &Provisioned) -> Vec<FieldChange> {
    let Provisioned { infrastructure_path, profile, workers, ports, udp, files: _ } = old;
    let is_same = *infrastructure_path == new.infrastructure_path && *profile == new.profile;
    if is_same && (workers, ports, udp) == (&new.workers, &new.ports, &new.udp) {
        return Vec::new();
    }
    let (old, new) = (entry_fields(old), entry_fields(new));
    let fields: BTreeSet<&Field> = old.keys().chain(new.keys()).collect();
    let change = |field: &Field| FieldChange {
        field: field.clone(),
        old: old.get(field).cloned(),
        new: new.get(field).cloned(),
    };
    fields.into_iter().map(change).filter(|change| change.old != change.new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_read_as_it_is_written() {
        for name in ["infrastructure_path", "profile", "workers.backtest", "ports.otlp_grpc"] {
            assert_eq!(Field::parse(name).map(|field| field.to_string()), Ok(name.to_owned()));
        }
        for name in ["", "ports", "ports.", "ports.API", "port.api", "profile.x"] {
            assert!(Field::parse(name).is_err(), "{name:?} was taken");
        }
    }

    #[test]
    fn a_file_differs_by_what_kinfra_wrote_and_what_the_spec_says() {
        use FileDifference as Is;

        let of = |text: &str| Digest::of(text.as_bytes());
        let wanted =
            |text: &str| File { text: text.into(), digest: of(text), mode: FileMode::PRIVATE, masked: None };
        let found = |text: &str| FileState::Present { digest: of(text), mode: FileMode::PRIVATE };
        let open = FileState::Present { digest: of("new"), mode: FileMode::SHARED };
        let (missing, linked) = (FileState::Missing, FileState::Blocked(Obstacle::Symlink));
        // What the spec says, what was written, what is announced, and what is there.
        for (spec, written, pending, state, expected) in [
            (Some("new"), None, None, linked, Is::Blocked(Obstacle::Symlink)),
            (None, Some("old"), None, linked, Is::Blocked(Obstacle::Symlink)),
            (None, Some("old"), None, missing, Is::Same),
            (None, Some("old"), None, found("old"), Is::Dropped),
            (None, None, Some("old"), found("old"), Is::Dropped),
            (None, Some("old"), None, found("other"), Is::Disowned),
            (None, None, None, found("other"), Is::Disowned),
            (Some("new"), Some("new"), None, missing, Is::Lost),
            (Some("new"), Some("old"), Some("new"), missing, Is::Absent),
            (Some("new"), None, None, missing, Is::Absent),
            (Some("new"), Some("old"), None, found("new"), Is::Same),
            (Some("new"), Some("old"), None, open, Is::WrongMode(FileMode::SHARED)),
            (Some("new"), Some("old"), None, found("old"), Is::Outdated),
            (Some("new"), Some("old"), Some("mid"), found("mid"), Is::Outdated),
            (Some("new"), Some("old"), Some("mid"), found("other"), Is::Edited),
            (Some("new"), None, None, found("other"), Is::Edited),
        ] {
            let ours = Ours { written: written.map(of), pending: pending.map(of) };
            let difference = compare_file(spec.map(wanted).as_ref(), ours, state);
            assert_eq!(difference, expected, "{spec:?} {written:?} {pending:?} {state:?}");
        }
    }
}
