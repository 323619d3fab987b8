//! What the verbs that take a saved plan share: its file, and the pool that it is for.

use anyhow::Result;
use camino::Utf8Path;

use crate::host::invocation::Invocation;
use crate::provision::check_named;
use crate::saved::{self, Saved};
use crate::which::choice::{PoolChoice, absolute};
use crate::which::embedded_pool::check_applied;
use crate::which::spec_file::{self, Declared};

/// The pool that `apply` works on.
pub(super) struct Target {
    /// The saved plan to run, if one was given.
    pub(super) saved: Option<Saved>,
    pub(super) declared: Declared,
    /// The spec and the root as the user named them, or as the saved plan has them.
    pub(super) choice: PoolChoice,
}

impl Target {
    /// # Errors
    /// When the plan or the spec cannot be read, or a name that does not fit the plan.
    pub(super) fn of(plan: Option<&Utf8Path>, choice: PoolChoice, invocation: &Invocation) -> Result<Self> {
        let Some(plan) = plan else {
            let declared = spec_file::to_apply(&choice, invocation)?;
            check_applied(&declared, &choice, invocation)?;
            return Ok(Self { saved: None, declared, choice });
        };
        let saved = read(plan, invocation)?;
        let spec = choice.spec().map(|spec| absolute(spec, invocation)).transpose()?;
        let root = choice.root().map(|root| absolute(root, invocation)).transpose()?;
        check_named(&saved, spec.as_deref(), root.as_deref())?;
        let declared = spec_file::read_again(saved.spec.as_deref(), invocation)?;
        let root = saved.root_is_named.then(|| saved.desired.root.clone());
        let choice = PoolChoice::new(saved.spec.clone(), root);
        Ok(Self { saved: Some(saved), declared, choice })
    }
}

/// Reads a saved plan.
///
/// # Errors
/// As [`saved::read`].
pub(super) fn read(path: &Utf8Path, invocation: &Invocation) -> Result<Saved> {
    saved::read(path, &absolute(path, invocation)?)
}
