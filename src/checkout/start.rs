//! Making the worktree of a branch, or finding the one that is there.
//!
//! ```text
//! branch ─► worktree that has it ─► done
//!       └─► place (an empty directory, held) ─► [the slot is claimed] ─► git worktree add
//! ```
//!
//! Killed anywhere, the next start of the same branch continues: an empty directory is used again, and what
//! git had begun is ended.

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use super::repository::Repository;
use crate::claims::purpose::Purpose;
use crate::fault::Fault;
use crate::host::fs::{Umask, canonical, real};
use crate::host::git_unfinished::{finish, is_leaving, is_unfinished};
use crate::host::git_worktrees::{
    self, Checkout, GitWorktree, commit_of, default_remote, is_valid, remotes_with, remove, remove_branch,
};
use crate::host::plot::{Plot, Taking};
use crate::host::signals::Interrupt;
use crate::identifier::Branch;
use crate::shown::word;
use crate::spec::WorktreePath;

/// How many worktrees may have names that differ only by a number.
const MOST: usize = 99;

/// Which worktree is to be there.
pub struct StartRequest<'a> {
    /// Its branch.
    pub branch: &'a Branch,
    /// Where a new branch begins.
    pub from: Option<&'a str>,
    /// Where a new worktree goes, if that was said.
    pub path: Option<&'a Utf8Path>,
    /// Where it goes otherwise.
    pub template: &'a WorktreePath,
    /// The user's home directory.
    pub home: Option<&'a Utf8Path>,
    /// The umask of what is made.
    pub umask: Umask,
}

/// The worktree of a branch.
pub enum Begun {
    /// It is there.
    There(Utf8PathBuf),
    /// It is to be made.
    ToMake(Box<Making>),
}

/// A worktree that is to be made.
pub struct Making {
    repository: Repository,
    branch: Branch,
    plot: Plot,
    checkout: Checkout,
    /// Whether git was asked to make it.
    has_begun: bool,
    /// Whether git had begun to make it, in an earlier run that was killed.
    is_unfinished: bool,
}

/// Finds the worktree of a branch, or takes the place of a new one.
///
/// # Errors
/// [`Fault`] when git takes no such branch, it is not known where it begins, or its place is taken.
pub fn begin(repository: Repository, request: &StartRequest<'_>) -> Result<Begun> {
    let branch = request.branch;
    if !is_valid(&repository.git, branch)? {
        let fault = Fault::usage(format!("git takes no branch with the name `{branch}`"));
        return Err(fault.advise("`git help check-ref-format` says which names it takes").into());
    }
    if let Some(begun) = unfinished(&repository, request) {
        let plot = Plot::hold(&begun.path)?.ok_or_else(|| in_use(&begun.path))?;
        let (branch, checkout) = (branch.clone(), Checkout::Branch);
        return Ok(Begun::ToMake(Box::new(Making {
            repository,
            branch,
            plot,
            checkout,
            has_begun: false,
            is_unfinished: true,
        })));
    }
    if let Some(worktree) = repository.with_branch(branch) {
        let (path, is_gone) = (&worktree.path, worktree.is_gone);
        if is_leaving(worktree) {
            let what = format!("`kinfra done` was stopped while it removed `{path}`");
            let advice = format!("`kinfra done {}` ends it", word(branch.as_str()));
            return Err(Fault::refused(what).advise(advice).into());
        }
        if is_gone {
            let what = format!("branch `{branch}` is checked out in `{path}`, which is gone");
            return Err(Fault::refused(what).advise("`git worktree prune` forgets it").into());
        }
        if request.path.is_some_and(|named| real(named) != real(path)) {
            let what = format!("branch `{branch}` is checked out in `{path}`");
            return Err(Fault::refused(what).advise("leave out --path to use that worktree").into());
        }
        return Ok(Begun::There(canonical(path)?));
    }
    let checkout = checkout(&repository, request)?;
    let plot = plot(&repository, request)?;
    let (branch, has_begun, is_unfinished) = (branch.clone(), false, false);
    Ok(Begun::ToMake(Box::new(Making { repository, branch, plot, checkout, has_begun, is_unfinished })))
}

/// The worktree of the branch that git had begun to make. It may not have the branch yet.
fn unfinished<'a>(repository: &'a Repository, request: &StartRequest<'_>) -> Option<&'a GitWorktree> {
    let place = || repository.place(request.template, request.branch, request.home);
    let begun = repository.with_branch(request.branch).or_else(|| {
        let there = repository.at(&request.path.map_or_else(place, Utf8Path::to_owned));
        there.filter(|worktree| worktree.branch.is_none())
    });
    begun.filter(|worktree| is_unfinished(worktree))
}

pub(super) fn in_use(path: &Utf8Path) -> Fault {
    Fault::locked(format!("another `kinfra start` makes the worktree `{path}`")).advise("wait for it")
}

