//! What slots would share, and how init keeps them apart.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};

use super::compose_file::ComposeFile;
use crate::compose::model::Model;
use crate::file::normal;
use crate::proof::isolation::{Conflict, HostThing, Owner, Stack, prove, shared_by_every_slot};

/// Where containers keep data: a slot can start with none of it.
const DATA: [&str; 16] = [
    "/var/lib",
    "/var/opt",
    "/data",
    "/config",
    "/bitnami",
    "/usr/share/elasticsearch/data",
    "/usr/share/opensearch/data",
    "/qdrant/storage",
    "/prometheus",
    "/mongodb",
    "/usr/local/pgsql/data",
    "/cache",
    "/var/cache",
    "/var/log",
    "/var/spool",
    "/tmp",
];

/// What such a directory is called elsewhere.
const NAMES: [&str; 12] = [
    "data", "db", "database", "storage", "uploads", "upload", "media", "logs", "log", "cache", "backups",
    ".ollama",
];

/// What a project's slots would share.
#[derive(Debug, Default)]
pub(super) struct Apart {
    /// What `[compose.per_slot]` gives each slot.
    pub(super) own: Vec<PerSlotLine>,
    /// What only a person can decide.
    pub(super) undecided: Vec<PerSlotLine>,
    /// What is to be said, in sentences.
    pub(super) notes: Vec<String>,
}

/// A line of `[compose.per_slot]`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PerSlotLine {
    /// The line. `None` if slots.toml has none for it.
    pub(super) line: Option<String>,
    /// What `shared` calls it.
    pub(super) resource: Option<String>,
    /// What it is, and which services use it.
    pub(super) what: String,
}

/// How slots are kept apart.
enum Verdict {
    /// The overlay does it.
    ByOverlay,
    /// A line does it, and a slot starts empty.
    InForce,
    /// It stops a start, and no line settles it: each worktree has it elsewhere.
    Beside,
    /// It stops a start. Holds the reason.
    Undecided(&'static str),
}

/// Where the project is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// The top of the worktree. What lies below it moves with a slot.
    pub(super) worktree: &'a Utf8Path,
    /// The user's home directory.
    pub(super) home: Option<&'a Utf8Path>,
}

/// The directories that the images of services declare as volumes, by service.
pub(super) type ImageVolumes = BTreeMap<String, BTreeSet<String>>;

/// Finds what every slot of these files would share, and sets apart what can be.
pub(super) fn set_apart(
    model: &Model,
    sources: &[ComposeFile],
    place: Place<'_>,
    volumes: &ImageVolumes,
) -> Apart {
    let beside = relative_paths(sources);
    let conflicts = shared_by_every_slot(model, place.worktree, &BTreeSet::new());
    let data: Vec<&Conflict> = conflicts.iter().filter(|conflict| is_data(conflict, volumes)).collect();
    let mut apart = Apart::default();
    for conflict in &conflicts {
        let Some(verdict) = verdict(conflict, model, &beside, &data) else { continue };
        let remedy = conflict.remedy();
        let shown = |line: &String| at_home(line, place.home);
        let what =
            at_home(&format!("{} of {}", conflict.thing, conflict.first.services.join(", ")), place.home);
        let resource = conflict.thing.resource().map(|resource| shown(&resource.to_string()));
        let line = remedy.per_slot.first().map(shown);
        let share = resource.as_ref().map(|resource| format!("add `{resource}` to `shared`"));
        let shares = |lead: &str| {
            let share =
                share.as_ref().map(|share| format!("{lead}{share} in [compose] ({})", conflict.risk()));
            share.unwrap_or_default()
        };
        let verdict = match (verdict, &line) {
            (Verdict::InForce, None) => Verdict::Undecided("slots.toml cannot name it"),
            (verdict, _) => verdict,
        };
        match verdict {
            Verdict::ByOverlay => {
                let is_device = matches!(conflict.thing, HostThing::Device(_));
                let own = if is_device { "an empty volume of its own in place of the" } else { "its own" };
                apart.notes.push(format!("each slot has {own} {what}{}", shares("; to share it, ")));
            }
            Verdict::InForce => {
                let share = shares("; to share it, take its line away and ");
                let is_network = matches!(conflict.thing, HostThing::Network(_));
                let own = if is_network { "a network" } else { "an empty volume" };
                apart.notes.push(format!("each slot has {own} of its own in place of the {what}{share}"));
                apart.own.push(PerSlotLine { line, resource, what });
            }
            Verdict::Beside => {
                apart.notes.push(format!(
                    "the {what} stops a start, because it lies beside the worktree: move it into the worktree, or use a named volume"
                ));
            }
            Verdict::Undecided(why) => {
                let own = line.as_ref().map(|line| format!("write `{line}` in [compose.per_slot]"));
                let otherwise = own.or(remedy.otherwise).unwrap_or_default();
                let share = shares(", or ");
                apart.notes.push(format!("the {what} stops a start, because {why}: {otherwise}{share}"));
                apart.undecided.push(PerSlotLine { line, resource, what });
            }
        }
    }
    apart.notes.extend(of_the_machine(model, place));
    apart
}

