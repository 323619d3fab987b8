//! The verbs of the project here: those of the spec that `start` would use.

use anyhow::Result;

use super::by_worktree::Search;
use super::embedded_pool::check;
use crate::claims::whereabouts::{Following, worktree_of};
use crate::spec::Verbs;

/// What the spec declares. The embedded one declares verbs only where its slots may be claimed.
///
/// # Errors
/// When the spec cannot be found or read.
pub fn verbs(search: &Search<'_>) -> Result<Verbs> {
    let mut pool = search.here()?;
    if pool.is_embedded() && !search.choice.is_named() {
        let (seen, worktree) = (pool.look(Following::NoHolder)?, worktree_of(&search.invocation.here)?);
        if check(&pool, seen.as_ref().map(|seen| &*seen.registry), &worktree, search).is_err() {
            return Ok(Verbs::default());
        }
    }
    Ok(pool.declared.map(|declared| declared.spec.verbs).unwrap_or_default())
}
