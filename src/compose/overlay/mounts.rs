//! Mounts of a service: what the slot has its own of, in place of a path of the machine.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use super::slot::Slot;
use super::slug::path_slug;
use super::yaml::Node;
use crate::compose::model::{Mount, Service};
use crate::compose::resource::{PerSlot, Resource};

/// A mount's source in a slot.
enum Source {
    /// A named volume of the slot's own.
    Volume(String),
    /// A directory in the worktree.
    Worktree(Utf8PathBuf),
}

/// The service's mounts, all of them, if the slot has its own of some. Adds the volumes that this needs.
///
/// Compose merges mounts by their targets as written, `/data` and `/data/` apart. So the whole list is given.
pub(super) fn of(service: &Service, slot: &Slot<'_>, volumes: &mut BTreeSet<String>) -> Option<Node> {
    let sources: Vec<Option<Source>> = service.volumes.iter().map(|mount| source(mount, slot)).collect();
    if sources.iter().all(Option::is_none) {
        return None;
    }
    let mounts = service.volumes.iter().zip(sources).map(|(mount, source)| match source {
        None => node(&mount.kind, mount.source.as_deref(), mount, true),
        Some(Source::Volume(name)) => {
            let mount = node("volume", Some(&name), mount, false);
            volumes.insert(name);
            mount
        }
        Some(Source::Worktree(path)) => node("bind", Some(path.as_str()), mount, true),
    });
    Some(Node::List(mounts.collect()).overriding())
}

fn source(mount: &Mount, slot: &Slot<'_>) -> Option<Source> {
    let path = mount.bind()?;
    let resource = Resource::Mount(path.clone());
    if slot.shares(&resource) {
        return None;
    }
    match slot.own(&resource) {
        Some(PerSlot::Volume) => return Some(Source::Volume(format!("kinfra_{}", path_slug(path.as_str())))),
        Some(PerSlot::Worktree(dir)) => return Some(Source::Worktree(slot.worktree.join(dir))),
        Some(PerSlot::Own) | None => {}
    }
    // What is below a directory that moved to the worktree moves with it.
    let above = path.ancestors().skip(1).find_map(|above| Some((above, worktree_of(above, slot)?)));
    let (above, dir) = above?;
    path.strip_prefix(above).ok().map(|below| Source::Worktree(dir.join(below)))
}

fn worktree_of(path: &Utf8Path, slot: &Slot<'_>) -> Option<Utf8PathBuf> {
    match slot.own(&Resource::Mount(path.to_owned()))? {
        PerSlot::Worktree(dir) => Some(slot.worktree.join(dir)),
        PerSlot::Volume | PerSlot::Own => None,
    }
}

fn node(kind: &str, source: Option<&str>, mount: &Mount, keeps_options: bool) -> Node {
    let mut entries = vec![("type".to_owned(), Node::text(kind))];
    entries.extend(source.map(|source| ("source".to_owned(), Node::text(source))));
    entries.push(("target".to_owned(), Node::text(&mount.target)));
    if mount.read_only {
        entries.push(("read_only".to_owned(), Node::True));
    }
    // A bind's options say nothing of a volume.
    let options = mount.options.iter().filter(|_| keeps_options);
    entries.extend(options.map(|(key, value)| (key.clone(), Node::Printed(value.clone()))));
    Node::Map(entries)
}
