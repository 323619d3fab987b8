//! A pool's root for reading. It takes no lock and writes nothing.

use std::io;
use std::string::FromUtf8Error;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use crate::fault::{Exit, Fault};
use crate::file::Obstacle;
use crate::history::Replaces;
use crate::host::clock::pause;
use crate::host::closed::Closed;
use crate::host::fs::{self, Dir, Found, Stamp};
use crate::host::lock::{self, Lock};
use crate::host::signature;
use crate::slot::SlotId;

/// The registry's name in the root.
pub const REGISTRY: &str = "registry.json";
/// The name of the registry's backup: a copy of it as last saved.
pub const BACKUP: &str = "registry.json.bak";
/// The name of what was last seen of a registry that is on a server.
pub const LAST_SEEN: &str = "registry.last-seen.json";
/// The name of a registry that a server has now, or is to have.
pub const PUSHED: &str = "registry.json.pushed";
/// The name of a registry that comes back from a server.
pub const PULLED: &str = "registry.json.pulled";
/// The journal's name in the root.
pub const JOURNAL: &str = "journal";
/// The name of the journal before that.
pub const OLDER: &str = "journal.1";
/// The lock's name in the root.
pub const LOCK: &str = lock::NAME;
/// Where everything in the root is written before it is moved into place.
pub const TEMPORARY: &str = ".tmp";
/// What systems put into a directory by themselves: at the top of a disk, and where one was looked at.
const OF_DISK: [&str; 2] = ["lost+found", ".DS_Store"];
/// What there may be beside slots once a first apply has taken its lock.
const BEGUN: [&str; 5] = [LOCK, TEMPORARY, ".queue", ".stacks", JOURNAL];
/// The most that a registry may be, in bytes.
pub(super) const REGISTRY_LIMIT: u64 = 64 << 20;

/// The registry's text, and a stamp that shows whether another program has saved it since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryText {
    /// Its text. Copies share it: it may be megabytes.
    pub text: Arc<String>,
    pub(super) stamp: Option<Stamp>,
}

impl RegistryText {
    /// What a change says that replaces it.
    pub fn replaced(&self) -> Replaces {
        Replaces::text(Some(&self.text))
    }
}

/// A pool's root that exists.
#[derive(Debug)]
pub struct Root {
    pub(super) dir: Dir,
}

/// The error for a registry that cannot be trusted.
pub fn unreadable(what: &str) -> Fault {
    Fault::unreadable(what).unchanged().advise("`kinfra doctor --repair` shows what can be restored")
}

/// The text of the registry in a root, for a look at a pool that the run is not about: the root itself is not
/// opened. `None` if there is none.
///
/// # Errors
/// [`Fault`] when it cannot be read, or is not text.
pub fn glance(root: &Utf8Path) -> Result<Option<String>> {
    let path = root.join(REGISTRY);
    hang_in_a_test(root);
    let refuse = |why: String| unreadable(&format!("`{path}` cannot be read: {why}"));
    let bytes = fs::read_named(&path, REGISTRY_LIMIT).map_err(|error| refuse(error.to_string()))?;
    let text = bytes.map(|bytes| String::from_utf8(bytes).map_err(|error| refuse(error.to_string())));
    Ok(text.transpose()?)
}

/// A test hangs no disk: it says which root is on one that does not answer. Only debug builds hear it.
#[expect(clippy::disallowed_methods, reason = "a release reads no variable here")]
fn hang_in_a_test(root: &Utf8Path) {
    if cfg!(debug_assertions)
        && std::env::var("KINFRA_TEST_HUNG_ROOT").is_ok_and(|hung| hung == root.as_str())
    {
        pause(Duration::from_hours(1));
    }
}

impl Root {
    /// Opens a root; `None` if there is none.
    ///
    /// # Errors
    /// [`Fault`] when it is no directory, belongs to another user, or others can change it.
    pub fn open(path: &Utf8Path) -> Result<Option<Self>> {
        match Dir::open(path) {
            Ok(dir) => dir.check_owner("root").map(|()| Some(Self { dir })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                Err(Fault::refused(format!("root `{path}` is a file, not a directory")).into())
            }
            Err(error) => Err(error).with_context(|| format!("could not open root `{path}`")),
        }
    }

    /// Opens a root, making it and the directories above it if they are missing.
    pub fn make(path: &Utf8Path) -> Result<Self> {
        if let Some(root) = Self::open(path)? {
            return Ok(root);
        }
        Ok(Self { dir: Dir::make(path)? })
    }

