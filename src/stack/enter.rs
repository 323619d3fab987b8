//! Which container a shell is for.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;

use crate::claims::held::Held;
use crate::fault::{Exit, Fault};
use crate::host::container::Container;
use crate::host::containers::of_project;
use crate::host::lock::LockPolicy;
use crate::names::project;
use crate::registry::RegistryId;
use crate::shown::printable;

/// The longest that Docker may take for one answer.
const LONGEST: Duration = Duration::from_secs(20);

/// The container that a shell enters: of the service that is named, or that slots.toml declares, or of the
/// only one that runs.
///
/// # Errors
/// [`Fault`] when it does not run, more than one could be meant, or Docker does not answer.
pub fn target(held: &Held, service: Option<&str>, policy: &LockPolicy<'_>) -> Result<Container> {
    let id = held.pool().ledger().id(held.seen(), policy)?;
    let running = running(held, id)?;
    let declared = held.stack().shell;
    let services: BTreeSet<&str> = running.iter().map(|container| container.service.as_str()).collect();
    let service = match (service.or(declared.as_deref()), services.first()) {
        (Some(service), _) => service.to_owned(),
        (None, Some(only)) if services.len() == 1 => (*only).to_owned(),
        (None, None) => return Err(nothing_runs(held).into()),
        (None, Some(_)) => {
            let services: Vec<String> = services.iter().map(|service| printable(service)).collect();
            let what = format!("several services of slot {} run: {}", held.slot, services.join(", "));
            let advice = "name one, or declare it in slots.toml: `shell` of [stack]";
            return Err(Fault::usage(what).advise(advice).into());
        }
    };
    let found = running.iter().filter(|container| container.service == service);
    let found = found.min_by_key(|container| container.number).cloned();
    found.ok_or_else(|| {
        if services.is_empty() { nothing_runs(held) } else { runs_not(held, &service, &services) }.into()
    })
}

/// The containers of the slot's stack that run.
fn running(held: &Held, id: RegistryId) -> Result<Vec<Container>> {
    let containers = of_project(held.engine(), &project(&held.pool().name, held.slot), LONGEST).needed();
    let containers =
        containers.map_err(|why| Fault::docker(format!("Docker cannot say what runs: {why}")))?;
    let id = id.to_string();
    let is_ours = |container: &Container| container.registry.as_ref().is_none_or(|other| *other == id);
    Ok(containers.into_iter().filter(|found| found.is_up() && !found.is_one_off && is_ours(found)).collect())
}

/// The error for a stack of which nothing runs.
pub fn nothing_runs(held: &Held) -> Fault {
    let what = format!("nothing runs in slot {}", held.slot);
    Fault { exit: Exit::DoesNotRun, ..Fault::failed(what) }.advise("`kinfra up` starts its stack")
}

fn runs_not(held: &Held, service: &str, services: &BTreeSet<&str>) -> Fault {
    let services: Vec<String> = services.iter().map(|service| printable(service)).collect();
    let what =
        format!("`{}` does not run in slot {}: {} do", printable(service), held.slot, services.join(", "));
    let advice = format!("`kinfra logs {}` says why", printable(service));
    Fault { exit: Exit::DoesNotRun, ..Fault::failed(what) }.advise(advice)
}
