//! Puts hooks into the file of a tool, and takes them away again.

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::block::Obstacle;
use super::place::not_in_submodule;
use super::recipe::{Place, Recipe, recipe};
use super::tool::Tool;
use crate::fault::Fault;
use crate::file::FileMode;
use crate::host::fs::{Dir, Found, is_directory, real};
use crate::host::git::top_of;
use crate::host::git_hooks::{bare_of, hooks_of};
use crate::shown::word;

/// The most that a file may be, in bytes.
const LIMIT: u64 = 16 << 20;

/// Whether hooks are to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// They are to be there.
    Install,
    /// They are to be gone.
    Uninstall,
}

/// What is to change in a file.
#[derive(Debug)]
pub struct Change {
    /// The directory that its path is below. No link below it is followed.
    base: Utf8PathBuf,
    below: Utf8PathBuf,
    /// Its text now. `None` if it is not there.
    pub old: Option<String>,
    /// Its text with the change. `None` if it is to be gone.
    pub new: Option<String>,
    mode: FileMode,
}

impl Change {
    /// The path of the file.
    pub fn path(&self) -> Utf8PathBuf {
        self.base.join(&self.below)
    }

    /// Whether it changes anything.
    pub fn is_any(&self) -> bool {
        self.old != self.new
    }
}

/// Finds what is to change in the file of a tool, for the repository of a directory.
///
/// # Errors
/// [`Fault`] when the file is not what the tool reads, or not the repository's.
pub fn prepare(tool: Tool, aim: Aim, here: &Utf8Path) -> Result<Change> {
    not_in_submodule(here)?;
    let recipe = recipe(tool);
    let top = match (bare_of(here)?, recipe.place) {
        (None, _) => top(here)?,
        (Some(bare), Place::GitHooks(_)) => real(&bare),
        (Some(bare), Place::Worktree(path)) => {
            let what = format!("the repository `{bare}` is bare: it has no files, so no `{path}`");
            return Err(Fault::refused(what).advise("`cd` into a worktree of it").into());
        }
    };
    change(&recipe, aim, &top)
}

/// The top of the worktree of a directory.
pub(super) fn top(here: &Utf8Path) -> Result<Utf8PathBuf> {
    let none = || Fault::refused(format!("`{here}` is in no repository")).advise("`cd` into one");
    Ok(real(top_of(here)?.ok_or_else(none)?))
}

/// Finds what is to change where a file is to have this text and no other.
pub(super) fn to_text(base: &Utf8Path, below: &Utf8Path, text: &str) -> Result<Change> {
    let (old, mode) = read(base, below)?;
    let mode = mode.unwrap_or(FileMode::SHARED);
    Ok(Change { base: base.to_owned(), below: below.to_owned(), old, new: Some(text.to_owned()), mode })
}

fn change(recipe: &Recipe, aim: Aim, top: &Utf8Path) -> Result<Change> {
    let (base, below) = match recipe.place {
        Place::Worktree(path) => (top.to_owned(), Utf8PathBuf::from(path)),
        Place::GitHooks(name) => git_hook(name, top)?,
    };
    let path = base.join(&below);
    let (old, mode) = read(&base, &below)?;
    let is_program = matches!(recipe.place, Place::GitHooks(_));
    if let Some(mode) = mode.filter(|mode| is_program && aim == Aim::Install && mode.bits() & 0o100 == 0) {
        let what = format!("`{path}` is not executable (mode {mode}), so git does not run it");
        return Err(Fault::refused(what).advise(format!("`chmod +x {}`", word(path.as_str()))).into());
    }
    let new = match (aim, &old) {
        (Aim::Install, old) => recipe.with(old.as_deref()).map(Some),
        (Aim::Uninstall, Some(old)) => recipe.without(old),
        (Aim::Uninstall, None) => Ok(None),
    };
    let new = new.map_err(|obstacle| {
        let (Obstacle::Block(why) | Obstacle::Other(why)) = &obstacle;
        Fault::refused(format!("`{path}` cannot be changed: {why}")).advise(recipe.by_hand(&obstacle))
    })?;
    let made = FileMode::from_bits(if is_program { 0o755 } else { 0o644 });
    Ok(Change { base, below, old, new, mode: mode.unwrap_or(made) })
}

