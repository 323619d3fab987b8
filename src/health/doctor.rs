//! What is wrong with this machine and a pool's root, and what to do about it. Changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Error, Result};
use camino::Utf8Path;

use crate::desired::Pool;
use crate::fault::{Fault, advice_of};
use crate::file::{FileMode, Obstacle};
use crate::host::docker;
use crate::host::docker::Answer;
use crate::host::fs::{Dir, Found};
use crate::host::net;
use crate::host::root::{BACKUP, LOCK, REGISTRY, Root, TEMPORARY};
use crate::identifier::PortName;
use crate::observe::{ImportState, observe};
use crate::port::Port;
use crate::registry::{Entry, Registry};
use crate::slot::SlotId;

/// The most that is read of a slot's file, in bytes.
const FILE_LIMIT: u64 = 256 << 20;
/// The most that a registry's backup may be, in bytes.
const BACKUP_LIMIT: u64 = 64 << 20;
/// What to do about what is in a slot's way.
const MOVE_AWAY: &str = "move it away, then `kinfra apply`";
/// Below how many MiB a disk counts as nearly full.
const LOW_SPACE_MIB: u64 = 64;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be.
    Fine,
    /// Works, or only some verbs need it.
    Warning,
    /// Keeps kinfra from working.
    Error,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was looked at.
    pub subject: String,
    /// What was found.
    pub found: String,
    /// What to do; empty when nothing is.
    pub advice: String,
}

impl Finding {
    /// A finding, its advice empty where nothing is to be done.
    pub fn new(
        severity: Severity,
        subject: &str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { severity, subject: subject.to_owned(), found: found.into(), advice: advice.into() }
    }
}

