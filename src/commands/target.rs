//! What the verbs that take a saved plan share: its file, and the pool that it is for.

use anyhow::Result;
use camino::Utf8Path;

use crate::cli::PoolArgs;
use crate::host::invocation::Invocation;
use crate::provision::check_named;
use crate::saved::{self, Saved};
use crate::which::spec_file::{self, Declared};

/// The pool that `apply` works on.
pub(super) struct Target {
    /// The saved plan to run, if one was given.
    pub(super) saved: Option<Saved>,
    pub(super) declared: Declared,
    /// The spec and the root as the user named them, or as the saved plan has them.
    pub(super) named: PoolArgs,
}

impl Target {
    /// # Errors
    /// What keeps the plan or the spec from being read, or a name that does not fit the plan.
    pub(super) fn of(plan: Option<&Utf8Path>, args: &PoolArgs, invocation: &Invocation) -> Result<Self> {
        let Some(plan) = plan else {
            let declared = spec_file::declared(args, invocation)?;
            return Ok(Self { saved: None, declared, named: args.clone() });
        };
        let saved = read(plan, invocation)?;
        let absolute =
            |path: Option<&Utf8Path>| path.map(|path| spec_file::given(path, invocation)).transpose();
        let spec = absolute(spec_file::named_spec(args))?;
        let root = absolute(spec_file::named_root(args))?;
        check_named(&saved, spec.as_deref(), root.as_deref())?;
        let declared = spec_file::read_again(saved.spec.as_deref(), invocation)?;
        let root = saved.root_is_named.then(|| saved.desired.root.clone());
        let named = PoolArgs { spec: saved.spec.clone(), root };
        Ok(Self { saved: Some(saved), declared, named })
    }
}

/// Reads a saved plan.
///
/// # Errors
/// As [`saved::read`].
pub(super) fn read(path: &Utf8Path, invocation: &Invocation) -> Result<Saved> {
    saved::read(path, &spec_file::given(path, invocation)?)
}
