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
use super::open::{JOURNAL, OLDER, REGISTRY, Root, TEMPORARY};
use crate::fault::{Exit, Fault, exit_of};
use crate::history::{Change, HEADER, Replaces, Version, version};
use crate::host::fs::Found;
use crate::host::owner;

/// The most that a journal may be, in bytes, but for its last line.
const MOST: u64 = 1 << 20;
/// The most that is read of one, in bytes.
const LIMIT: u64 = 4 << 20;

/// Why this process could not record a change.
static NOT_RECORDED: Mutex<Option<Error>> = Mutex::new(None);

/// Why the last change of this process that is not in a journal is not, for the user.
pub fn not_recorded() -> Option<Error> {
    NOT_RECORDED.lock().ok()?.take()
}

/// Keeps why something is not in a journal, for the user.
pub fn tell_not_recorded(why: Error) {
    if let Ok(mut not_recorded) = NOT_RECORDED.lock() {
        *not_recorded = Some(why);
    }
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
    /// Adds a change to the journal. Where that cannot be done, the user is told at the end.
    pub(super) fn record(&self, change: &Change) -> Option<Added> {
        self.add(change).map_err(tell_not_recorded).ok()
    }

    /// Adds what is no change of the registry.
    pub fn record_also(&self, change: &Change) {
        drop(self.record(change));
    }

    fn add(&self, change: &Change) -> Result<Added> {
        let path = self.root.path().join(JOURNAL);
        let line = change.line();
        let (mut journal, mut before) = self.root.open_journal()?;
        if change.replaces == Some(Replaces::text(None)) {
            // Where there was no registry, a journal tells of none. It may have come with a clone.
            journal.set_len(0)?;
            before = 0;
        }
        if before > HEADER.len() as u64 && before + line.len() as u64 > MOST {
            self.root.check_older()?;
            self.dir().rename_over(JOURNAL, self.dir(), OLDER)?;
            (journal, before) = self.root.open_journal()?;
        }
        let start = match before {
            0 => HEADER,
            // What was written last was cut short.
            _ if at(&journal, before - 1, 1)? != b"\n" => "\n",
            _ => "",
        };
        let added = Added { journal: journal.try_clone()?, before };
        if let Err(error) = journal.write_all(format!("{start}{line}").as_bytes()) {
            added.take_back();
            return Err(error).with_context(|| format!("could not write `{path}`"));
        }
        Ok(added)
    }

    /// Takes the last line out of the journal, if the save that it announced was cut short. Only then there
    /// is a staged registry. Without one, a change since then that is in no journal may have brought back the
    /// registry before.
    pub(super) fn forget_unsaved(&self) {
        let forget = || -> Result<()> {
            if self.root.has_staged()? && self.dir().has(JOURNAL)? {
                let (journal, length) = self.root.open_journal()?;
                let present = Replaces::text(self.root.registry()?.as_deref());
                take_unsaved_out(&journal, length, &present)?;
            }
            Ok(())
        };
        // A journal that cannot be used is told by the next change.
        let _ = forget();
    }
}

impl Root {
    /// The journal, and its length. Refuses a file that kinfra did not make.
    fn open_journal(&self) -> Result<(File, u64)> {
        let path = self.path().join(JOURNAL);
        let journal = self.dir.open_to_add(JOURNAL)?;
        let length = check_file(&journal, &path)?;
        if length > 0 {
            check(&path, version_of(&journal)?)?;
        }
        Ok((journal, length))
    }

    /// Refuses to replace a file that kinfra did not make by the journal that is full. An empty one is no
    /// loss.
    fn check_older(&self) -> Result<()> {
        let path = self.path().join(OLDER);
        let Some(older) = self.dir.open_file(OLDER)? else { return Ok(()) };
        if check_file(&older, &path)? > 0 { check(&path, version_of(&older)?) } else { Ok(()) }
    }

    /// Why changes do not get into the journal, or will not once it is full. `None` if there is no journal
    /// yet.
    ///
    /// # Errors
    /// When the root cannot be examined.
    pub fn journal_faults(&self) -> Result<Option<Vec<Error>>> {
        let is_there = self.dir.has(JOURNAL)?;
        let opened = if is_there { self.open_journal().map(drop) } else { Ok(()) };
        let faults: Vec<Error> = [opened, self.check_older()].into_iter().filter_map(Result::err).collect();
        Ok((is_there || !faults.is_empty()).then_some(faults))
    }

    /// Whether a registry is being saved, or a save was cut short.
    ///
    /// # Errors
    /// When the root cannot be examined.
    pub fn has_staged(&self) -> Result<bool> {
        self.dir.has(&format!("{TEMPORARY}/{REGISTRY}"))
    }

    /// The journals of the root.
    ///
    /// # Errors
    /// [`Fault`] when a newer kinfra writes the journal.
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
            match self.read_journal(name, &path) {
                Ok(text) => journals.texts.extend(text),
                Err(error) if name == JOURNAL && exit_of(&error) == Exit::Unreadable => return Err(error),
                Err(error) => journals.not_read.push(format!("{error:#}")),
            }
        }
        Ok(journals)
    }

    /// The text of a journal after its header. `None` if there is none, or nothing is in it.
    fn read_journal(&self, name: &str, path: &Utf8Path) -> Result<Option<String>> {
        let content = match self.dir.read(Utf8Path::new(name), LIMIT)? {
            Found::Nothing => return Ok(None),
            Found::Other(obstacle) => return Err(refused(path, &format!("is {obstacle}"))),
            Found::This(content) => content,
        };
        content.check_owner("journal", path)?;
        if content.bytes.is_empty() {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&content.bytes);
        check(path, version(&text))?;
        Ok(text.split_once('\n').map(|(_, lines)| lines.to_owned()))
    }
}

/// Takes the last line out of a journal, if it announces to replace the registry that is `present`: its save
/// was cut short.
fn take_unsaved_out(journal: &File, length: u64, present: &Replaces) -> Result<()> {
    let end = present.end_of_line();
    let place = length.saturating_sub(end.len() as u64);
    if at(journal, place, end.len())? != end.as_bytes() {
        return Ok(());
    }
    let from = length.saturating_sub(LIMIT);
    let tail = at(journal, from, usize::try_from(length - from)?)?;
    let line = tail.strip_suffix(b"\n").unwrap_or(&tail);
    let Some(start) = line.iter().rposition(|byte| *byte == b'\n') else { return Ok(()) };
    Ok(journal.set_len(from + start as u64 + 1)?)
}

/// The length of a journal. Refuses one that others can change, or that has a second name.
fn check_file(journal: &File, path: &Utf8Path) -> Result<u64> {
    let stat = rustix::fs::fstat(journal).with_context(|| format!("could not examine `{path}`"))?;
    owner::check(&stat, "journal", path)?;
    if stat.st_nlink != 1 {
        return Err(refused(path, "has a second name, and may be another program's"));
    }
    Ok(u64::try_from(stat.st_size).unwrap_or_default())
}

fn version_of(journal: &File) -> Result<Version> {
    Ok(version(&String::from_utf8_lossy(&at(journal, 0, 256)?)))
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