/// What the new worktree has: the branch that is there, that of a remote as git would take it, or a new one.
fn checkout(repository: &Repository, request: &StartRequest<'_>) -> Result<Checkout> {
    let (git, branch) = (&repository.git, request.branch);
    if commit_of(git, &branch.reference())?.is_some() {
        return Ok(Checkout::Branch);
    }
    if let Some(from) = request.from {
        let is_there = commit_of(git, from)?.is_some();
        let unknown = || {
            Fault::usage(format!("git knows no commit `{from}` to begin at"))
                .advise("name another with --from; a verb of slots.toml may have named this one")
        };
        return if is_there { Ok(Checkout::New(from.to_owned())) } else { Err(unknown().into()) };
    }
    let remotes = remotes_with(git, branch)?;
    let default = default_remote(git)?.filter(|remote| remotes.contains(remote));
    match (default, remotes.as_slice()) {
        (Some(remote), _) => Ok(Checkout::Of(remote)),
        (None, [remote]) => Ok(Checkout::Of(remote.clone())),
        (None, []) => {
            // A repository without a commit has no branch to begin at.
            let head = commit_of(git, "HEAD")?;
            let none = || Fault::refused(format!("`{}` has no commit yet", git.dir())).advise("commit first");
            Ok(Checkout::New(head.ok_or_else(none)?))
        }
        (None, [first, ..]) => {
            let what = format!("branch `{branch}` is on several remotes: {}", remotes.join(", "));
            Err(Fault::refused(what)
                .advise(format!("name one, such as --from {}", word(&format!("{first}/{branch}"))))
                .into())
        }
    }
}

/// The places of a worktree whose first place is taken.
pub(super) fn numbered(first: &Utf8Path) -> impl Iterator<Item = Utf8PathBuf> {
    (2..=MOST).map(move |number| Utf8PathBuf::from(format!("{first}-{number}")))
}

/// The place of the new worktree: the one that was named, or the first that is free.
fn plot(repository: &Repository, request: &StartRequest<'_>) -> Result<Plot> {
    let taken = |path: &Utf8Path| match repository.at(path) {
        Some(other) => Ok((Taking::Occupied, Some(other))),
        None => Plot::take(path, request.umask).map(|taking| (taking, None)),
    };
    if let Some(path) = request.path {
        return match taken(path)?.0 {
            Taking::Taken(plot) => Ok(plot),
            Taking::InUse => Err(in_use(path).into()),
            Taking::Occupied => {
                let what = format!("`{path}`, from --path, is there already and not empty");
                Err(Fault::refused(what).advise("name another path, or leave out --path").into())
            }
        };
    }
    let first = repository.place(request.template, request.branch, request.home);
    for path in std::iter::once(first.clone()).chain(numbered(&first)) {
        match taken(&path)? {
            (Taking::Taken(plot), _) => return Ok(plot),
            (Taking::InUse, _) => return Err(in_use(&path).into()),
            (Taking::Occupied, other) => {
                if let Some(other) = other.and_then(|other| other.branch.as_ref())
                    && other.is_but_for_case(request.branch)
                {
                    let what =
                        format!("branches `{other}` and `{}` would have the same directory", request.branch);
                    return Err(Fault::refused(what).advise("name another with --path").into());
                }
            }
        }
    }
    let what = format!("`{first}` and {} more names like it are taken", MOST - 1);
    Err(Fault::refused(what).advise("name a directory with --path").into())
}

impl Making {
    /// Where it goes: a directory that is there and empty.
    pub fn path(&self) -> &Utf8Path {
        self.plot.path()
    }

    /// What a claim for it is for.
    pub fn purpose(&self) -> Purpose {
        if self.plot.is_new() { Purpose::NewWorktree } else { Purpose::Worktree }
    }

    /// Has git make it. What git had begun before is another program's if no earlier run has claimed a slot
    /// for it: `is_new_claim`.
    ///
    /// # Errors
    /// [`Fault`] says what git said, or that the user stopped it.
    pub fn make(&mut self, is_new_claim: bool, interrupt: &Interrupt) -> Result<()> {
        let Self { repository, branch, plot, checkout, .. } = self;
        if self.is_unfinished && is_new_claim {
            let what = format!("git makes `{}` just now, or was killed over it", plot.path());
            return Err(Fault::refused(what)
                .advise("wait for it, or `git worktree remove --force` it")
                .into());
        }
        if self.is_unfinished {
            return finish(&repository.git, plot, branch, interrupt);
        }
        // While the claim waited, others may have made the worktree or the branch: neither is this run's.
        let listed = git_worktrees::list(&repository.git)?;
        let is_new = !matches!(checkout, Checkout::Branch);
        if listed
            .iter()
            .any(|other| real(&other.path) == plot.path() || other.branch.as_ref() == Some(branch))
            || (is_new && commit_of(&repository.git, &branch.reference())?.is_some())
        {
            let what = format!("branch `{branch}` or its worktree was made meanwhile");
            return Err(Fault::refused(what).advise("run the same command again").into());
        }
        self.has_begun = true;
        git_worktrees::add(&repository.git, plot, branch, checkout, interrupt)
    }

    /// Removes what this run made: the worktree, the directory, and a new branch without a commit of its own.
    ///
    /// # Errors
    /// When git cannot remove its part.
    pub fn undo(self) -> Result<()> {
        let Self { repository, branch, plot, checkout, has_begun, is_unfinished: _ } = self;
        let git = &repository.git;
        let mut undone = Ok(());
        if has_begun {
            let listed = git_worktrees::list(git)?;
            let own = listed.iter().find(|other| real(&other.path) == plot.path());
            if own.is_some_and(|own| own.branch.as_ref() == Some(&branch) || is_unfinished(own)) {
                undone = remove(git, plot.path());
            }
            let from = match &checkout {
                Checkout::Branch => None,
                Checkout::New(from) => commit_of(git, from)?,
                Checkout::Of(remote) => commit_of(git, &format!("refs/remotes/{remote}/{branch}"))?,
            };
            let is_elsewhere =
                git_worktrees::list(git)?.iter().any(|other| other.branch.as_ref() == Some(&branch));
            if let Some(from) = from.filter(|_| undone.is_ok() && !is_elsewhere)
                && commit_of(git, &branch.reference())?.as_ref() == Some(&from)
            {
                undone = remove_branch(git, &branch, &from);
            }
        }
        plot.give_up();
        undone
    }
}
