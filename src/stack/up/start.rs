//! A start of a slot's stack on its way: what each step of it needs.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;

use super::last_start::LastStart;
use super::request::{Means, Progress, UpRequest};
use crate::compose::model::Model;
use crate::fault::Fault;
use crate::host::container::Container;
use crate::host::containers::of_project;
use crate::host::root::StackLock;
use crate::spec::StackSpec;
use crate::stack::compose_files::place::Place;
use crate::stack::gate::patience::Patience;
use crate::stack::gate::state::Expected;
use crate::stack::gate::{Gated, Watched, gate};

/// The longest that Docker may take for one answer.
const LONGEST: Duration = Duration::from_secs(20);

/// A start.
pub(in crate::stack) struct Start<'a> {
    pub(in crate::stack) place: Place<'a>,
    /// The lock of the stack, which Compose holds, too.
    pub(in crate::stack) lock: &'a StackLock,
    /// `[stack]` of the slots.toml that was applied.
    pub(in crate::stack) stack: StackSpec,
    pub(in crate::stack) request: &'a UpRequest,
    pub(in crate::stack) means: &'a Means<'a>,
    /// The last start, if it is known.
    pub(in crate::stack) last: Option<LastStart>,
}

impl Start<'_> {
    /// The profiles of Compose, sorted: those that are asked for, or those that are kept with the slot.
    pub(in crate::stack) fn profiles(&self) -> Vec<String> {
        let kept = || self.place.held.entry.started.as_ref().map(|started| started.profiles.clone());
        let profiles = self.request.profiles.clone().or_else(kept).unwrap_or_default();
        let mut profiles: Vec<String> = profiles.into_iter().filter(|profile| !profile.is_empty()).collect();
        profiles.sort();
        profiles.dedup();
        profiles
    }

    /// What the services that are asked for should come to.
    pub(in crate::stack) fn expected(&self, model: &Model) -> Expected {
        Expected::of(model, &self.stack.once).only(&self.request.services)
    }

    /// The services that run once, of those that are expected.
    pub(in crate::stack) fn once(&self, expected: &Expected) -> BTreeSet<String> {
        let is_expected = |name: &&String| expected.services.contains_key(*name);
        self.stack.once.iter().filter(is_expected).cloned().collect()
    }

    /// Refuses to go on where the claim ended meanwhile, by a release or a reap.
    ///
    /// # Errors
    /// [`Fault`] says so; also when the registry cannot be read.
    pub(in crate::stack) fn still_held(&self) -> Result<()> {
        let held = self.place.held;
        if held.is_still_held()? {
            return Ok(());
        }
        let what = format!("the claim of slot {} ended while its stack was started", held.slot);
        Err(Fault::no_slot(what).advise("`kinfra up` claims a slot again, and starts the stack there").into())
    }

    /// The containers that there are.
    ///
    /// # Errors
    /// [`Fault`] when Docker does not answer.
    pub(in crate::stack) fn containers(&self) -> Result<Vec<Container>> {
        let containers = of_project(self.place.held.engine(), &self.place.name, LONGEST).needed();
        Ok(containers.map_err(|why| Fault::docker(format!("Docker cannot say what runs: {why}")))?)
    }

    /// Waits until services run.
    ///
    /// # Errors
    /// As [`gate`].
    pub(in crate::stack) fn gate(
        &self,
        expected: &Expected,
        patience: Patience,
        progress: &mut impl FnMut(Progress<'_>),
    ) -> Result<Gated> {
        let held = self.place.held;
        let id = held.pool().ledger().id(held.seen(), &self.means.policy)?;
        let watched = Watched { project: &self.place.name, engine: held.engine(), id, expected };
        gate(&watched, patience, self.means.interrupt, &mut |judged| progress(Progress::Looked(judged)))
    }
}
