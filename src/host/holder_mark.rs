//! What tells a worktree from every other: a token in its own git directory, and where on the disk it is.
//! Starts no process.

use std::io;

use anyhow::Result;
use camino::Utf8Path;

use super::fs::{Dir, Found, place_of};
use super::git::own_dir;
use super::identity::random_bits;
use crate::file::FileMode;
use crate::registry::{Mark, Token};

/// The file with the token. git and jj leave it alone, and no clone brings it.
const TOKEN: &str = "kinfra-holder";

/// The most that is read of it, in bytes.
const LIMIT: u64 = 64;

/// The token is no secret, and a claim that root made is the same worktree's.
const READABLE: u32 = 0o644;

/// The mark of a worktree as it is now. What cannot be read is missing from it.
pub fn mark_of(worktree: &Utf8Path) -> Mark {
    let token = own_dir(worktree).ok().flatten().and_then(|own| token_in(&own));
    Mark { token, place: place_of(worktree).ok() }
}

/// The token in a worktree's own git directory.
pub fn token_in(own_dir: &Utf8Path) -> Option<Token> {
    read(&Dir::open(own_dir).ok()?)
}

fn read(own: &Dir) -> Option<Token> {
    let Ok(Found::This(content)) = own.read(Utf8Path::new(TOKEN), LIMIT) else { return None };
    Token::parse(str::from_utf8(&content.bytes).ok()?.trim_end())
}

/// The token of a worktree, made if it has none. `None` where it has no git directory of its own, or that
/// cannot be written.
pub fn ensure_token(worktree: &Utf8Path) -> Option<Token> {
    let own = Dir::open(&own_dir(worktree).ok().flatten()?).ok()?;
    read(&own).or_else(|| make(&own).ok().flatten())
}

/// Makes a token. Of two that are made at once, one counts.
fn make(own: &Dir) -> Result<Option<Token>> {
    let token = Token::from_random(random_bits()?);
    let temporary = format!("{TOKEN}.{}.tmp", std::process::id());
    own.remove_file(&temporary)?;
    let file = own.write_new(&temporary, format!("{token}\n").as_bytes(), FileMode::from_bits(READABLE))?;
    if !own.rename_new(&temporary, own, TOKEN)? {
        if read(own).is_some() {
            own.remove_file(&temporary)?;
            return Ok(read(own));
        }
        // A power cut left an empty file.
        own.rename_over(&temporary, own, TOKEN)?;
    }
    // After it has its name: journals then keep that, too.
    rustix::fs::fsync(&file).map_err(io::Error::from)?;
    Ok(Some(token))
}
