//! Saved plans: writing and reading the file, `kinfra show`, and what `kinfra apply FILE` refuses.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use camino::Utf8Path;

use super::output::{print, say};
use crate::cli::ShowArgs;
use crate::desired::Outline;
use crate::fault::{Exit, Fault};
use crate::host;
use crate::host::invocation::Invocation;
use crate::observe::Observed;
use crate::plan::Plan;
use crate::report::{self, Aim, Paths, View};
use crate::saved::Saved;
use crate::slot::SlotId;
use crate::which::choice::{PoolChoice, absolute};
use crate::which::spec_file as pool;

/// The most that a saved plan may be, in bytes.
const LIMIT: u64 = 256 << 20;

/// `kinfra show`
pub(crate) fn show(args: &ShowArgs, invocation: &Invocation) -> Result<Exit> {
    let Saved { spec, options, plan, desired, .. } = &read(&args.saved, invocation)?;
    say(&format!("Using {}\n", pool::origin(spec.as_deref(), invocation)))?;
    print(&if args.json {
        report::json::plan(plan, desired, spec.as_deref())
    } else {
        let paths = Paths { home: invocation.home.as_deref() };
        let view = View { paths, verbose: args.verbose, aim: Aim::of(options) };
        report::plan::render(plan, desired, view, &BTreeMap::new())
    })?;
    Ok(Exit::Done)
}

/// Reads a saved plan.
///
/// # Errors
/// [`Fault`] when it is none that this kinfra can read.
pub(crate) fn read(path: &Utf8Path, invocation: &Invocation) -> Result<Saved> {
    if path.as_str().is_empty() {
        return Err(Fault::usage("which plan? Its name is empty").into());
    }
    let bytes = host::fs::read_named(&absolute(path, invocation)?, LIMIT);
    let bytes = bytes.map_err(|error| Fault::usage(format!("plan `{path}` cannot be read: {error}")))?;
    let bytes = bytes.ok_or_else(|| {
        Fault::usage(format!("plan `{path}` does not exist: `kinfra plan --out {path}` makes it"))
    })?;
    let saved =
        parse(&bytes).map_err(|why| Fault::unreadable(format!("plan `{path}` cannot be read: {why}")))?;
    let is_none = || Fault::usage(format!("`{path}` is not a plan that `kinfra plan --out` saved"));
    Ok(saved.ok_or_else(is_none)?)
}

fn parse(bytes: &[u8]) -> Result<Option<Saved>, String> {
    let Ok(text) = std::str::from_utf8(bytes) else { return Ok(None) };
    Saved::parse(text).map_err(|corrupt| corrupt.to_string())
}

/// Writes a plan, in the place of an older one if there is one.
///
/// # Errors
/// [`Fault`] when something else is in its place.
pub(crate) fn write(path: &Utf8Path, saved: &Saved, invocation: &Invocation) -> Result<()> {
    if path.as_str().is_empty() {
        return Err(Fault::usage("--out needs the name of a file").into());
    }
    let absolute = absolute(path, invocation)?;
    // An empty one is what `mktemp` makes.
    let is_plan = |bytes: Vec<u8>| bytes.is_empty() || !matches!(parse(&bytes), Ok(None));
    let is_ours = host::fs::read_named(&absolute, LIMIT).map(|bytes| bytes.is_none_or(is_plan));
    if !is_ours.unwrap_or(false) {
        let message = format!("`{path}` is there and is not a saved plan: give --out another name");
        return Err(Fault::refused(message).into());
    }
    host::fs::replace_named(&absolute, saved.to_text()?.as_bytes())
        .with_context(|| format!("could not save the plan as `{path}`"))
}

/// The spec and the root of a saved plan, as if they had been given.
///
/// # Errors
/// [`Fault`] when others were given.
pub(crate) fn pool_args(saved: &Saved, given: &PoolChoice, invocation: &Invocation) -> Result<PoolChoice> {
    let spec = given.spec().map(|spec| absolute(spec, invocation)).transpose()?;
    let root = given.root().map(|root| absolute(root, invocation)).transpose()?;
    let canonical = |path: &Utf8Path| host::fs::canonical(path).unwrap_or_else(|_| path.to_owned());
    let spec_differs =
        spec.is_some_and(|spec| saved.spec.as_deref().map(canonical) != Some(canonical(&spec)));
    let root_differs = root
        .map(|root| host::root::resolve(&root))
        .transpose()?
        .is_some_and(|root| root != saved.desired.root);
    for (option, own, differs) in [
        ("--spec or KINFRA_SPEC", saved.spec.as_deref(), spec_differs),
        ("--root or KINFRA_ROOT", Some(saved.desired.root.as_path()), root_differs),
    ] {
        if differs {
            let own = own.map_or("the embedded one", Utf8Path::as_str);
            let message = format!("the plan is for `{own}`, and {option} says otherwise: leave it out");
            return Err(Fault::usage(message).into());
        }
    }
    let root = saved.root_is_named.then(|| saved.desired.root.clone());
    Ok(PoolChoice::new(saved.spec.clone(), root))
}

/// Refuses to run a plan that is no longer the one that would be made.
///
/// # Errors
/// [`Fault`] with every value that changed, or with what is in the way now.
pub(crate) fn check(
    saved: &Saved,
    plan: &Plan,
    desired: &Outline,
    observed: &Observed,
    view: View<'_>,
) -> Result<()> {
    let changes = saved.changes(plan, desired.clone(), observed);
    if changes.is_empty() && saved.does_the_same_as(plan) {
        return Ok(());
    }
    let differences = || report::plan::changed(&saved.plan, plan, desired, view);
    let blocked = plan.slots.iter().filter(|(_, slot)| !slot.blocked.is_empty()).map(|(slot, _)| *slot);
    let blocked = SlotId::list(&blocked.collect());
    let message = if saved.is_done(plan, desired.clone()) {
        "the saved plan was applied already: nothing is left of it to do".to_owned()
    } else if !changes.is_empty() {
        let changes = report::stale::changes(&changes);
        format!("the saved plan is stale: nothing was done, plan again{changes}")
    } else if blocked.is_empty() {
        format!("the saved plan is stale: nothing was done, plan again{}", differences())
    } else {
        let advice = format!("do what it says, or plan with --exclude {blocked}");
        format!("something is in the way of the saved plan: nothing was done, {advice}{}", differences())
    };
    Err(Fault::refused(message).into())
}
