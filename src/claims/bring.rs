//! What a worktree of a pool for Compose files gets beside its slot: the files that git does not bring. Those
//! that slots.toml lists are copied from the repository's main worktree. The others are named.

use camino::{Utf8Path, Utf8PathBuf};

use crate::compose::lacking::lacking;
use crate::fault::Fault;
use crate::file::RelPath;
use crate::host::fs::canonical;
use crate::host::git;
use crate::host::worktree_copy::{Copying, copy_missing, is_taken};
use crate::spec::ComposeSpec;

/// The files that git does not bring, after a claim.
#[derive(Debug, Default)]
pub struct Brought {
    /// The main worktree.
    pub from: Utf8PathBuf,
    /// The files that were copied.
    pub copied: Vec<RelPath>,
    /// The files that slots.toml lists and that are missing still, each with the reason.
    pub not_copied: Vec<(RelPath, String)>,
    /// The files that Compose needs, that the main worktree has, and that slots.toml does not list.
    pub lacking: Vec<RelPath>,
    /// All files that slots.toml would have to list.
    pub to_list: Vec<RelPath>,
}

impl Brought {
    /// The files that are missing.
    pub fn missing(&self) -> impl Iterator<Item = &RelPath> {
        self.not_copied.iter().map(|(path, _)| path).chain(&self.lacking)
    }
}

/// Copies what is listed and missing into a worktree, and looks for what is not listed. The main worktree has
/// what it has. Paths are relative to `below`, the directory of slots.toml below the top of its worktree.
pub fn bring(worktree: &Utf8Path, below: &Utf8Path, spec: &ComposeSpec) -> Brought {
    let main = git::main_worktree_of(worktree);
    if main.as_deref() == Some(worktree) {
        return Brought::default();
    }
    let at = |top: &Utf8Path| canonical(&top.join(below)).unwrap_or_else(|_| top.join(below));
    let (main, worktree) = (main.map(|main| at(&main)), &at(worktree));
    let mut brought = Brought { from: main.clone().unwrap_or_default(), ..Brought::default() };
    let missing = spec.copy.iter().filter(|path| !is_taken(worktree, path).unwrap_or(false));
    for path in missing {
        let copying = match &main {
            Some(main) => copy_missing(main, worktree, path),
            None => Err(Fault::refused("its repository has no main worktree").into()),
        };
        let why = match copying {
            Ok(Copying::Copied) => {
                brought.copied.push(path.clone());
                continue;
            }
            Ok(Copying::Taken) => continue,
            Ok(Copying::Absent) => format!("`{}` does not have it", brought.from),
            Err(error) => reason(&error),
        };
        brought.not_copied.push((path.clone(), why));
    }
    if let Some(main) = &main {
        brought.lacking = lacking(main, worktree, spec);
        brought.lacking.retain(|path| !spec.copy.contains(path));
        brought.to_list = spec.copy.iter().chain(&brought.lacking).cloned().collect();
    }
    brought
}

/// An error in one sentence, with its advice.
fn reason(error: &anyhow::Error) -> String {
    let advice = error.downcast_ref::<Fault>().and_then(|fault| fault.advice.as_deref());
    advice.map_or_else(|| format!("{error:#}"), |advice| format!("{error:#}: {advice}"))
}
