//! Having Compose start the services of a stack.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::addresses_left::no_addresses;
use super::last_start::LastStart;
use super::once::{self, Step};
use super::request::Progress;
use super::running::ids_of;
use super::start::Start;
use crate::digest::Digest;
use crate::ended::{Ended, How};
use crate::fault::{Exit, Fault};
use crate::host::child::Watch;
use crate::host::compose::run_compose;
use crate::host::container::Container;
use crate::slot::SlotId;
use crate::stack::admission::admit::Admitted;
use crate::stack::compose_files::derive::Derived;
use crate::stack::gate::Gated;
use crate::stack::gate::patience::{Patience, Verdict};
use crate::stack::gate::state::Expected;

/// Without what they need: that was started before.
const ALONE: &[&str] = &["--no-deps"];

/// Compose at work.
pub(in crate::stack) struct Run<'a> {
    pub(in crate::stack) start: &'a Start<'a>,
    pub(in crate::stack) derived: &'a Derived,
    pub(in crate::stack) admitted: &'a Admitted,
    pub(in crate::stack) expected: &'a Expected,
    pub(in crate::stack) profiles: &'a [String],
}

/// How Compose ended.
pub(in crate::stack) enum Started {
    /// It was asked to start everything.
    All(Ended),
    /// It was asked to start what has to run first, and that does not.
    First(Ended, Gated),
}

impl Run<'_> {
    /// Starts the services. Those that run once go first and by themselves, so that Compose does not run them
    /// with the others each time. `last` gets what they ran with.
    ///
    /// # Errors
    /// [`Fault`] when nothing could be started, Docker does not answer, or the user asks to stop.
    pub(in crate::stack) fn compose(
        &self,
        last: &mut LastStart,
        progress: &mut impl FnMut(Progress<'_>),
    ) -> Result<Started> {
        let once = self.start.once(self.expected);
        if once.is_empty() {
            return Ok(Started::All(self.up(&self.start.request.services, &[])?));
        }
        let mut brought = BTreeSet::new();
        for step in once::steps(&once, self.expected) {
            if let Some(stopped) = self.run_once(&step, last, &mut brought, progress)? {
                return Ok(stopped);
            }
        }
        let others = self.expected.services.keys().filter(|name| !once.contains(*name)).cloned();
        let others: BTreeSet<String> = others.collect();
        if others.is_empty() {
            // Without a name, Compose would start everything.
            return Ok(Started::All(Ended { how: How::Well, last_lines: Vec::new() }));
        }
        Ok(Started::All(self.up(&others, ALONE)?))
    }

    /// Runs the services of a step that have to run, if there are any. `brought` is what was started before.
    /// Returns how they stop the start.
    fn run_once(
        &self,
        step: &Step,
        last: &mut LastStart,
        brought: &mut BTreeSet<String>,
        progress: &mut impl FnMut(Progress<'_>),
    ) -> Result<Option<Started>> {
        let mut due = self.due(step, last)?;
        if due.len() < step.services.len() && !step.needed.is_subset(brought) {
            // What they need may get a new container now, and then they have to run after all.
            self.up(&step.needed, ALONE)?;
            due = self.due(step, last)?;
        }
        brought.extend(step.needed.iter().cloned());
        if due.is_empty() {
            return Ok(None);
        }
        let ended = self.up(&(&due | &step.needed), ALONE)?;
        progress(Progress::Started);
        let patience = Patience { settle: Duration::ZERO, ..self.start.request.patience };
        let gated = self.start.gate(&self.expected.clone().only(&due), patience, progress)?;
        if gated.verdict != Verdict::Runs {
            return Ok(Some(Started::First(ended, gated)));
        }
        // It is noted at once: what comes after may fail.
        last.once.extend(self.inputs(&due, &self.start.containers()?));
        last.without_key().keep(&self.start.place.held.dir()).context("could not note what ran")?;
        Ok(None)
    }

    /// The services of a step that have to run.
    fn due(&self, step: &Step, last: &LastStart) -> Result<BTreeSet<String>> {
        let containers = self.start.containers()?;
        let inputs = self.inputs(&step.services, &containers);
        Ok(once::due(&step.services, &inputs, &last.once, &containers))
    }

    fn inputs(&self, once: &BTreeSet<String>, containers: &[Container]) -> BTreeMap<String, Digest> {
        let images = once.iter().filter_map(|name| self.admitted.model.services.get(name)?.image.clone());
        let images = ids_of(self.start.place.held.engine(), &images.collect());
        let (model, config, expected) = (&self.admitted.model, &*self.admitted.config, self.expected);
        once::inputs(once, &once::Sources { model, config, expected, images: &images }, containers)
    }

    /// Runs `docker compose up`.
    fn up(&self, services: &BTreeSet<String>, flags: &[&str]) -> Result<Ended> {
        let Start { place, request, means, .. } = self.start;
        let call = place.call(Some(&place.name), &self.derived.files, self.profiles);
        let build = if request.builds { "--build" } else { "--no-build" };
        let arguments = ["up", "--detach", build].into_iter().chain(flags.iter().copied());
        let arguments: Vec<&str> = arguments.chain(services.iter().map(String::as_str)).collect();
        let is_built = self.admitted.model.services.values().any(|service| service.build.is_some());
        let timeout = request.longest_start(is_built);
        let lock = Some(self.start.lock);
        let watch = Watch { timeout, interrupt: means.interrupt, output: means.output, lock };
        let ended = run_compose(&call, &arguments, &watch)
            .map_err(|error| Fault::docker(format!("`docker` cannot be started: {error}")))?;
        if let Some(fault) = no_addresses(place.held.slot, place.held.engine(), &ended) {
            return Err(fault.into());
        }
        match ended.how {
            How::Interrupted => Err(self.interrupted().into()),
            How::Badly(_) if self.start.containers()?.is_empty() => {
                Err(not_started(place.held.slot, &ended).into())
            }
            How::Well | How::Badly(_) | How::NotInTime => Ok(ended),
        }
    }

    /// The error for a start that the user stopped.
    fn interrupted(&self) -> Fault {
        let left = match self.start.containers() {
            Ok(containers) => {
                let up = containers.iter().filter(|container| container.is_up()).count();
                format!("{up} of {} containers run", containers.len())
            }
            Err(_) => "Docker does not say what runs".to_owned(),
        };
        let what =
            format!("interrupted while Compose was starting slot {}: {left}", self.start.place.held.slot);
        Fault::interrupted(what).advise("`kinfra up` goes on, `kinfra down` removes what there is")
    }
}

/// The error for a start that made nothing.
fn not_started(slot: SlotId, ended: &Ended) -> Fault {
    let How::Badly(how) = &ended.how else { return Fault::failed("Compose did not fail") };
    let lines = iter::once(format!("nothing of slot {slot} was started: Compose failed with {how}"));
    let lines: Vec<String> = lines.chain(ended.last_lines.iter().map(|line| format!("  {line}"))).collect();
    Fault { exit: Exit::DoesNotRun, ..Fault::failed(lines.join("\n")) }
}
