//! Copies a file that git does not bring from one worktree into another.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::fs::{Dir, Found, canonical, is_directory};
use crate::fault::Fault;
use crate::file::{FileMode, Obstacle, RelPath};

/// The suffix of a file's name while it is written.
const TEMPORARY: &str = ".kinfra-tmp";

/// What came of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copying {
    /// The file was copied.
    Copied,
    /// Something had its name already.
    Taken,
    /// The other worktree does not have it.
    Absent,
}

/// Copies a file, with its mode, from a worktree to the same path in another one, where nothing has its name
/// yet. Both are canonical paths. Follows no link that leaves its worktree. Shares the file's blocks where
/// the file system can.
///
/// # Errors
/// What keeps it from being copied.
pub fn copy_missing(from: &Utf8Path, to: &Utf8Path, path: &RelPath) -> Result<Copying> {
    let name = path.as_path().file_name().context("it names no file")?;
    let above = path.as_path().parent().unwrap_or(Utf8Path::new(""));
    let (there, rest) = nearest(to, above)?;
    let there = Dir::open(&there).with_context(|| format!("could not open `{there}`"))?;
    if let Found::This(dir) = there.dir(&rest)?
        && dir.has(name)?
    {
        return Ok(Copying::Taken);
    }
    let Some(source) = source(from, path)? else { return Ok(Copying::Absent) };
    let dir = make_like(there, &rest, &from.join(above))?;
    let file = source.dir.open_file(&source.name)?;
    let mut file = file.with_context(|| format!("`{}` vanished", from.join(path.as_path())))?;
    let temporary = format!("{name}{TEMPORARY}");
    dir.remove_file(&temporary)?;
    let copied = write(&mut file, &dir, &temporary).and_then(|()| dir.rename_new(&temporary, &dir, name));
    if !matches!(copied, Ok(true)) {
        let _ = dir.remove_file(&temporary);
    }
    copied.map(|is_new| if is_new { Copying::Copied } else { Copying::Taken })
}

/// Whether anything has this path in a worktree, a link to nothing included.
///
/// # Errors
/// When the system cannot tell.
pub fn is_taken(worktree: &Utf8Path, path: &RelPath) -> Result<bool> {
    let above = worktree.join(path.as_path());
    let (Some(above), Some(name)) = (above.parent(), path.as_path().file_name()) else { return Ok(true) };
    if !is_directory(above) {
        return Ok(false);
    }
    Dir::open(above).with_context(|| format!("could not open `{above}`"))?.has(name)
}

/// The nearest directory above a path that is there, without links, and the rest of the path.
fn nearest(worktree: &Utf8Path, path: &Utf8Path) -> Result<(Utf8PathBuf, Utf8PathBuf)> {
    let above = path.ancestors().find(|above| is_directory(&worktree.join(above)));
    let above = above.unwrap_or(Utf8Path::new(""));
    let there = within(worktree, above)?;
    Ok((there, path.strip_prefix(above).unwrap_or(path).to_owned()))
}

/// The canonical path of something in a worktree.
fn within(worktree: &Utf8Path, path: &Utf8Path) -> Result<Utf8PathBuf> {
    let named = worktree.join(path);
    let there = canonical(&named).with_context(|| format!("`{named}` cannot be resolved"))?;
    if there.starts_with(worktree) {
        return Ok(there);
    }
    Err(Fault::refused(format!("`{named}` is a symbolic link that leaves the worktree")).into())
}

/// A file to copy: its directory, and its name there.
struct Source {
    dir: Dir,
    name: String,
}

/// The file at a path in a worktree. `None` if there is nothing.
fn source(worktree: &Utf8Path, path: &RelPath) -> Result<Option<Source>> {
    let named = worktree.join(path.as_path());
    if !super::fs::exists(&named).with_context(|| format!("could not examine `{named}`"))? {
        return Ok(None);
    }
    let real = within(worktree, path.as_path())?;
    let (above, name) = real.parent().zip(real.file_name()).context("it names no file")?;
    let dir = Dir::open(above).with_context(|| format!("could not open `{above}`"))?;
    match dir.obstacle(name)? {
        None => Ok(None),
        Some(Obstacle::File) => Ok(Some(Source { name: name.to_owned(), dir })),
        Some(Obstacle::Directory) => {
            Err(Fault::refused(format!("`{named}` is a directory")).advise("list its files").into())
        }
        Some(obstacle) => Err(Fault::refused(format!("`{named}` is {obstacle}")).into()),
    }
}

/// Makes the directories of a path, each with the mode that it has in the other worktree.
fn make_like(there: Dir, rest: &Utf8Path, original: &Utf8Path) -> Result<Dir> {
    let count = rest.components().count();
    let mut originals: Vec<&Utf8Path> = original.ancestors().take(count).collect();
    originals.reverse();
    let mut dir = there;
    for (name, original) in rest.iter().zip(originals) {
        let mode = original
            .parent()
            .zip(original.file_name())
            .and_then(|(above, name)| Dir::open(above).ok()?.mode_of(name));
        dir = dir.make_child(name, FileMode::from_bits(mode.unwrap_or(0o755) | 0o700))?;
    }
    Ok(dir)
}

/// Writes a copy of a file, with its mode.
fn write(file: &mut File, dir: &Dir, name: &str) -> Result<()> {
    let mut copy = || {
        let mode = FileMode::from_bits(file.metadata()?.mode() & 0o777);
        let mut made = dir.write_new(name, b"", mode)?;
        // Between two files this is the system's own call, which shares blocks where it can.
        io::copy(file, &mut made)?;
        made.sync_all()?;
        Ok::<(), anyhow::Error>(())
    };
    copy().with_context(|| format!("could not copy to `{}`", dir.path().join(name)))
}