    /// Something in a directory that kinfra did not make, and that has no pool: a first apply would take over
    /// what is another program's. What a first apply leaves that was cut short is its own.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn foreign(&self) -> Result<Option<String>> {
        let names = self.dir.names()?.into_iter().map(|name| name.to_string_lossy().into_owned());
        let is_ours = |name: &str| OF_DISK.contains(&name) || SlotId::of_directory(name).is_some();
        let foreign: Vec<String> = names.filter(|name| !is_ours(name)).collect();
        // Looked for after the names: a first apply that begins meanwhile makes its lock before all else.
        for own in [REGISTRY, BACKUP, LAST_SEEN, PUSHED, PULLED] {
            if self.dir.has(own)? {
                return Ok(None);
            }
        }
        // A lock alone is also another program's.
        let lock = self.dir.open_file(LOCK).ok().flatten();
        let begun: &[&str] =
            if lock.is_some_and(|lock| signature::is_of_kinfra(&lock)) { &BEGUN } else { &[] };
        Ok(foreign.into_iter().filter(|name| !begun.contains(&name.as_str())).min())
    }

    /// The registry as it is now; `None` if this root never had one.
    ///
    /// # Errors
    /// As [`Root::registry`].
    pub fn read_registry(&self) -> Result<Option<RegistryText>> {
        let text = self.registry()?;
        Ok(text.map(|text| RegistryText { text: text.into(), stamp: self.dir.stamp(REGISTRY) }))
    }

    /// The text of the registry; `None` if this root never had one.
    ///
    /// # Errors
    /// [`Fault`] when it vanished, is no regular file, is too large or is not text.
    pub fn registry(&self) -> Result<Option<String>> {
        let text = self.state(REGISTRY)?;
        if text.is_some() || !self.dir.has(BACKUP)? {
            return Ok(text);
        }
        // The first save may have come between the two looks. It makes the registry before its backup.
        let text = self.state(REGISTRY)?;
        if text.is_none() {
            let (path, backup) = (self.registry_path(), self.path().join(BACKUP));
            return Err(unreadable(&format!("`{path}` vanished, but `{backup}` is there")).into());
        }
        Ok(text)
    }

    /// The text of the registry's backup, if there is one.
    ///
    /// # Errors
    /// [`Fault`] when it is no regular file, is too large or is not text.
    pub fn backup(&self) -> Result<Option<String>> {
        self.state(BACKUP)
    }

    pub(super) fn state(&self, name: &str) -> Result<Option<String>> {
        let path = self.path().join(name);
        match self.dir.read(Utf8Path::new(name), REGISTRY_LIMIT) {
            Ok(Found::This(content)) => {
                content.check_owner("registry", &path)?;
                let not_text = |error: FromUtf8Error| {
                    unreadable(&format!("`{path}` is not text: {}", error.utf8_error()))
                };
                Ok(Some(String::from_utf8(content.bytes).map_err(not_text)?))
            }
            Ok(Found::Nothing) => Ok(None),
            // A repair would not help.
            Ok(Found::Other(Obstacle::Forbidden)) => {
                let unknown = || Fault::unreadable(format!("`{path}` is not readable"));
                let closed = |closed| Fault { exit: Exit::Unreadable, ..Fault::from(closed) };
                Err(Closed::on_the_way_to(&path).map_or_else(unknown, closed).into())
            }
            Ok(Found::Other(obstacle)) => Err(unreadable(&format!("`{path}` is {obstacle}")).into()),
            Err(error) if fs::is_system_error(&error) => Err(error),
            Err(error) => Err(unreadable(&format!("{error:#}")).into()),
        }
    }

    /// Refuses a backup that is no regular file: the next save would replace it.
    ///
    /// # Errors
    /// [`Fault`] when it is none.
    pub fn check_backup(&self) -> Result<()> {
        match self.dir.obstacle(BACKUP)? {
            None | Some(Obstacle::File) => Ok(()),
            Some(obstacle) => {
                let path = self.path().join(BACKUP);
                let blocked = Fault::unreadable(format!("`{path}` is {obstacle}"));
                Err(blocked.advise("move it away while no kinfra runs").into())
            }
        }
    }

    /// Whether a run that was cut short left something to clean up: temporary files, or a registry without a
    /// backup.
    pub fn is_untidy(&self) -> Result<bool> {
        if let Found::This(temporary) = self.dir.dir(Utf8Path::new(TEMPORARY))?
            && !temporary.names()?.is_empty()
        {
            return Ok(true);
        }
        Ok(self.dir.has(REGISTRY)? && !self.dir.has(BACKUP)?)
    }

    /// The readable text of a registry that cannot be trusted; empty if there is none.
    pub fn broken_registry(&self) -> String {
        self.legible(REGISTRY)
    }

    pub(super) fn legible(&self, name: &str) -> String {
        match self.dir.read(Utf8Path::new(name), REGISTRY_LIMIT) {
            Ok(Found::This(content)) => String::from_utf8_lossy(&content.bytes).into_owned(),
            Ok(Found::Nothing | Found::Other(_)) | Err(_) => String::new(),
        }
    }

    /// The lock's holder, if another process holds it.
    pub fn lock_holder(&self) -> Result<Option<String>> {
        Ok(Lock::holder(&self.dir, LOCK)?.map(|held| held.process))
    }

    /// The root's directory, for reading.
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// The path of the root, for messages.
    pub fn path(&self) -> &Utf8Path {
        self.dir.path()
    }

    /// The path of the registry, for messages.
    pub fn registry_path(&self) -> Utf8PathBuf {
        self.dir.path().join(REGISTRY)
    }

    /// The slots for whose directory the root has an entry of any kind.
    pub fn slots(&self) -> Result<Vec<SlotId>> {
        Ok(self.dir.names()?.iter().filter_map(|name| SlotId::of_directory(name.to_str()?)).collect())
    }

    /// The directory of a slot.
    pub fn slot(&self, slot: SlotId) -> Result<Found<Dir>> {
        self.dir.dir(Utf8Path::new(&slot.directory()))
    }
}
