//! What `apply` and `destroy` share: show the plan, ask, carry it out, report.

use anyhow::Result;
use camino::Utf8Path;

use super::approve;
use super::differences::differences;
use super::output::{print, say};
use crate::apply::Outcome;
use crate::host::lock::LockPolicy;
use crate::host::signals::Interrupt;
use crate::plan::Plan;
use crate::provision::{Done, NotRun, Request};
use crate::report::{self, View};

/// How a run shows its plan, whether it asks, and how it takes the lock.
pub(super) struct Session<'a> {
    pub(super) used: &'a str,
    /// The spec's path; `None` for the embedded one.
    pub(super) spec: Option<&'a Utf8Path>,
    pub(super) view: View<'a>,
    pub(super) json: bool,
    pub(super) dry_run: bool,
    /// Do not ask.
    pub(super) approved: bool,
    pub(super) lock: LockPolicy<'a>,
}

impl Session<'_> {
    /// The plan that was shown, and its outcome; no outcome if it was only shown.
    ///
    /// # Errors
    /// What stopped the run before its first action.
    pub(super) fn run(&self, request: Request<'_>) -> Result<(Plan, Option<Outcome>)> {
        let prepared = if self.dry_run { request.look()? } else { request.prepare()? };
        let (shown, desired) = (prepared.shown(), prepared.desired());
        let error = |why| report::stale::error(why, shown, desired, self.view);
        prepared.check_saved().map_err(|stale| error(NotRun::from(stale)))?;
        say(&format!("Using {}\n", self.used))?;
        print(&if self.json {
            report::plan_json::planned(shown, desired, self.spec)
        } else {
            report::plan::render(shown, desired, self.view, &differences(&prepared, false)?)
        })?;
        let mut done = None;
        if !self.dry_run {
            if shown.needs_approval() {
                approve::ask("Do you want to perform these actions?", self.approved)?;
            }
            let ran = prepared.carry_out(&self.lock, &Interrupt::listen()?);
            let Done { outcome, before } = ran.unwrap_or_else(|why| Done::stopped(error(why)));
            say(&format!("\n{}", report::outcome::render(&outcome, shown, desired, &before, self.view)))?;
            done = Some(outcome);
        }
        if self.json {
            print(&report::plan_json::applied(done.as_ref().unwrap_or(&Outcome::default())))?;
        }
        Ok((shown.clone(), done))
    }
}
