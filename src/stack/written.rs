//! What containers wrote into the worktree of a slot as another user, so that git cannot remove it.

use camino::{Utf8Path, Utf8PathBuf};

use super::admission::uses::Uses;
use crate::compose::model::Mount;
use crate::host::fs;
use crate::shown::printable;

/// The most files and directories that a message names.
const MOST_NAMED: usize = 3;

/// The files and directories of a worktree that the last start of a slot's stack lets containers write to.
#[derive(Debug)]
pub struct Writable {
    worktree: Utf8PathBuf,
    paths: Vec<Utf8PathBuf>,
}

/// What belongs to another user than its worktree does. There is at least one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfAnotherUser {
    /// The worktree.
    pub worktree: Utf8PathBuf,
    /// The files and directories, without what is in one of these.
    pub paths: Vec<Utf8PathBuf>,
}

impl Writable {
    /// Those that are known in a slot's directory. A slot that is cleaned does not know them any more.
    pub fn of(dir: &Utf8Path, worktree: &Utf8Path) -> Self {
        let uses = Uses::read(dir).ok().flatten();
        let services = uses.iter().flat_map(|uses| uses.model.services.values());
        let mounts = services.flat_map(|service| &service.volumes).filter(|mount| !mount.read_only);
        let within = mounts.filter_map(Mount::bind).filter(|path| path.starts_with(worktree));
        let mut paths: Vec<Utf8PathBuf> = within.collect();
        paths.sort();
        paths.dedup_by(|path, above| path.starts_with(&*above));
        Self { worktree: worktree.to_owned(), paths }
    }

    /// What in them is of another user now.
    pub fn of_another_user(self) -> Option<OfAnotherUser> {
        let paths = fs::of_another_user(&self.paths, &self.worktree);
        (!paths.is_empty()).then_some(OfAnotherUser { worktree: self.worktree, paths })
    }
}

impl OfAnotherUser {
    /// What happened.
    pub fn told(&self) -> String {
        let below =
            |path: &Utf8PathBuf| printable(path.strip_prefix(&self.worktree).unwrap_or(path).as_str());
        let named: Vec<String> = self.paths.iter().take(MOST_NAMED).map(below).collect();
        let more = if self.paths.len() > MOST_NAMED { ", …" } else { "" };
        let worktree = printable(self.worktree.as_str());
        format!("containers wrote files of another user into `{worktree}`: {}{more}", named.join(", "))
    }

    /// The command that mends it.
    pub fn advice(&self) -> String {
        let worktree = printable(self.worktree.as_str());
        format!("`sudo chown -R --reference={worktree} {worktree}` makes them yours")
    }
}
