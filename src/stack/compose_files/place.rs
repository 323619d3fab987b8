//! The slot that a stack is for, and the files that it runs.

use std::collections::BTreeSet;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use crate::claims::environment::Change;
use crate::claims::held::Held;
use crate::compose::project::Project;
use crate::fault::Fault;
use crate::host::compose::ComposeCall;
use crate::host::fs::exists;
use crate::host::invocation::{self, Invocation};
use crate::names::OVERLAY;
use crate::slot::SlotId;
use crate::spec::ComposeSpec;
use crate::which::choice::PoolChoice;
use crate::which::spec_file::{self, Declared};

/// The stack of a slot.
pub struct Place<'a> {
    /// The slot, and who holds it.
    pub held: &'a Held,
    /// The worktree that holds it, as its path on disk.
    pub worktree: Utf8PathBuf,
    /// What declares the pool: the worktree's own slots.toml, or else the one that was applied.
    pub declared: Declared,
    /// The files, with the slot's variables.
    pub project: Project,
    /// The name of the Compose project.
    pub name: String,
    /// The caller's variables that Compose must not see, because they are a slot's.
    pub without: BTreeSet<String>,
}

impl<'a> Place<'a> {
    /// The stack of a slot that a worktree holds.
    ///
    /// # Errors
    /// [`Fault`] when the pool's spec is gone, or there are no Compose files.
    pub fn of(held: &'a Held, invocation: &Invocation) -> Result<Self> {
        Self::find(held, invocation)?.ok_or_else(|| no_files(held.slot).into())
    }

    /// [`Place::of`]. `None` for a slot of templates that has no Compose file.
    ///
    /// # Errors
    /// As [`Place::of`].
    pub fn find(held: &'a Held, invocation: &Invocation) -> Result<Option<Self>> {
        let (worktree, dir) = (held.worktree().to_owned(), held.dir());
        let Some(declared) = declared(held, &worktree, invocation)? else {
            return if exists(&dir.join(OVERLAY))? { Err(spec_is_gone(held).into()) } else { Ok(None) };
        };
        let project = match &declared.spec.compose {
            Some(compose) => Project::find(&declared.project_in(&worktree)?, compose)?,
            // A pool of templates has its files in the slot's directory.
            None => match Project::find(&dir, &ComposeSpec::default()) {
                Ok(project) => project,
                Err(_) => return Ok(None),
            },
        };
        let project = project.with_slot(&dir)?;
        let change = Change::to_slot(held.variables()?, &invocation::environment());
        let without = change.unset.into_iter().chain(change.set.into_keys()).collect();
        let name = held.project();
        Ok(Some(Self { held, worktree, declared, project, name, without }))
    }

    /// Whether the worktree's own files run. Otherwise files from templates do.
    pub fn runs_own_files(&self) -> bool {
        self.declared.spec.compose.is_some()
    }

    /// A call of Compose for these files, under a name.
    pub(in crate::stack) fn call<'b>(
        &'b self,
        name: Option<&'b str>,
        files: &'b [Utf8PathBuf],
        profiles: &'b [String],
    ) -> ComposeCall<'b> {
        ComposeCall {
            project: name,
            files,
            directory: &self.project.directory,
            env_files: &self.project.env_files,
            profiles,
            without: &self.without,
            engine: self.held.engine(),
        }
    }
}

/// The worktree's own slots.toml, if it declares the same pool: it belongs to the Compose files of its
/// branch. Otherwise the one that was applied. `None` if neither is there.
///
/// # Errors
/// Every mistake in the worktree's own.
fn declared(held: &Held, worktree: &Utf8Path, invocation: &Invocation) -> Result<Option<Declared>> {
    let pool = held.pool();
    let applied = pool.declared.as_ref();
    let here = applied.map_or_else(|| Ok(worktree.to_owned()), |applied| applied.project_in(worktree))?;
    let (there, choice) = (Invocation { here, ..invocation.clone() }, PoolChoice::default());
    let own = match spec_file::declared(&choice, &there) {
        // A slot of templates does not depend on it.
        Err(error) if applied.is_some_and(|applied| applied.spec.compose.is_some()) => return Err(error),
        own => own.ok(),
    };
    let own = own.filter(|own| {
        own.path.is_some()
            && own.spec.name == pool.name
            && own.root(&choice, &there).is_ok_and(|root| root == pool.root)
    });
    Ok(own.or_else(|| spec_file::read_again(applied?.path.as_deref(), invocation).ok()))
}

fn spec_is_gone(held: &Held) -> Fault {
    let what = format!("{} declares slot {}, and it cannot be read", held.pool().origin, held.slot);
    Fault::refused(what).advise("`kinfra validate` says why")
}

fn no_files(slot: SlotId) -> Fault {
    Fault::refused(format!("slot {slot} has no Compose file, and its pool has no [compose]"))
        .advise("add [compose] to slots.toml to run the worktree's own Compose files")
}
