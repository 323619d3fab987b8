//! The slots of a pool and their stacks, looked at again and again: Docker is asked when something happened.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;

use super::sight::Sight;
use super::stacks::{Looked, engines, listed, sights};
use crate::claims::listing::Listed;
use crate::host::clock::Stopwatch;
use crate::host::events::Events;
use crate::observe::whose::Whose;
use crate::registry::Engine;
use crate::slot::SlotId;
use crate::which::by_worktree::FoundPool;
use crate::which::trust::Trust;

/// How often Docker is asked though nothing happened: times go on, and a crash loop comes to rest.
const FOLLOWED: Duration = Duration::from_secs(10);
/// How often it is asked where it does not tell what happens.
const UNFOLLOWED: Duration = Duration::from_secs(2);

/// What was seen so far, and the engines that are followed.
#[derive(Default)]
pub struct Followed {
    engines: BTreeMap<Engine, Events>,
    asked: Option<(Stopwatch, Vec<Listed>, BTreeMap<SlotId, Sight>)>,
}

impl Followed {
    /// The slots of a pool with what their stacks do. That is not older than what Docker has told since.
    ///
    /// # Errors
    /// When the registry cannot be trusted.
    pub fn look(&mut self, pool: &mut FoundPool) -> Result<Looked> {
        if pool.trust != Trust::Given {
            return Looked::of(pool);
        }
        let (slots, registry) = listed(pool)?;
        let sights = self.sights(&slots, &Whose::new(&pool.root, &registry, registry.id));
        Ok(Looked::new(pool, slots, sights))
    }

    fn sights(&mut self, slots: &[Listed], whose: &Whose<'_>) -> BTreeMap<SlotId, Sight> {
        // Each of them is asked: what has happened is told once.
        let happened = self.engines.values().filter(|events| events.happened()).count() > 0;
        let is_followed = self.engines.values().all(|events| !events.has_ended());
        let every = if is_followed { FOLLOWED } else { UNFOLLOWED };
        match &self.asked {
            Some((at, before, seen)) if !happened && *before == slots && at.elapsed() < every => seen.clone(),
            Some(_) | None => {
                // Before the question, so that nothing happens between the two.
                self.follow(slots);
                let seen = sights(slots, whose);
                self.asked = Some((Stopwatch::start(), slots.to_vec(), seen.clone()));
                seen
            }
        }
    }

    fn follow(&mut self, slots: &[Listed]) {
        let wanted = engines(slots);
        self.engines.retain(|engine, events| wanted.contains(engine) && !events.has_ended());
        for engine in wanted {
            if !self.engines.contains_key(&engine)
                && let Some(events) = Events::follow(&engine)
            {
                self.engines.insert(engine, events);
            }
        }
    }
}
