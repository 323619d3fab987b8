//! Makes a stack ready for a command of Compose: its files, its admission, and what is to be said.

use anyhow::{Error, Result};

use super::admission::admit::note_end;
use super::admission::ownership;
use super::compose_files::compose_args::ComposeArgs;
use super::compose_files::derive::{Derived, become_compose_by_name};
use super::compose_files::look::Remarks;
use super::compose_files::place::Place;
use crate::claims::environment::Change;
use crate::claims::held::Held;
use crate::fault::Fault;
use crate::host::fs::Umask;
use crate::host::invocation::{self, Invocation};
use crate::host::lock::LockPolicy;
use crate::host::root::StackLock;

/// A slot that a command of Compose may be run for.
pub struct Prepared<'a> {
    held: &'a Held,
    /// The files. `None` if they cannot be used, and the command goes by the project's name.
    stack: Option<(Place<'a>, Derived)>,
    /// What the caller had set on purpose, and Compose does not see.
    pub change: Change,
    /// What a start does not do as the project says.
    pub remarks: Remarks,
    /// Why the files cannot be used.
    pub broken: Option<Error>,
}

/// Prepares a command of Compose for a slot. A start is admitted. What changes or enters a stack is
/// checked for whose it is.
///
/// # Errors
/// [`Fault`] when the files cannot be used, or the start is not admitted.
pub fn prepare<'a>(
    held: &'a Held,
    args: &ComposeArgs,
    policy: &LockPolicy<'_>,
    invocation: &Invocation,
) -> Result<Prepared<'a>> {
    let place = Place::of(held, invocation);
    let stack = place.and_then(|place| Ok((place.derive(policy, invocation)?, place)));
    let (stack, broken) = match stack {
        Ok((derived, place)) => (Some((place, derived)), None),
        Err(error) if args.goes_by_name() => (None, Some(error)),
        Err(error) => return Err(error),
    };
    let change = Change::to_slot(held.variables()?, &invocation::environment());
    let mut prepared = Prepared { held, stack, change, remarks: Remarks::default(), broken };
    match &prepared.stack {
        Some((place, derived)) if args.starts() => {
            let sought = place.sought(derived, args)?;
            let admitted = place.admit(sought, args, policy, invocation)?;
            prepared.remarks = derived.remarks.clone();
            prepared.remarks.notes.extend(admitted.notes);
        }
        Some(_) | None if args.touches() => {
            ownership::check(held)?;
            if args.ends() {
                note_end(held)?;
            }
        }
        Some(_) | None => {}
    }
    Ok(prepared)
}

impl Prepared<'_> {
    /// Replaces the kinfra process by Compose, which holds the lock from then on. Returns only if it cannot
    /// be started, with the reason.
    pub fn become_compose(&self, args: &ComposeArgs, lock: Option<&StackLock>, umask: Umask) -> Fault {
        if let Some(Err(error)) = lock.map(StackLock::outlive) {
            return Fault::docker(format!("`docker` cannot be started: {error}"));
        }
        match &self.stack {
            Some((place, derived)) => place.become_compose(derived, args, umask),
            None => become_compose_by_name(self.held, args, umask),
        }
    }
}