/// The text and the mode of a file that may be there.
fn read(base: &Utf8Path, below: &Utf8Path) -> Result<(Option<String>, Option<FileMode>)> {
    let path = base.join(below);
    let dir = Dir::open(base).with_context(|| format!("could not open `{base}`"))?;
    Ok(match dir.read(below, LIMIT)? {
        Found::Nothing => (None, None),
        Found::This(content) => (Some(text(content.bytes, &path)?), Some(content.mode)),
        Found::Other(obstacle) => {
            let what = format!("`{path}` is {obstacle}, or a directory above it is a link");
            return Err(Fault::refused(what)
                .advise("kinfra writes only into files of the repository")
                .into());
        }
    })
}

fn text(bytes: Vec<u8>, path: &Utf8Path) -> Result<String, Fault> {
    String::from_utf8(bytes).map_err(|_| {
        Fault::refused(format!("`{path}` is no text in UTF-8")).advise("add the hooks to it yourself")
    })
}

/// Where a hook of git is: in the git directory, or in the worktree if `core.hooksPath` says so.
fn git_hook(name: &str, top: &Utf8Path) -> Result<(Utf8PathBuf, Utf8PathBuf)> {
    let (common, hooks) = hooks_of(top)?;
    for base in [real(&common), top.to_owned()] {
        // A link on the way is looked at below the base.
        let named = hooks.strip_prefix(&common).map(|below| base.join(below));
        let hooks = named.ok().filter(|_| base != top).unwrap_or_else(|| hooks.clone());
        if let Ok(below) = hooks.strip_prefix(&base) {
            return Ok((base, below.join(name)));
        }
    }
    let what = format!("git's hooks are in `{hooks}`, outside of this repository, as core.hooksPath says");
    let advice = format!(
        "call `kinfra hook run {name} \"$@\"` in `{name}` there, or `git config core.hooksPath .git/hooks` here"
    );
    Err(Fault::refused(what).advise(advice).into())
}

/// Makes a change: all of it, or nothing.
///
/// # Errors
/// [`Fault`] when the file is another by now; else what failed.
pub fn carry_out(change: &Change) -> Result<()> {
    let Change { base, below, old, new, mode } = change;
    let path = change.path();
    let dir = Dir::open(base).with_context(|| format!("could not open `{base}`"))?;
    let now = match dir.read(below, LIMIT)? {
        Found::This(content) => Some(content.bytes),
        Found::Nothing | Found::Other(_) => None,
    };
    let changed = || Fault::refused(format!("`{path}` changed meanwhile")).advise("run it again");
    if now.as_deref() != old.as_deref().map(str::as_bytes) {
        return Err(changed().into());
    }
    let (above, name) = below.parent().zip(below.file_name()).context("it names no file")?;
    let parent = made(&dir, above)?;
    let Some(new) = new else {
        parent.remove_file(name)?;
        // A directory that has something else in it stays, and so does git's own.
        if above.components().count() == 1 && !is_directory(&base.join("objects")) {
            dir.remove_if_empty(above.as_str())?;
        }
        return dir.sync();
    };
    let staged = format!(".{name}.{}.tmp", std::process::id());
    let written = parent.write_new(&staged, new.as_bytes(), *mode).and_then(|file| {
        file.sync_all().with_context(|| format!("could not sync `{path}`"))?;
        match old {
            Some(_) => parent.rename_over(&staged, &parent, name),
            None if parent.rename_new(&staged, &parent, name)? => Ok(()),
            None => Err(changed().into()),
        }
    });
    if written.is_err() {
        let _ = parent.remove_file(&staged);
    }
    written.and_then(|()| parent.sync())
}

/// The directory at a path, with each part made that is missing.
fn made(base: &Dir, path: &Utf8Path) -> Result<Dir> {
    let mut dir = None;
    for name in path {
        dir = Some(dir.as_ref().unwrap_or(base).make_child(name, FileMode::from_bits(0o755))?);
    }
    dir.map_or_else(|| base.make_dir(Utf8Path::new("")), Ok)
}
