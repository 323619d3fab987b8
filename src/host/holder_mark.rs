//! What tells a worktree or a project from every other: a token in its own git directory, and where on the
//! disk it is.
//! Starts no process.

use std::io;

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};

use super::fs::{Dir, Found, canonical, place_of, read_unlinked};
use super::git::{
    confirmed_git_dir, confirmed_repository_of_canonical, own_dir, repository_of_linked, submodule_of,
};
use super::identity::random_bits;
use super::owner::check_repository;
use crate::fault::Fault;
use crate::file::{FileMode, Obstacle};
use crate::registry::{Mark, Token};

/// The file with the token. git and jj leave it alone, and no clone brings it.
const TOKEN: &str = "kinfra-holder";

/// The file with the token of a project, in the git directory that all its worktrees share. A copy is the
/// same project and another holder, so it is another file.
const PROJECT: &str = "kinfra-project";

/// What to do where git's files of a worktree cannot be read.
pub const REPAIR: &str =
    "mend what is there. `git worktree repair` writes the files of a linked worktree again";

/// The most that is read of it, in bytes.
const LIMIT: u64 = 64;

/// The token is no secret, and a claim that root made is the same worktree's.
const READABLE: u32 = 0o644;

/// What tells a worktree from others, as it is now.
///
/// # Errors
/// When it cannot be read. A mark that lacks a part would be that of another directory.
pub fn mark_of(worktree: &Utf8Path) -> Result<Mark> {
    let examined = || format!("could not examine `{worktree}`");
    let spoilt = || Fault::failed(examined()).advise(REPAIR);
    let opened = |own: Utf8PathBuf| match Dir::open(&own) {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(None),
        opened => opened.with_context(|| format!("could not open `{own}`")).map(Some),
    };
    let own = own_dir(worktree).map_err(|error| error.context(spoilt()))?.map_or(Ok(None), opened)?;
    let token = own.map_or(Ok(None), |own| read(&own, TOKEN))?;
    Ok(Mark { token, place: Some(place_of(worktree).with_context(examined)?), ..Mark::default() })
}

/// The token in a worktree's own git directory. `None` also where it cannot be read.
pub fn token_in(own_dir: &Utf8Path) -> Option<Token> {
    parsed(&read_unlinked(&own_dir.join(TOKEN), LIMIT).ok()??)
}

fn parsed(text: &[u8]) -> Option<Token> {
    str::from_utf8(text).ok().and_then(|it| Token::parse(it.trim_end()))
}

/// `None` if there is none, or what is there is none.
fn read(own: &Dir, name: &str) -> Result<Option<Token>> {
    Ok(match own.read(Utf8Path::new(name), LIMIT)? {
        Found::This(content) => parsed(&content.bytes),
        Found::Other(Obstacle::Forbidden) => bail!("`{}` is not readable", own.path().join(name)),
        Found::Nothing | Found::Other(_) => None,
    })
}

/// The whole mark of a worktree, with a token if it can have one: it needs a git directory of its own that
/// can be written.
pub fn ensure_mark(worktree: &Utf8Path) -> Mark {
    let linked = confirmed_git_dir(worktree).ok().flatten();
    let own = linked.clone().or_else(|| own_dir(worktree).ok().flatten());
    let place = |directory: &Utf8Path| place_of(directory).ok();
    Mark {
        token: own.and_then(|own| ensure_token(&own, TOKEN)),
        place: place(worktree),
        above: worktree.parent().and_then(place),
        repository: linked.as_deref().and_then(repository_of_linked).and_then(place),
    }
}

/// The token in a git directory, made if there is none.
fn ensure_token(git_dir: &Utf8Path, name: &str) -> Option<Token> {
    let own = Dir::open(git_dir).ok()?;
    read(&own, name).ok()?.or_else(|| make(&own, name).ok().flatten())
}

/// The mark of the project in a directory: that of its repository, which all its worktrees share. Where no
/// repository knows of the directory, it stands for itself.
pub fn project_mark(directory: &Utf8Path) -> Mark {
    own_repository(directory).map_or_else(|| mark_of_place(directory), |git_dir| mark_of_repository(&git_dir))
}

fn mark_of_repository(git_dir: &Utf8Path) -> Mark {
    let token = Dir::open(git_dir).ok().and_then(|own| read(&own, PROJECT).ok().flatten());
    Mark { token, ..mark_of_place(git_dir) }
}

/// [`project_mark`], with a token if the repository can have one.
pub fn ensure_project_mark(directory: &Utf8Path) -> Mark {
    own_repository(directory).map_or_else(
        || mark_of_place(directory),
        |git_dir| Mark { token: ensure_token(&git_dir, PROJECT), ..mark_of_place(&git_dir) },
    )
}

/// Whether the project in a directory has no token and can have one: the disk was full when it was to get it.
pub fn can_have_token(directory: &Utf8Path) -> bool {
    let git_dir = own_repository(directory).and_then(|git_dir| Dir::open(&git_dir).ok());
    git_dir.is_some_and(|own| own.is_writable() && matches!(read(&own, PROJECT), Ok(None)))
}

/// All marks that the project in a directory may have got. It may have been no repository then.
pub fn project_marks(directory: &Utf8Path) -> Vec<Mark> {
    let repository = own_repository(directory);
    let main = repository.as_deref().filter(|git_dir| git_dir.file_name() == Some(".git"));
    let main = main.and_then(Utf8Path::parent).filter(|main| *main != directory);
    let directories = [Some(directory), main].into_iter().flatten();
    repository.as_deref().map(mark_of_repository).into_iter().chain(directories.map(mark_of_place)).collect()
}

fn mark_of_place(directory: &Utf8Path) -> Mark {
    Mark { place: place_of(directory).ok(), ..Mark::default() }
}

/// The repository that a project in a directory is one with. A submodule comes from elsewhere, and what other
/// users put into a repository of theirs is not this user's: there, a directory stands for itself.
pub fn own_repository(directory: &Utf8Path) -> Option<Utf8PathBuf> {
    let directory = canonical(directory).ok().filter(|directory| submodule_of(directory).is_none())?;
    confirmed_repository_of_canonical(&directory).filter(|git_dir| check_repository(git_dir).is_ok())
}

/// Makes a token. Of two that are made at once, one counts.
fn make(own: &Dir, name: &str) -> Result<Option<Token>> {
    let token = Token::from_random(random_bits()?);
    let temporary = format!("{name}.{}.tmp", std::process::id());
    own.remove_file(&temporary)?;
    let written = own.write_new(&temporary, format!("{token}\n").as_bytes(), FileMode::from_bits(READABLE));
    if written.is_err() {
        // A full disk leaves a part of it.
        own.remove_file(&temporary)?;
    }
    let file = written?;
    if !own.rename_new(&temporary, own, name)? {
        if let Some(made) = read(own, name)? {
            own.remove_file(&temporary)?;
            return Ok(Some(made));
        }
        // A power cut left an empty file.
        own.rename_over(&temporary, own, name)?;
    }
    // After it has its name: journals then keep that, too.
    rustix::fs::fsync(&file).map_err(io::Error::from)?;
    Ok(Some(token))
}