fn verdict(
    conflict: &Conflict,
    model: &Model,
    beside: &BTreeSet<Utf8PathBuf>,
    data: &[&Conflict],
) -> Option<Verdict> {
    let is_external = |is_external: bool| if is_external { Verdict::InForce } else { Verdict::ByOverlay };
    Some(match &conflict.thing {
        HostThing::Volume(name) => is_external(
            model
                .volumes
                .iter()
                .any(|(key, volume)| volume.external && volume.name.as_ref().unwrap_or(key) == name),
        ),
        HostThing::Network(name) => is_external(
            model
                .networks
                .iter()
                .any(|(key, network)| network.external && network.name.as_ref().unwrap_or(key) == name),
        ),
        HostThing::Device(_) => Verdict::ByOverlay,
        HostThing::Mount(path) if beside.contains(path) => Verdict::Beside,
        HostThing::Mount(path) if path.extension().is_some() => {
            Verdict::Undecided("a file that is written to cannot be a volume")
        }
        HostThing::Mount(_) if data.iter().any(|data| *data == conflict || is_with(conflict, data)) => {
            Verdict::InForce
        }
        HostThing::Mount(_) => Verdict::Undecided("it lies outside the worktree, and may be more than data"),
        HostThing::Namespace(_) => Verdict::Undecided("it belongs to one stack"),
        // The overlay takes these away, and says so where it matters.
        HostThing::Port { .. }
        | HostThing::ContainerName(_)
        | HostThing::Subnet { .. }
        | HostThing::Address { .. }
        | HostThing::Image(_) => return None,
    })
}

/// Whether it is a directory of data, wherever it is mounted: by custom, or because the image says so.
fn is_data(conflict: &Conflict, volumes: &ImageVolumes) -> bool {
    let is_volume = |target: &Utf8Path| {
        let mut of_images = conflict.first.services.iter().filter_map(|service| volumes.get(service));
        of_images.any(|volumes| volumes.iter().any(|volume| target.starts_with(volume)))
    };
    let is_file = conflict.thing.path().is_some_and(|path| path.extension().is_some());
    let mut targets = conflict.first.targets.iter().map(Utf8Path::new);
    !is_file
        && targets.all(|target| {
            is_volume(target)
                || DATA.iter().any(|dir| target.starts_with(dir))
                || target.file_name().is_some_and(|name| NAMES.contains(&name))
        })
}

/// Whether a directory lies beside the data of the same services: half of their state alone is of no use.
fn is_with(conflict: &Conflict, data: &Conflict) -> bool {
    let parent = |conflict: &Conflict| Some(conflict.thing.path()?.parent()?.to_owned());
    let services = &data.first.services;
    let is_of_same = conflict.first.services.iter().all(|service| services.contains(service));
    is_of_same && parent(conflict).is_some() && parent(conflict) == parent(data)
}

/// The paths that the files name with `..`: they are elsewhere for each worktree.
fn relative_paths(sources: &[ComposeFile]) -> BTreeSet<Utf8PathBuf> {
    let mut paths = BTreeSet::new();
    for source in sources {
        for (_, text) in source.root.scalars() {
            for (at, _) in text.match_indices("../") {
                let path = text.get(at..).unwrap_or_default().split([':', '}', ',', ' ']).next();
                let starts = text.get(..at).is_none_or(|before| !before.ends_with(['/', '.']));
                paths.extend(path.filter(|_| starts).map(|path| normal(&source.directory.join(path))));
            }
        }
    }
    paths
}

/// The same with `~/` in place of the home directory, so that it means the same for others.
fn at_home(text: &str, home: Option<&Utf8Path>) -> String {
    home.map_or_else(
        || text.to_owned(),
        |home| {
            let below = format!("{home}/");
            // Only where a path begins.
            [":", "`"].iter().fold(text.to_owned(), |text, before| {
                text.replace(&format!("{before}{below}"), &format!("{before}~/"))
            })
        },
    )
}

/// What of the machine itself each slot uses.
fn of_the_machine(model: &Model, place: Place<'_>) -> Vec<String> {
    let stack = Stack { owner: Owner::Main, model, worktree: place.worktree };
    let notes = prove(&[stack], &BTreeSet::new()).notes;
    let note = |note: &crate::proof::isolation::Note| {
        format!("{} of each slot uses the machine's own: {}", note.services.join(", "), note.noted)
    };
    notes.iter().map(note).collect()
}
