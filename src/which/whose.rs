//! Whose a root is. Its registry says which pool it was applied as; of one that an older kinfra saved last,
//! the index of pools says it.

use camino::Utf8Path;

use super::index::IndexEntry;
use super::repository::entry_of;
use super::spec_file::{Declared, applied_from};
use crate::fault::Fault;
use crate::host::invocation::Invocation;
use crate::ledger::glance;
use crate::registry::AppliedFrom;

/// Refuses a root that was applied as another pool than the one that a spec declares.
///
/// # Errors
/// [`Fault`] names both.
pub fn check(declared: &Declared, root: &Utf8Path, invocation: &Invocation) -> Result<(), Fault> {
    let entry = entry_of(root, invocation);
    check_noted(entry.as_ref(), &declared.applied_from(), root)
}

/// [`check`], with what the index has of the root.
pub(super) fn check_noted(
    noted: Option<&IndexEntry>,
    wanted: &AppliedFrom,
    root: &Utf8Path,
) -> Result<(), Fault> {
    // The verb itself says why a registry cannot be read.
    let Ok(Some(registry)) = glance(root) else { return Ok(()) };
    let from =
        |entry: &IndexEntry| applied_from(&entry.pool, entry.origin.spec.as_deref().map(Utf8Path::new));
    match (&registry.applied_from, noted) {
        (None, Some(noted)) if !registry.slots.is_empty() => from(noted).check_pool(wanted, root),
        _ => registry.check_pool(wanted, root),
    }
}
