//! A branch whose `slots.toml` is not the one that its pool was applied from.

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::choice::PoolChoice;
use super::repository::entry_of;
use super::spec_file::{find, text_of};
use crate::host::fs::canonical;
use crate::host::invocation::Invocation;

/// The spec that a pool was applied from, if the one in this worktree has another text. A named spec is
/// meant as it is.
///
/// # Errors
/// When a spec cannot be read.
pub fn other_than_applied(
    root: &Utf8Path,
    worktree: &Utf8Path,
    choice: &PoolChoice,
    invocation: &Invocation,
) -> Result<Option<Utf8PathBuf>> {
    if choice.is_named() {
        return Ok(None);
    }
    let is_here = invocation.here.starts_with(worktree);
    let here = if is_here { invocation.here.clone() } else { worktree.to_owned() };
    let Some((path, text)) = find(choice, &Invocation { here, ..invocation.clone() })? else {
        return Ok(None);
    };
    let path = canonical(&path).with_context(|| format!("`{path}` cannot be resolved"))?;
    let entry = entry_of(root, invocation);
    let applied = entry.and_then(|entry| entry.origin.spec).map(Utf8PathBuf::from);
    let Some(applied) = applied.filter(|applied| *applied != path) else { return Ok(None) };
    Ok(text_of(&applied)?.filter(|other| *other != text).map(|_| applied))
}
