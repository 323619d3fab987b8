//! How the stacks of a pool are started, checked and kept: as the pool was applied, and not as the branch
//! here would have it.

use camino::Utf8Path;

use super::by_worktree::{FoundPool, Search};
use super::index::IndexEntry;
use super::repository::entry_of;
use super::spec_file;
use crate::shown::printable;
use crate::spec::StackSpec;

/// The `[stack]` in force, and what is to be said of it.
pub struct AppliedStack {
    /// It.
    pub spec: StackSpec,
    /// Why it is not what the applied slots.toml says now. A sentence.
    pub note: Option<String>,
}

impl Search<'_> {
    /// By the slots.toml that the pool was last applied from. A spec that was named is meant as it is.
    pub fn stack_as_applied(&self, pool: &FoundPool) -> AppliedStack {
        let is_chosen = self.choice.spec().is_some() || self.choice.is_embedded();
        let read = || entry_of(&pool.root, self.invocation);
        let noted = (!is_chosen).then(|| pool.noted.clone().or_else(read)).flatten();
        let Some(entry) = noted else {
            let declared = pool.declared.as_ref().map(|declared| declared.spec.stack.clone());
            return AppliedStack { spec: declared.unwrap_or_default(), note: None };
        };
        let IndexEntry { origin, verify, .. } = entry;
        let path = origin.spec.as_deref().map(Utf8Path::new);
        let named = || printable(path.map_or("the embedded spec", Utf8Path::as_str));
        let now = match &pool.declared {
            Some(declared) if declared.path.as_deref() == path => Ok(declared.spec.stack.clone()),
            _ => spec_file::read_again(path, self.invocation).map(|declared| declared.spec.stack),
        };
        // What runs on this machine is what was applied: the file may have changed since. An older kinfra did
        // not note it, so there is none until the next apply.
        let was_noted = verify.is_some();
        let verify = verify.unwrap_or_default();
        let note = match &now {
            Ok(now) if now.verify == verify => None,
            Ok(_) if !was_noted => Some(format!(
                "`[stack] verify` of `{}` is not run: an older kinfra applied it; `kinfra apply` takes it",
                named()
            )),
            Ok(_) => Some(format!(
                "`[stack] verify` of `{}` changed since it was applied: the applied one is used, and `kinfra apply` \
                 takes the new one",
                named()
            )),
            Err(_) => Some(format!(
                "`{}`, which the pool was applied from, cannot be read: its `[stack]` counts as empty but for \
                 `verify`, and `kinfra apply` takes the one of a slots.toml that is there",
                named()
            )),
        };
        AppliedStack { spec: StackSpec { verify, ..now.unwrap_or_default() }, note }
    }
}
