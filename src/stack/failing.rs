//! The services of a stack that do not run as they should, as the gate judges them.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;

use super::gate::{Watched, look_once};
use super::last_start::LastStart;
use super::state::Expected;
use super::uses::Uses;
use crate::claims::held::Held;
use crate::host::lock::LockPolicy;
use crate::names::project;

/// The longest that Docker may take for one answer.
const LONGEST: Duration = Duration::from_secs(20);

/// The services that have a container and do not run as they should. It is the last start that says what they
/// should come to.
///
/// # Errors
/// When Docker does not answer, or it cannot be read what was started.
pub fn failing(held: &Held, policy: &LockPolicy<'_>) -> Result<BTreeSet<String>> {
    let declared = held.pool().declared.as_ref();
    let once = declared.map(|declared| declared.spec.stack.once.clone()).unwrap_or_default();
    let last = LastStart::read(&held.dir()).map(|last| last.model);
    let model = match last {
        Some(model) => Some(model),
        None => Uses::read(&held.dir())?.map(|uses| uses.model),
    };
    let Some(model) = model else { return Ok(BTreeSet::new()) };
    let expected = Expected::of(&model, &once);
    let id = held.pool().ledger().id(held.seen(), policy)?;
    let project = project(&held.pool().name, held.slot);
    let watched = Watched { project: &project, engine: held.engine(), id, expected: &expected };
    let judged = look_once(&watched, Duration::ZERO, LONGEST)?;
    let bad = judged.into_iter().filter(|judged| !judged.is_ready() && judged.container.is_some());
    Ok(bad.map(|judged| judged.service).collect())
}
