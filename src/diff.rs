//! The pool as it should be against the pool as it is. Facts only: what to do about them is for [`crate::plan`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::desired::{File, Pool, Slot};
use crate::digest::Digest;
use crate::file::{FileMode, Obstacle, RelPath};
use crate::identifier::{PortName, ProfileName};
use crate::observe::{FileState, Observed, SlotDir};
use crate::port::Port;
use crate::registry::{Entry, Pending, Provisioned};
use crate::slot::{SlotId, Workers};

/// How one slot differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// How spec and registry stand to each other.
    pub standing: Standing,
    /// What is in the place of the slot's directory, if it is no directory.
    pub obstacle: Option<Obstacle>,
    /// Every file that the spec or the registry names.
    pub files: BTreeMap<RelPath, FileDifference>,
    /// What stands in the directory of a slot that the spec no longer has, and is not in the registry.
    pub others: Vec<String>,
    /// What an earlier apply began in it and did not complete.
    pub unfinished: Option<Unfinished>,
    /// Who holds the slot.
    pub claimed_by: Option<String>,
}

/// What an apply began in a slot and did not complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfinished {
    /// A change of its files.
    Change,
    /// Its removal.
    Removal,
}

/// How spec and registry stand to each other, for one slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The spec has it, the registry has not.
    Unregistered,
    /// Both have it, but the entry is an old tool's: what kinfra wrote is not known.
    Imported,
    /// Both have it. These fields of the entry are not what the spec says.
    Registered(Vec<FieldChange>),
    /// The registry has it, the spec no longer.
    Surplus,
}

/// A field of an entry that the spec would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Its name, as in the registry.
    pub field: String,
    /// What it is; `None` when it is not there.
    pub old: Option<String>,
    /// What it would be; `None` when it would go.
    pub new: Option<String>,
}

/// How one file differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileDifference {
    /// Not at all.
    Same,
    /// It is not there, and was last written just as it should be.
    Lost,
    /// It is not there, and was never written, or otherwise.
    Absent,
    /// It is as kinfra last wrote it, and should now be otherwise.
    Outdated,
    /// It has the right content and this mode, which is not the right one.
    WrongMode(FileMode),
    /// It is as kinfra last wrote it, and the spec no longer has it; or it is gone, and only its directories may be there.
    Dropped,
    /// It was edited by hand, and the spec no longer has it.
    Disowned,
    /// It is neither what kinfra wrote nor what it should be.
    Edited,
    /// Something else is in its place.
    Blocked(Obstacle),
}

/// Compares every slot that the spec or the registry names.
pub fn diff(pool: &Pool, observed: &Observed) -> BTreeMap<SlotId, Difference> {
    let registry = &observed.registry;
    let wanted = pool
        .slots
        .values()
        .map(|slot| (slot.id, compare(Some(slot), registry.slots.get(&slot.id), observed.dir(slot.id))));
    let surplus = registry.slots.iter().filter(|(id, _)| !pool.slots.contains_key(id));
    let surplus = surplus.map(|(&id, entry)| (id, compare(None, Some(entry), observed.dir(id))));
    wanted.chain(surplus).collect()
}

fn compare(slot: Option<&Slot>, entry: Option<&Entry>, dir: &SlotDir) -> Difference {
    let pending = entry.and_then(|entry| entry.pending.as_ref());
    let standing = match (slot, entry.map(|entry| &entry.provisioned)) {
        (None, _) => Standing::Surplus,
        (Some(_), None) => Standing::Unregistered,
        (Some(_), Some(old)) if old.files.is_empty() && pending.is_none() => Standing::Imported,
        (Some(slot), Some(old)) => Standing::Registered(field_changes(old, &slot.provisioned())),
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
            // Its directories may be there still.
            (None, FileState::Missing) if pending.is_some() || slot.is_none() => FileDifference::Dropped,
            _ => compare_file(wanted, ours, state),
        };
        (path.clone(), difference)
    });
    let unfinished = pending.map(|pending| match pending {
        Pending::Files(_) => Unfinished::Change,
        Pending::Remove => Unfinished::Removal,
    });
    let claimed_by = entry.and_then(|entry| entry.claim.as_ref()).map(|claim| claim.claimed_by.to_string());
    Difference { standing, obstacle, files: files.collect(), others, unfinished, claimed_by }
}

/// The hashes of what kinfra wrote in a file's place, as far as it did.
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

/// A field of an entry that the spec decides, in the order in which they are told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// The slot's directory.
    InfrastructurePath,
    /// The name of its size class.
    Profile,
    /// How many workers of this kind it runs.
    Workers(String),
    /// Its port for this.
    Port(PortName),
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

/// What a slot is, as text.
pub fn fields<'a>(
    profile: &ProfileName,
    workers: &Workers,
    ports: impl Iterator<Item = (&'a PortName, &'a Port)>,
) -> BTreeMap<Field, String> {
    let workers = workers.iter().map(|(kind, count)| (Field::Workers(kind.to_string()), count.to_string()));
    let ports = ports.map(|(name, port)| (Field::Port(name.clone()), port.to_string()));
    [(Field::Profile, profile.to_string())].into_iter().chain(workers).chain(ports).collect()
}

/// The fields of an entry; the files' hashes are none of their own.
pub fn entry_fields(entry: &Provisioned) -> BTreeMap<Field, String> {
    let Provisioned { infrastructure_path, profile, workers, ports, files: _ } = entry;
    let mut fields = fields(profile, workers, ports.iter());
    fields.insert(Field::InfrastructurePath, infrastructure_path.clone());
    fields
}

/// Every field of an entry that is not as it should be.
fn field_changes(old: &Provisioned, new: &Provisioned) -> Vec<FieldChange> {
    let (old, new) = (entry_fields(old), entry_fields(new));
    let fields: BTreeSet<&Field> = old.keys().chain(new.keys()).collect();
    let change = |field: &Field| FieldChange {
        field: field.to_string(),
        old: old.get(field).cloned(),
        new: new.get(field).cloned(),
    };
    fields.into_iter().map(change).filter(|change| change.old != change.new).collect()
}
