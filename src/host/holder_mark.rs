//! What tells a worktree from every other: a token in its own git directory, and where on the disk it is.
//! Starts no process.

use std::io;

use anyhow::{Context as _, Result, bail};
use camino::Utf8Path;

use super::fs::{Dir, Found, is_directory, place_of};
use super::git::own_dir;
use super::identity::random_bits;
use crate::file::{FileMode, Obstacle};
use crate::registry::{Mark, Token};

/// The file with the token. git and jj leave it alone, and no clone brings it.
const TOKEN: &str = "kinfra-holder";

/// The most that is read of it, in bytes.
const LIMIT: u64 = 64;

/// The token is no secret, and a claim that root made is the same worktree's.
const READABLE: u32 = 0o644;

/// The mark of a worktree as it is now.
///
/// # Errors
/// When it cannot be read. A mark that lacks a part would be that of another directory.
pub fn mark_of(worktree: &Utf8Path) -> Result<Mark> {
    let examined = || format!("could not examine `{worktree}`");
    let token = match own_dir(worktree).with_context(examined)? {
        Some(own) if is_directory(&own) => read(&Dir::open(&own)?)?,
        Some(_) | None => None,
    };
    Ok(Mark { token, place: Some(place_of(worktree).with_context(examined)?) })
}

/// The token in a worktree's own git directory. `None` also where it cannot be read.
pub fn token_in(own_dir: &Utf8Path) -> Option<Token> {
    read(&Dir::open(own_dir).ok()?).ok().flatten()
}

/// `None` if there is none, or what is there is none.
fn read(own: &Dir) -> Result<Option<Token>> {
    Ok(match own.read(Utf8Path::new(TOKEN), LIMIT)? {
        Found::This(content) => {
            str::from_utf8(&content.bytes).ok().and_then(|it| Token::parse(it.trim_end()))
        }
        Found::Other(Obstacle::Forbidden) => bail!("`{}` is not readable", own.path().join(TOKEN)),
        Found::Nothing | Found::Other(_) => None,
    })
}

/// The token of a worktree, made if it has none. `None` where it has no git directory of its own, or that
/// cannot be written.
pub fn ensure_token(worktree: &Utf8Path) -> Option<Token> {
    let own = Dir::open(&own_dir(worktree).ok().flatten()?).ok()?;
    read(&own).ok()?.or_else(|| make(&own).ok().flatten())
}

/// Makes a token. Of two that are made at once, one counts.
fn make(own: &Dir) -> Result<Option<Token>> {
    let token = Token::from_random(random_bits()?);
    let temporary = format!("{TOKEN}.{}.tmp", std::process::id());
    own.remove_file(&temporary)?;
    let file = own.write_new(&temporary, format!("{token}\n").as_bytes(), FileMode::from_bits(READABLE))?;
    if !own.rename_new(&temporary, own, TOKEN)? {
        if let Some(other) = read(own)? {
            own.remove_file(&temporary)?;
            return Ok(Some(other));
        }
        // A power cut left an empty file.
        own.rename_over(&temporary, own, TOKEN)?;
    }
    // After it has its name: journals then keep that, too.
    rustix::fs::fsync(&file).map_err(io::Error::from)?;
    Ok(Some(token))
}
