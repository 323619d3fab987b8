//! The journal of a root: a line for each change of the registry, in the order of the changes. A journal that
//! is full is put aside, in the place of the one before it.
//!
//! No change fails because of its line. Only the holder of the lock adds to a journal.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::sync::Mutex;

use anyhow::{Context as _, Error, Result};
use camino::Utf8Path;

use super::locked::LockedRoot;
use super::open::{JOURNAL, OLDER, REGISTRY, Root};
use crate::fault::Fault;
use crate::file::Obstacle;
use crate::history::{Change, HEADER, Replaces, Version, version};
use crate::host::fs::Found;
use crate::host::owner;

/// The most that a journal may be, in bytes, but for its last line.
const MOST: u64 = 1 << 20;
/// The most that is read of one, in bytes.
const LIMIT: u64 = 64 << 20;

/// Why this process could not record a change.
static NOT_RECORDED: Mutex<Option<Error>> = Mutex::new(None);

/// Why the last change of this process that is not in a journal is not, for the user.
pub fn not_recorded() -> Option<Error> {
    NOT_RECORDED.lock().ok()?.take()
}

/// A line that was added to a journal.
pub(super) struct Added {
    journal: File,
    /// The length of the journal before.
    before: u64,
}

impl Added {
    /// Takes the line out, because the change is not saved.
    pub(super) fn take_back(self) {
        let _ = self.journal.set_len(self.before);
    }
}

/// The journals of a root, as they are read.
#[derive(Debug, Default)]
pub struct Journals {
    /// Their texts without the first lines, the oldest first.
    pub texts: Vec<String>,
    /// Why some of them are not read.
    pub not_read: Vec<String>,
}

impl LockedRoot {
    /// Adds a line to the journal. Where that cannot be done, the user is told at the end.
    pub(super) fn record(&self, line: &str) -> Option<Added> {
        match self.add(line) {
            Ok(added) => Some(added),
            Err(error) => {
                if let Ok(mut not_recorded) = NOT_RECORDED.lock() {
                    *not_recorded = Some(error);
                }
                None
            }
        }
    }

    /// Adds a line for what is no change of the registry.
    pub fn record_also(&self, line: &str) {
        drop(self.record(line));
    }

    fn add(&self, line: &str) -> Result<Added> {
        let (mut journal, mut before) = self.open_journal()?;
        if before > HEADER.len() as u64 && before + line.len() as u64 > MOST {
            self.put_aside()?;
            (journal, before) = self.open_journal()?;
        }
        let start = match before {
            0 => HEADER,
            // What was written last was cut short.
            _ if at(&journal, before - 1, 1)? != b"\n" => "\n",
            _ => "",
        };
        let added = Added { journal: journal.try_clone()?, before };
        journal.write_all(format!("{start}{line}").as_bytes()).or_else(|error| {
            added.journal.set_len(before)?;
            Err(error)
        })?;
        Ok(added)
    }

    /// The journal, and its length. Refuses a file that kinfra did not make.
    fn open_journal(&self) -> Result<(File, u64)> {
        let path = self.root.path().join(JOURNAL);
        let journal = self.dir().open_to_add(JOURNAL)?;
        let stat = rustix::fs::fstat(&journal).with_context(|| format!("could not examine `{path}`"))?;
        owner::check(&stat, "journal", &path)?;
        if stat.st_nlink != 1 {
            return Err(refused(&path, "has a second name, and may be another program's"));
        }
        let length = u64::try_from(stat.st_size).unwrap_or_default();
        if length > 0 {
            check(&path, version_of(&journal)?)?;
        }
        Ok((journal, length))
    }

    /// Makes room for a new journal.
    fn put_aside(&self) -> Result<()> {
        let dir = self.dir();
        if let Some(older) = dir.open_file(OLDER)? {
            check(&self.root.path().join(OLDER), version_of(&older)?)?;
        }
        dir.rename_over(JOURNAL, dir, OLDER)
    }

    /// Takes the last line out of the journal, if the save that it announced was cut short: the registry is
    /// still the one that was to be replaced.
    pub(super) fn forget_unsaved(&self) {
        if !matches!(self.dir().has(JOURNAL), Ok(true)) {
            return;
        }
        let forget = || -> Result<()> {
            let (journal, length) = self.open_journal()?;
            let text = at(&journal, 0, usize::try_from(length)?)?;
            let lines = text.strip_suffix(b"\n").unwrap_or(&text);
            let start = lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let last = lines.get(start..).and_then(|line| Change::parse(str::from_utf8(line).ok()?));
            let present = Replaces::stamp(self.dir().stamp(REGISTRY));
            if last.is_some_and(|last| last.replaces == Some(present)) {
                journal.set_len(u64::try_from(start)?)?;
            }
            Ok(())
        };
        // The next line says what is wrong with the journal.
        let _ = forget();
    }
}

impl Root {
    /// The journals of the root.
    ///
    /// # Errors
    /// [`Fault`] when a newer kinfra wrote one; or the system's error.
    pub fn journals(&self) -> Result<Journals> {
        // A journal that is put aside meanwhile would be missed.
        for _ in 0..3 {
            let before = self.dir.stamp(OLDER);
            let journals = self.read_journals()?;
            if self.dir.stamp(OLDER) == before {
                return Ok(journals);
            }
        }
        self.read_journals()
    }

    fn read_journals(&self) -> Result<Journals> {
        let mut journals = Journals::default();
        for name in [OLDER, JOURNAL] {
            let path = self.path().join(name);
            let content = match self.dir.read(Utf8Path::new(name), LIMIT)? {
                Found::Nothing => continue,
                Found::Other(obstacle) => {
                    journals.not_read.push(not_read(&path, obstacle));
                    continue;
                }
                Found::This(content) => content,
            };
            let text = String::from_utf8_lossy(&content.bytes);
            let Some((header, lines)) = text.split_once('\n') else { continue };
            match version(header) {
                Version::Ours => journals.texts.push(lines.to_owned()),
                Version::Newer => check(&path, Version::Newer)?,
                Version::Foreign => journals.not_read.push(format!("`{path}` is not kinfra's")),
            }
        }
        Ok(journals)
    }

    /// Which registry the root has now.
    pub fn present(&self) -> Replaces {
        Replaces::stamp(self.dir.stamp(REGISTRY))
    }
}

fn not_read(path: &Utf8Path, obstacle: Obstacle) -> String {
    format!("`{path}` is {obstacle}")
}

fn version_of(journal: &File) -> Result<Version> {
    Ok(version(&String::from_utf8_lossy(&at(journal, 0, HEADER.len())?)))
}

fn check(path: &Utf8Path, version: Version) -> Result<()> {
    match version {
        Version::Ours => Ok(()),
        Version::Newer => {
            let newer = Fault::unreadable(format!("a newer kinfra wrote `{path}`"));
            Err(newer.advise("upgrade kinfra").into())
        }
        Version::Foreign => Err(refused(path, "is not kinfra's")),
    }
}

fn refused(path: &Utf8Path, why: &str) -> Error {
    Fault::refused(format!("`{path}` {why}")).advise("move it away").into()
}

/// Up to so many bytes of a file from a place on.
fn at(file: &File, place: u64, most: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; most];
    let read = file.read_at(&mut bytes, place)?;
    bytes.truncate(read);
    Ok(bytes)
}