/// Looks at everything.
pub fn examine(pool: &Pool) -> Vec<Finding> {
    let mut findings = Findings::default();
    match Root::open(&pool.root) {
        Ok(Some(root)) => {
            findings.root(&root);
            let registry = findings.registry(Some(&root), pool);
            findings.backup(&root);
            if !findings.lock_is_held(&root) {
                findings.temporaries(&root);
            }
            findings.slots(&root, registry.as_ref(), pool);
            findings.ports(registry.as_ref(), pool);
            findings.space(root.dir());
        }
        Ok(None) => {
            findings.fine("root", format!("`{}` is not there yet: `kinfra apply` makes it", pool.root));
            findings.registry(None, pool);
            findings.ports(None, pool);
            if let Some(above) = pool.root.ancestors().find_map(|above| Dir::open(above).ok()) {
                findings.space(&above);
            }
        }
        Err(error) => findings.error("root", format!("{error:#}"), "choose another with --root"),
    }
    findings.docker();
    findings.0
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn fine(&mut self, subject: &str, found: impl Into<String>) {
        self.add(Severity::Fine, subject, found, "");
    }

    fn warning(&mut self, subject: &str, found: impl Into<String>, advice: impl Into<String>) {
        self.add(Severity::Warning, subject, found, advice);
    }

    fn error(&mut self, subject: &str, found: impl Into<String>, advice: impl Into<String>) {
        self.add(Severity::Error, subject, found, advice);
    }

    fn add(
        &mut self,
        severity: Severity,
        subject: &str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.0.push(Finding::new(severity, subject, found, advice));
    }

    /// Warns of permissions that let others in. `.` is the directory itself.
    fn mode(&mut self, dir: &Dir, name: &str) {
        let path = if name == "." { dir.path().to_owned() } else { dir.path().join(name) };
        if dir.mode_of(name).is_some_and(|mode| mode & 0o077 != 0) {
            self.open_to_others(&path);
        }
    }

    fn open_to_others(&mut self, path: &Utf8Path) {
        let advice = format!("chmod go= '{path}'");
        self.warning("permissions", format!("`{path}` is open to other users"), advice);
    }

    fn root(&mut self, root: &Root) {
        let path = root.path();
        match root.dir().network_file_system() {
            Ok(None) => self.fine("root", format!("`{path}`")),
            Ok(Some(kind)) => {
                let advice = "locks may not hold there: move the pool to a local file system";
                self.warning("root", format!("`{path}` is on a network file system ({kind})"), advice);
            }
            Err(error) => self.error("root", format!("{error:#}"), advice_of(&error).unwrap_or_default()),
        }
        self.mode(root.dir(), ".");
    }

    fn registry(&mut self, root: Option<&Root>, pool: &Pool) -> Option<Registry> {
        let observed = match observe(root, pool) {
            Ok(observed) => observed,
            Err(error) => {
                let (found, advice) = split_advice(&error);
                self.error("registry", found, advice);
                return None;
            }
        };
        let path = pool.root.join(REGISTRY);
        match (&observed.registry_text, &observed.import) {
            (Some(_), _) => {
                self.fine("registry", format!("`{path}` has {} slot(s)", observed.registry.slots.len()));
            }
            (None, Some(ImportState::Pending { path, .. })) => {
                self.fine("registry", format!("not there yet: `kinfra apply` imports `{path}`"));
            }
            (None, _) => self.fine("registry", format!("`{path}` is not there yet: `kinfra apply` makes it")),
        }
        if let Some(ImportState::Changed(path)) = &observed.import {
            let advice =
                "kinfra no longer reads it: stop using the old tool, or take `import` out of slots.toml";
            self.warning("import", format!("`{path}` changed after it was imported"), advice);
        }
        if let Some(root) = root {
            self.mode(root.dir(), REGISTRY);
        }
        Some(observed.registry)
    }

    fn backup(&mut self, root: &Root) {
        let path = root.path().join(BACKUP);
        self.mode(root.dir(), BACKUP);
        let wrong = match root.dir().read(Utf8Path::new(BACKUP), BACKUP_LIMIT) {
            Ok(Found::This(content)) => match Registry::parse(&String::from_utf8_lossy(&content.bytes)) {
                Ok(_) => return self.fine("backup", format!("`{path}`")),
                Err(corrupt) => format!("`{path}` is corrupt: {corrupt}"),
            },
            Ok(Found::Nothing) => {
                return self.fine("backup", format!("`{path}` is not there: the next save makes it"));
            }
            Ok(Found::Other(Obstacle::Forbidden)) => format!("`{path}` is not readable"),
            Ok(Found::Other(obstacle)) => {
                let found = format!("`{path}` is {obstacle}");
                return self.error("backup", found, "move it away: nothing can be saved");
            }
            Err(error) => format!("{error:#}"),
        };
        self.warning("backup", wrong, "the next save replaces it");
    }

    fn lock_is_held(&mut self, root: &Root) -> bool {
        let path = root.path().join(LOCK);
        let holder = root.lock_holder();
        match &holder {
            Ok(None) => self.fine("lock", format!("`{path}` is free")),
            Ok(Some(holder)) => self.warning("lock", format!("`{path}` is held by {holder}"), "wait for it"),
            Err(error) => self.error("lock", format!("{error:#}"), advice_of(error).unwrap_or_default()),
        }
        self.mode(root.dir(), LOCK);
        holder.is_ok_and(|holder| holder.is_some())
    }

    fn temporaries(&mut self, root: &Root) {
        let path = root.path().join(TEMPORARY);
        match root.dir().dir(Utf8Path::new(TEMPORARY)) {
            Ok(Found::This(dir)) => match dir.names() {
                Ok(names) if names.is_empty() => self.fine("temporary files", "none"),
                Ok(names) => {
                    let found = format!("{} left in `{path}` by a run that was stopped", names.len());
                    self.warning(
                        "temporary files",
                        found,
                        "the next `kinfra apply` that writes removes them",
                    );
                }
                Err(error) => self.warning(
                    "temporary files",
                    format!("{error:#}"),
                    advice_of(&error).unwrap_or_default(),
                ),
            },
            Ok(Found::Nothing) => self.fine("temporary files", "none"),
            Ok(Found::Other(obstacle)) => {
                let advice = way_out(obstacle, "move it away");
                self.error("temporary files", format!("`{path}` is {obstacle}"), advice);
            }
            Err(error) => {
                self.error("temporary files", format!("{error:#}"), advice_of(&error).unwrap_or_default());
            }
        }
    }

    /// Slots as the registry has them, and whatever else has the name of a slot's directory.
    fn slots(&mut self, root: &Root, registry: Option<&Registry>, pool: &Pool) {
        let before = self.0.len();
        let restores = "`kinfra plan` says whether `kinfra apply` restores it";
        let entries = registry.map(|registry| &registry.slots);
        let entry = |slot| entries.and_then(|entries| entries.get(&slot));
        let there = root.slots().unwrap_or_default();
        let slots: BTreeSet<SlotId> =
            entries.into_iter().flat_map(BTreeMap::keys).copied().chain(there).collect();
        for slot in slots {
            let (subject, path) = (format!("slot {slot}"), root.path().join(slot.directory()));
            match root.slot(slot) {
                Ok(Found::This(dir)) => {
                    self.mode(root.dir(), &slot.directory());
                    if let Some(entry) = entry(slot) {
                        self.files(slot, &dir, entry, pool);
                    } else if registry.is_some() {
                        let advice = "`kinfra plan` says whether it would be adopted";
                        self.warning(&subject, format!("`{path}` is not in the registry"), advice);
                    }
                }
                Ok(Found::Nothing) => self.warning(&subject, format!("`{path}` is not there"), restores),
                Ok(Found::Other(obstacle)) => {
                    self.error(&subject, format!("`{path}` is {obstacle}"), way_out(obstacle, MOVE_AWAY));
                }
                Err(error) => {
                    self.error(&subject, format!("{error:#}"), advice_of(&error).unwrap_or_default());
                }
            }
        }
        if self.0.len() == before && registry.is_some() {
            self.fine("slots", "every slot has its directory and its files");
        }
    }

    fn files(&mut self, slot: SlotId, dir: &Dir, entry: &Entry, pool: &Pool) {
        let subject = format!("slot {slot}");
        let restores = "`kinfra plan` says whether `kinfra apply` restores it";
        for file in entry.provisioned.files.keys() {
            let path = dir.path().join(file.as_path());
            let wanted = pool.slots.get(&slot).and_then(|slot| slot.files.get(file)).map(|file| file.mode);
            match dir.read(file.as_path(), FILE_LIMIT) {
                Ok(Found::This(content)) => {
                    let meant = wanted.is_some_and(FileMode::is_open_to_others);
                    if content.mode.is_open_to_others() && !meant {
                        self.open_to_others(&path);
                    }
                }
                Ok(Found::Nothing) => self.warning(&subject, format!("`{path}` is not there"), restores),
                Ok(Found::Other(obstacle)) => {
                    self.error(&subject, format!("`{path}` is {obstacle}"), way_out(obstacle, MOVE_AWAY));
                }
                Err(error) => {
                    self.error(&subject, format!("{error:#}"), advice_of(&error).unwrap_or_default());
                }
            }
        }
    }

    /// Ports that nobody has claimed, and that are in use all the same. Without a registry, those of the spec.
    fn ports(&mut self, registry: Option<&Registry>, pool: &Pool) {
        let before = self.0.len();
        let free: Vec<(SlotId, &PortName, Port)> = match registry {
            Some(registry) if !registry.slots.is_empty() => {
                let free = registry.slots.iter().filter(|(_, entry)| entry.claim.is_none());
                free.flat_map(|(slot, entry)| {
                    entry.provisioned.ports.iter().map(|(name, port)| (*slot, name, *port))
                })
                .collect()
            }
            Some(_) | None => {
                let slots = pool.slots.values();
                slots.flat_map(|slot| slot.ports.iter().map(|(name, port)| (slot.id, name, *port))).collect()
            }
        };
        for (slot, name, port) in free.into_iter().filter(|(_, _, port)| net::is_in_use(*port)) {
            let found = in_use(port, name, slot);
            self.warning("ports", found, "stop it, or use another slot");
        }
        if self.0.len() == before {
            self.fine("ports", "no port of a free slot is in use");
        }
    }

    fn space(&mut self, dir: &Dir) {
        match dir.free_space() {
            Ok((mib, inodes)) if mib < LOW_SPACE_MIB || inodes < 1000 => {
                let found = format!("{mib} MiB and {inodes} files left on the disk of `{}`", dir.path());
                self.warning("disk space", found, "make room");
            }
            Ok((mib, _)) => self.fine("disk space", format!("{mib} MiB left")),
            Err(error) => {
                self.warning("disk space", format!("{error:#}"), advice_of(&error).unwrap_or_default());
            }
        }
    }

    fn docker(&mut self) {
        let install = "install Docker; kinfra itself works without it, the slots' stacks do not";
        match docker::docker_version() {
            Answer::Is(version) => self.fine("docker", version),
            Answer::NoCommand | Answer::NoDaemon => {
                return self.warning("docker", "there is no docker command", install);
            }
            Answer::Failed(said) => return self.warning("docker", said, install),
        }
        let upgrade = "install Docker Compose 2 or newer, the plugin that brings `docker compose`";
        match docker::compose_version() {
            Answer::Is(version) if version.trim_start_matches('v').starts_with("1.") => {
                self.warning("compose", format!("version {version} is too old"), upgrade);
            }
            Answer::Is(version) => self.fine("compose", format!("version {version}")),
            Answer::NoCommand | Answer::NoDaemon => {
                self.warning("compose", "there is no `docker compose`", upgrade);
            }
            Answer::Failed(said) => {
                self.warning("compose", format!("`docker compose version` fails: {said}"), upgrade);
            }
        }
        match docker::daemon_version() {
            Answer::Is(version) => self.fine("docker daemon", format!("version {version}")),
            Answer::NoCommand | Answer::NoDaemon => {
                self.warning("docker daemon", "none answers", "start Docker before you start a slot's stack");
            }
            Answer::Failed(said) => self.warning("docker daemon", said, "see whether Docker runs"),
        }
    }
}

