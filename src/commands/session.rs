//! How `apply` and `destroy` show a plan.

use anyhow::Result;
use camino::Utf8Path;

use super::differences::differences;
use super::output::{print, say, show_as_laid_out};
use crate::fault::Fault;
use crate::host::lock::LockPolicy;
use crate::provision::{NotRun, Prepared, Request};
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
    /// Makes the plan, and shows it.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub(super) fn show<'a>(&self, request: Request<'a>) -> Result<Prepared<'a>> {
        let prepared = if self.dry_run { request.preview()? } else { request.prepare()? };
        let (shown, desired) = (prepared.shown(), prepared.desired());
        let error = |why| report::stale::error(why, shown, desired, self.view);
        prepared.check_saved().map_err(|stale| error(NotRun::from(stale)))?;
        say(&format!("Using {}\n", self.used));
        let printed = if self.json {
            print(&report::plan_json::planned(shown, desired, self.spec))
        } else {
            let differences = differences(&prepared, false)?;
            show_as_laid_out(&report::plan::render(shown, desired, self.view, &differences))
        };
        printed.map_err(Fault::unchanged)?;
        say(report::plan::trust(prepared.takes_docker_on_trust()));
        Ok(prepared)
    }
}
