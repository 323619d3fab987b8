//! The pools of the index, as their roots show them now: which ports their registries hold, and which pools
//! are away, or gone for good.

use std::collections::BTreeMap;

use camino::Utf8Path;

use super::index::IndexEntry;
use crate::claims::whereabouts::Following;
use crate::host::fs::{self, Dir};
use crate::host::root::Root;
use crate::identifier::PortName;
use crate::ledger::{Ledger, glance};
use crate::port::HostPort;
use crate::registry::Entry;
use crate::slot::SlotId;

/// The ports of a pool's slots, as its registry has them.
pub(super) type HeldPorts = BTreeMap<SlotId, Vec<(PortName, HostPort)>>;

/// What the registry of a pool holds.
pub(super) enum Held {
    /// There is none.
    Nothing,
    /// It has no slots, so the pool uses no port.
    Empty,
    /// It has these slots and ports. Empty if it cannot be read.
    Slots(HeldPorts),
}

/// What is to be seen of another pool.
pub(super) enum Seen {
    /// It has these slots and ports.
    Slots(HeldPorts),
    /// It uses no port.
    Unused,
    /// It is not there now, and may come back with its disk or its directory.
    Away,
    /// It is gone for good: its disk and the directory above its root are there, and it is not.
    Gone,
}

/// Looks at another pool. One without slots whose lock is held begins now, or begins anew: it is noted before
/// its registry is saved.
pub(super) fn look(entry: &IndexEntry) -> Seen {
    let root = entry.root();
    match held_in(root) {
        Held::Slots(ports) => Seen::Slots(ports),
        Held::Empty | Held::Nothing if is_locked(root) => Seen::Slots(BTreeMap::new()),
        Held::Empty => Seen::Unused,
        Held::Nothing if is_away(entry) => Seen::Away,
        Held::Nothing => Seen::Gone,
    }
}

/// The ports that the registry in a root holds. Where there is none, a closer look says whether it vanished.
pub(super) fn held_in(root: &Utf8Path) -> Held {
    let registry = match glance(root) {
        Ok(None) => Ledger::of(root).read(Following::NoHolder).map(|seen| seen.map(|seen| seen.registry)),
        seen => seen,
    };
    match registry {
        Ok(None) => Held::Nothing,
        Ok(Some(registry)) if registry.slots.is_empty() => Held::Empty,
        Ok(Some(registry)) => {
            let ports = |entry: &Entry| {
                entry.provisioned.host_ports().map(|(name, port)| (name.clone(), port)).collect()
            };
            let slots = registry.slots.iter();
            Held::Slots(slots.map(|(slot, entry)| (*slot, ports(entry))).collect())
        }
        Err(_) => Held::Slots(BTreeMap::new()),
    }
}

fn is_locked(root: &Utf8Path) -> bool {
    Root::open(root).map_or(true, |root| root.is_some_and(|root| !matches!(root.lock_holder(), Ok(None))))
}

/// Whether a pool without a registry may come back: its disk is not there, or the directory above its root.
fn is_away(entry: &IndexEntry) -> bool {
    let root = entry.root();
    let is_there = |path: &Utf8Path| fs::exists(path).unwrap_or(false);
    let Some(above) = root.parent() else { return false };
    let has_disk = match &entry.mount {
        Some(mount) => is_mounted(mount),
        // An older kinfra did not record the mount point. An empty directory may be that of a disk which is
        // not mounted now.
        None => {
            is_there(root) || Dir::open(above).is_ok_and(|dir| dir.names().is_ok_and(|it| !it.is_empty()))
        }
    };
    !is_there(above) || !has_disk
}

/// Whether a disk is mounted at a path.
pub(super) fn is_mounted(mount: &str) -> bool {
    fs::is_mount(Utf8Path::new(mount)).unwrap_or(false)
}

/// The mount point of the disk that a root is on, or will be.
pub(super) fn mount_of(root: &Utf8Path) -> Option<String> {
    let there = root.ancestors().find(|above| fs::is_directory(above))?;
    Some(fs::mount_of(there).ok()?.to_string())
}