/// Which port of which slot is in use by whom.
pub(crate) fn in_use(port: Port, name: &PortName, slot: SlotId) -> String {
    let by = net::listener(port).map_or_else(
        || "another program".to_owned(),
        |(pid, program)| format!("{} (process {pid})", program.escape_debug()),
    );
    format!("port {port}, `{name}` of slot {slot}, is in use by {by}")
}

/// What is wrong with a registry, and what to do about it.
pub fn split_advice(error: &Error) -> (String, String) {
    let message = format!("{error:#}");
    let split = message.split_once("; nothing was changed; ");
    split.map_or_else(|| (message.clone(), String::new()), |(wrong, advice)| (wrong.into(), advice.into()))
}

/// Whether everything is well enough for kinfra to work.
pub fn is_well(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.severity < Severity::Error)
}

/// The slots that show signs of use: files of a claim in their directory, or containers.
///
/// # Errors
/// When docker is there and cannot say.
pub fn slots_in_use(root: &Root, pool: &Pool, claim_files: &[&Utf8Path]) -> Result<BTreeSet<SlotId>> {
    let projects = match docker::projects() {
        Answer::Is(projects) => projects,
        Answer::NoCommand | Answer::NoDaemon => BTreeSet::new(),
        Answer::Failed(said) => {
            let message = format!(
                "docker does not say which slots have containers ({said}): mend that, or stop Docker"
            );
            return Err(Fault::docker(message).into());
        }
    };
    let mut used = BTreeSet::new();
    for slot in root.slots()?.into_iter().chain(pool.slots.keys().copied()) {
        let has_claim_file = match root.slot(slot)? {
            Found::This(dir) => {
                claim_files.iter().any(|path| !matches!(dir.read(path, 0), Ok(Found::Nothing)))
            }
            Found::Nothing | Found::Other(_) => false,
        };
        if has_claim_file || projects.contains(&pool.project(slot)) {
            used.insert(slot);
        }
    }
    Ok(used)
}

/// What to do about what is in the way: `otherwise`, unless it only belongs to somebody else.
fn way_out(obstacle: Obstacle, otherwise: &str) -> &str {
    if obstacle == Obstacle::Forbidden { "make it yours with `sudo chown`" } else { otherwise }
}
