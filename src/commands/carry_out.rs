//! What `apply` and `destroy` share: show the plan, ask, carry it out, report.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _};

use anyhow::{Error, Result};
use camino::Utf8Path;

use super::{approve, print, say};
use crate::apply::Outcome;
use crate::fault::Exit;
use crate::host::lock::LockPolicy;
use crate::host::signals::Interrupt;
use crate::plan::Plan;
use crate::provision::{Done, NotRun, Prepared, Request};
use crate::registry::Registry;
use crate::report::{self, View};
use crate::slot::SlotId;

/// How a run shows its plan, whether it asks, and how it takes the lock.
pub(super) struct Session<'a> {
    /// How the output names the spec.
    pub(super) origin: &'a str,
    /// The spec's path; `None` for the embedded one.
    pub(super) spec: Option<&'a Utf8Path>,
    pub(super) view: View<'a>,
    pub(super) json: bool,
    /// Only show the plan.
    pub(super) dry_run: bool,
    /// Do not ask.
    pub(super) approved: bool,
    pub(super) lock: LockPolicy<'a>,
}

impl Session<'_> {
    /// The plan that was shown, and what became of it; no outcome if it was only shown.
    ///
    /// # Errors
    /// What stopped the run before its first action.
    pub(super) fn run(&self, request: Request<'_>) -> Result<(Plan, Option<Outcome>)> {
        let prepared = if self.dry_run { request.look()? } else { request.prepare()? };
        let stale = |stale| report::stale::fault(&stale, prepared.shown(), prepared.desired(), self.view);
        prepared.check_saved().map_err(stale)?;
        self.show(&prepared)?;
        let shown = prepared.shown().clone();
        if self.dry_run {
            if self.json {
                print(&report::json::applied(&Outcome::default()))?;
            }
            return Ok((shown, None));
        }
        if shown.needs_approval() {
            approve::ask("Do you want to perform these actions?", self.approved)?;
        }
        let done = prepared.carry_out(&self.lock, &Interrupt::listen()?).unwrap_or_else(|why| {
            let error = match why {
                NotRun::Stale(why) => Error::from(stale(*why)),
                NotRun::Failed(error) => error,
            };
            Done { outcome: Outcome::stopped(error), before: Registry::default() }
        });
        let Done { outcome, before } = done;
        say(&format!(
            "\n{}",
            report::outcome::render(&outcome, &shown, prepared.desired(), &before, self.view)
        ))?;
        if self.json {
            print(&report::json::applied(&outcome))?;
        }
        Ok((shown, Some(outcome)))
    }

    fn show(&self, prepared: &Prepared<'_>) -> Result<()> {
        say(&format!("Using {}\n", self.origin))?;
        let (plan, desired) = (prepared.shown(), prepared.desired());
        if self.json {
            return Ok(print(&report::json::planned(plan, desired, self.spec))?);
        }
        Ok(print(&report::plan::render(plan, desired, self.view, &diffs(prepared, false)?))?)
    }
}

/// The differences of the files that would change, by slot: on a terminal, or if `asked` for.
pub(super) fn diffs(prepared: &Prepared<'_>, asked: bool) -> Result<BTreeMap<SlotId, String>> {
    if !asked && !io::stdout().is_terminal() {
        return Ok(BTreeMap::new());
    }
    Ok(report::diff::by_slot(&prepared.changed_texts()?, prepared.secrets()))
}

/// How a run with this outcome ends.
///
/// # Errors
/// What kept everything from being committed.
pub(super) fn exit_of(outcome: Outcome) -> Result<Exit> {
    let Outcome { done: _, failed, left_out, backups: _, error } = outcome;
    match error {
        Some(error) => Err(error),
        None if !failed.is_empty() => Ok(Exit::Failed),
        None if !left_out.is_empty() => Ok(Exit::Interrupted),
        None => Ok(Exit::Done),
    }
}
