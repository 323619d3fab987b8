//! What `apply` and `destroy` share: show the plan, ask, carry it out, report.

use anyhow::Result;

use super::approve;
use super::failure::after;
use super::output::{hint, print, say};
use super::session::Session;
use crate::apply::Outcome;
use crate::fault::Exit;
use crate::host::signals::Interrupt;
use crate::plan::Plan;
use crate::provision::{Done, Prepared, Request};
use crate::report;

impl Session<'_> {
    /// The plan that was shown, and its outcome; no outcome if it was only shown.
    ///
    /// # Errors
    /// What stopped the run before its first action.
    pub(super) fn run(&self, request: Request<'_>) -> Result<(Plan, Option<Outcome>)> {
        let prepared = self.show(request)?;
        let done = if self.dry_run { None } else { Some(self.carry_out(&prepared, false)?.outcome) };
        if self.json {
            let printed = print(&report::plan_json::applied(done.as_ref().unwrap_or(&Outcome::default())));
            match &done {
                None => printed?,
                Some(outcome) if outcome.is_whole() => after("carried out the plan", printed)?,
                // What it failed in says more than that it could not be printed.
                Some(_) => {}
            }
        }
        Ok((prepared.shown().clone(), done))
    }

    /// How a run ends: refused, where all that was asked for is blocked.
    pub(super) fn exit(&self, plan: &Plan, outcome: Outcome) -> Result<Exit> {
        let exit = outcome.into_exit()?;
        let is_refused = exit == Exit::Done && plan.is_refused(self.view.allowed);
        Ok(if is_refused { Exit::Refused } else { exit })
    }

    /// Carries out the plan that was shown. Asks first if it needs approval, or if something else does.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub(super) fn carry_out(&self, prepared: &Prepared<'_>, asks: bool) -> Result<Done> {
        let (shown, desired) = (prepared.shown(), prepared.desired());
        if asks || shown.needs_approval() {
            approve::ask("Do you want to perform these actions?", self.approved)?;
        }
        let ran = prepared.carry_out(&self.lock, &Interrupt::listen()?);
        let error = |why| report::stale::error(why, shown, desired, self.view);
        let done = ran.unwrap_or_else(|why| Done::stopped(error(why)));
        let Done { outcome, before } = &done;
        say(&format!("\n{}", report::outcome::render(outcome, shown, desired, before, self.view)));
        hint(report::outcome::next(outcome));
        Ok(done)
    }
}
