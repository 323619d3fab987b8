//! Whether this user trusts a pool. A slots.toml that came with a clone can name any root, and a registry
//! there can say anything; so only `kinfra apply` of this very project, or naming the root, makes a pool one
//! of this user's.

use camino::Utf8Path;

use super::choice::PoolChoice;
use super::index::IndexEntry;
use super::unread;
use crate::fault::Fault;
use crate::host::fs::canonical;
use crate::host::git::{confirmed_repository_of, own_dir, top_of};
use crate::host::holder_mark::{REPAIR, own_repository, project_marks};
use crate::host::invocation::Invocation;
use crate::host::owner::check_repository;
use crate::registry::Mark;

/// What is wrong where no index can be found.
const NO_STATE: &str = "what you applied is not known: neither HOME nor XDG_STATE_HOME is an absolute path";
/// What to do then.
const NAME_HOME: &str = "set HOME, or name the root with `--root` or KINFRA_ROOT";

/// What this user has said of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// It was applied, or its root is named for this run.
    Given,
    /// Nothing.
    NotGiven,
    /// What was said cannot be read, and this is why.
    Unknown(Box<Fault>),
}

impl Trust {
    /// The trust in the pool of a root, for the spec at this path; `None` is the embedded one. Where the
    /// user's directory for state is not known, only a named root has it.
    pub fn of(
        root: &Utf8Path,
        spec: Option<&Utf8Path>,
        choice: &PoolChoice,
        invocation: &Invocation,
    ) -> Self {
        if choice.root().is_some() {
            return Self::Given;
        }
        if invocation.state.is_none() {
            return Self::Unknown(Box::new(Fault::refused(NO_STATE).advise(NAME_HOME)));
        }
        match unread::entry_of(root, invocation) {
            Ok(entry) => match entry.map_or(Self::NotGiven, |entry| Self::by(&entry, spec)) {
                Self::NotGiven => spec.and_then(not_known).map_or(Self::NotGiven, Self::Unknown),
                said @ (Self::Given | Self::Unknown(_)) => said,
            },
            Err(fault) => Self::Unknown(Box::new(fault)),
        }
    }

    /// [`Trust::of`] a pool that is in the index. A spec has it if its project applied the pool: a fork or
    /// another clone may say something else.
    pub(super) fn by(entry: &IndexEntry, spec: Option<&Utf8Path>) -> Self {
        let is_of_project = |directory: &Utf8Path| {
            let mut own = project_marks(directory).into_iter();
            own.any(|own| entry.is_applied_by(&own)) || is_of_older(entry, directory)
        };
        // The embedded spec is kinfra's own.
        let is_applied = spec.is_none_or(|spec| spec.parent().is_some_and(is_of_project));
        if is_applied { Self::Given } else { Self::NotGiven }
    }

    /// What is to be said where the pool is only shown.
    pub fn note(&self, root: &Utf8Path, origin: &str) -> Option<String> {
        match self {
            Self::Given => None,
            Self::NotGiven => Some(format!(
                "note: you have not applied {origin}: what its pool in `{root}` says is not yours\n"
            )),
            Self::Unknown(why) => {
                let doubt = format!("what the pool in `{root}` says may not be yours");
                let advice = why.advice.as_deref().unwrap_or_default();
                Some(format!("note: {doubt}: {}\nhelp: {advice}\n", why.what))
            }
        }
    }

    /// Refuses a pool that this user has not applied.
    ///
    /// # Errors
    /// [`Fault`] says how to apply it.
    pub fn needed(&self, root: &Utf8Path, origin: &str) -> Result<(), Fault> {
        match self {
            Self::Given => Ok(()),
            Self::NotGiven => {
                let what =
                    format!("you have not applied {origin}, and its pool in `{root}` is there already");
                Err(Fault::refused(what).advise(
                    "it can set variables of your shell and run commands: read it, then trust it with `kinfra apply`",
                ))
            }
            Self::Unknown(why) => Err((**why).clone()),
        }
    }
}

/// Why it is not known which project a spec is of.
fn not_known(spec: &Utf8Path) -> Option<Box<Fault>> {
    let directory = spec.parent()?;
    unread_git(directory).or_else(|| {
        let git_dir = confirmed_repository_of(&canonical(directory).ok()?)?;
        check_repository(&git_dir).err().map(Box::new)
    })
}

/// Why the repository of a directory is not known.
fn unread_git(directory: &Utf8Path) -> Option<Box<Fault>> {
    let mut places = [Some(directory), top_of(directory).ok().flatten()].into_iter().flatten();
    let (top, why) = places.find_map(|top| Some((top, own_dir(top).err()?)))?;
    let what = format!("which repository `{top}` is of cannot be told: {why:#}");
    Some(Box::new(Fault::unreadable(what).advise(REPAIR)))
}

/// Whether an older kinfra noted that the project in a directory applied a pool: by its path alone.
fn is_of_older(entry: &IndexEntry, directory: &Utf8Path) -> bool {
    let noted = entry.origin.spec.as_deref().and_then(|spec| Utf8Path::new(spec).parent());
    let project = |directory: &Utf8Path| own_repository(directory).or_else(|| canonical(directory).ok());
    let noted = noted.filter(|_| entry.applied_by.is_empty()).and_then(project);
    noted.is_some() && noted == canonical(directory).ok().as_deref().and_then(project)
}

/// Notes in a pool's entry that the project of a spec applies it. A spec may be a link: then both places
/// count, since the index names the file itself.
pub(super) fn give(entry: &mut IndexEntry, spec: Option<&Utf8Path>, mark: fn(&Utf8Path) -> Mark) {
    let file = spec.and_then(|spec| canonical(spec).ok());
    let directories = [file.as_deref(), spec].into_iter().flatten().filter_map(Utf8Path::parent);
    let mut directories: Vec<&Utf8Path> = directories.collect();
    directories.dedup();
    for directory in directories {
        entry.note_project(mark(directory));
    }
}
