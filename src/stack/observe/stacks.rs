//! What Docker says of the stacks of a pool's slots: one list for each engine, and a closer look only where
//! the list cannot say it.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::sight::{Glance, Sight};
use super::was_up::seen;
use crate::claims::listing::{Listed, list as list_slots};
use crate::claims::standing::Standing;
use crate::claims::whereabouts::Following;
use crate::compose::model::Model;
use crate::host::clock::Stopwatch;
use crate::host::container::{Activity, Container, HealthVerdict};
use crate::host::container_row::Row;
use crate::host::containers::{inspect, list};
use crate::host::context::{self, elsewhere, remote_host};
use crate::host::docker::Answer;
use crate::observe::whose::Whose;
use crate::registry::{Elsewhere, Engine, Entry, Registry};
use crate::slot::SlotId;
use crate::stack::gate::state::{Judged, Seen, ServiceState, judge_alone};
use crate::stack::up::addresses::{Reach, Url};
use crate::which::by_worktree::FoundPool;
use crate::which::trust::Trust;

/// Why no engine is asked: which one, the registry would say.
pub(in crate::stack) const UNTRUSTED: &str = "the pool is not applied by you, so Docker is not asked";

/// The longest that Docker is waited for.
pub(in crate::stack) const LONGEST: Duration = Duration::from_secs(2);
/// How long a service is up that counts as settled.
pub(in crate::stack) const SETTLE: Duration = Duration::from_secs(5);
/// A service that is up for longer than this, by the list, is in no crash loop.
const YOUNG: Duration = Duration::from_mins(1);
/// How long it may take from the making of a container to its first start. One that ended and was started
/// again so early is judged by how long it is up since.
const TO_START: Duration = Duration::from_secs(3);

/// The slots of a pool, with what their stacks do.
#[derive(Debug, Clone, PartialEq)]
pub struct Looked {
    /// The slots.
    pub slots: Vec<Listed>,
    /// What the stack of each does.
    pub sights: BTreeMap<SlotId, Sight>,
    /// The stacks on an engine that is not the one in use.
    pub elsewhere: BTreeMap<SlotId, Elsewhere>,
    /// Where the port is reached that the slots are known by.
    pub addresses: BTreeMap<SlotId, Url>,
}

impl Looked {
    /// The slots of a pool, and what their stacks do.
    ///
    /// # Errors
    /// When the registry cannot be trusted.
    pub fn of(pool: &mut FoundPool) -> Result<Self> {
        let (slots, registry) = listed(pool)?;
        let sights = if pool.trust == Trust::Given {
            sights(&slots, &Whose::new(&pool.root, &registry, registry.id))
        } else {
            slots.iter().map(|slot| (slot.slot, unanswered(&slot.entry, UNTRUSTED))).collect()
        };
        Ok(Self::new(pool, slots, sights))
    }

    pub(in crate::stack) fn new(
        pool: &FoundPool,
        slots: Vec<Listed>,
        sights: BTreeMap<SlotId, Sight>,
    ) -> Self {
        let stack = |listed: &Listed| Some((listed.slot, elsewhere(engine_noted(&listed.entry))?));
        let elsewhere = slots.iter().filter_map(stack).collect();
        let addresses = addresses(pool, &slots);
        Self { slots, sights, elsewhere, addresses }
    }

    /// The slots whose stacks were up and are not. Without its worktree, none can be started.
    pub fn were_up(&self) -> impl Iterator<Item = &Listed> {
        let was_up = |listed: &&Listed| matches!(self.sights.get(&listed.slot), Some(Sight::WasUp(_)));
        self.slots.iter().filter(was_up).filter(|listed| listed.standing != Some(Standing::Orphaned))
    }

    /// The slots of whose stacks Docker did not say what they do, and why.
    pub fn unknown(&self) -> impl Iterator<Item = (SlotId, &str)> {
        self.sights.iter().filter_map(|(slot, sight)| match sight {
            Sight::Unknown(why) => Some((*slot, why.as_str())),
            Sight::NeverStarted | Sight::Seen(_) | Sight::WasUp(_) => None,
        })
    }

    /// Whether both say the same, but for how long it has been so.
    pub fn is_as(&self, other: &Self) -> bool {
        let sights = self.sights.values().zip(other.sights.values());
        let is_same = (&self.slots, &self.addresses) == (&other.slots, &other.addresses);
        is_same && sights.into_iter().all(|(one, other)| one.is_as(other))
    }
}

/// Where the port of each slot is reached that the slots are known by.
fn addresses(pool: &FoundPool, slots: &[Listed]) -> BTreeMap<SlotId, Url> {
    let spec = pool.declared.as_ref().map(|declared| &declared.spec);
    let Some(primary) = pool.primary_port() else { return BTreeMap::new() };
    let engines: BTreeSet<Option<&Engine>> = slots.iter().map(|listed| engine_noted(&listed.entry)).collect();
    let hosts: BTreeMap<_, _> = engines.into_iter().map(|engine| (engine, remote_host(engine))).collect();
    let model = Model::default();
    let address = |listed: &Listed| {
        let host = hosts.get(&engine_noted(&listed.entry))?.as_deref();
        let (name, port) = listed.entry.provisioned.host_ports().find(|(name, _)| *name == primary)?;
        Some((listed.slot, Reach { host, spec, model: &model, slot: listed.slot }.url(name, port)))
    };
    slots.iter().filter_map(address).collect()
}

/// The slots of a pool, and its registry.
///
/// # Errors
/// When the registry cannot be trusted.
pub(in crate::stack) fn listed(pool: &mut FoundPool) -> Result<(Vec<Listed>, Arc<Registry>)> {
    let seen = pool.look(Following::EveryHolder)?;
    Ok(seen.map_or_else(Default::default, |seen| (list_slots(&seen), seen.registry)))
}

/// What the stacks of slots do. Docker is asked only if a slot is held or was started, and then at most for
/// two seconds.
pub(in crate::stack) fn sights(slots: &[Listed], whose: &Whose<'_>) -> BTreeMap<SlotId, Sight> {
    let current = LazyCell::new(context::current);
    let mut by_engine: BTreeMap<&Engine, Vec<&Listed>> = BTreeMap::new();
    for listed in slots.iter().filter(|listed| may_run(&listed.entry)) {
        let engine = engine_noted(&listed.entry).unwrap_or_else(|| &current);
        by_engine.entry(engine).or_default().push(listed);
    }
    let mut sights: BTreeMap<SlotId, Sight> =
        slots.iter().map(|listed| (listed.slot, Sight::NeverStarted)).collect();
    thread::scope(|scope| {
        let asked =
            by_engine.iter().map(|(engine, slots)| scope.spawn(move || on_engine(engine, slots, whose)));
        for asked in asked.collect::<Vec<_>>() {
            sights.extend(asked.join().unwrap_or_default());
        }
    });
    sights
}

/// The engines that slots may have containers on.
pub(in crate::stack) fn engines(slots: &[Listed]) -> BTreeSet<Engine> {
    let noted =
        slots.iter().filter(|listed| may_run(&listed.entry)).map(|listed| engine_noted(&listed.entry));
    let noted: BTreeSet<Option<&Engine>> = noted.collect();
    noted.into_iter().map(|engine| engine.cloned().unwrap_or_else(context::current)).collect()
}

/// Whether a slot may have containers. A holder can start them without kinfra, by `kinfra exec`.
pub(in crate::stack) fn may_run(entry: &Entry) -> bool {
    entry.claim.is_some() || entry.started.is_some()
}

/// The engine of a slot's stack. Where nothing was started, the caller's.
pub(in crate::stack) fn engine_of(entry: &Entry) -> Engine {
    engine_noted(entry).cloned().unwrap_or_else(context::current)
}

/// The engine that a slot's stack was started on, if one was.
pub(in crate::stack) fn engine_noted(entry: &Entry) -> Option<&Engine> {
    entry.started.as_ref().and_then(|started| started.engine.as_ref())
}

/// What is said of a slot when Docker does not answer.
pub(in crate::stack) fn unanswered(entry: &Entry, why: &str) -> Sight {
    if entry.started.is_some() { Sight::Unknown(why.to_owned()) } else { Sight::NeverStarted }
}

fn on_engine(engine: &Engine, slots: &[&Listed], whose: &Whose<'_>) -> Vec<(SlotId, Sight)> {
    let clock = Stopwatch::start();
    let rows = match list(Some(engine), LONGEST).needed() {
        Ok(rows) => rows,
        Err(why) => return slots.iter().map(|slot| (slot.slot, unanswered(&slot.entry, &why))).collect(),
    };
    let mut by_slot = by_slot(&rows, whose);
    let mut own = |listed: &Listed| by_slot.remove(&listed.slot).unwrap_or_default();
    let own: Vec<(&Listed, Vec<&Row>)> = slots.iter().map(|listed| (*listed, own(listed))).collect();
    let unclear = own.iter().flat_map(|(_, rows)| rows).filter(|row| is_unclear(row));
    let unclear: Vec<&Row> = unclear.copied().collect();
    // One that went away meanwhile is shown as it was listed.
    let looked = match inspect(Some(engine), &unclear, LONGEST.saturating_sub(clock.elapsed())) {
        Answer::Is(containers) => containers,
        Answer::NoCommand | Answer::NoDaemon | Answer::Silent(_) | Answer::Failed(_) => Vec::new(),
    };
    let looked: BTreeMap<&str, &Container> = looked.iter().map(|one| (one.id.as_str(), one)).collect();
    let glance = |row: &&Row| looked.get(row.id.as_str()).map_or_else(|| of_row(row), |one| Some(of(one)));
    let sight = |(listed, rows): &(&Listed, Vec<&Row>)| match rows.as_slice() {
        [] if listed.entry.started.is_none() => (listed.slot, Sight::NeverStarted),
        rows => (listed.slot, seen(listed, rows.iter().filter_map(glance).collect())),
    };
    own.iter().map(sight).collect()
}

/// The containers of each slot's stack, but for those of `docker compose run`.
pub(in crate::stack) fn by_slot<'a>(rows: &'a [Row], whose: &Whose<'_>) -> BTreeMap<SlotId, Vec<&'a Row>> {
    let mut by_slot: BTreeMap<SlotId, Vec<&Row>> = BTreeMap::new();
    for row in rows.iter().filter(|row| !row.is_one_off) {
        if let Some(slot) = whose.owner(&row.thing()) {
            by_slot.entry(slot).or_default().push(row);
        }
    }
    by_slot
}

/// Whether the list leaves open what a container does: whether it was meant to end, or was killed for its
/// memory; or it is up for another time than it exists, so it may be in a crash loop. Where the engine has
/// another clock than this machine, the two times differ, too.
fn is_unclear(row: &Row) -> bool {
    match row.activity {
        Activity::Running => row.up_for.zip(row.exists_for).is_none_or(|(up_for, exists_for)| {
            up_for < YOUNG && !(up_for..=up_for.saturating_add(TO_START)).contains(&exists_for)
        }),
        Activity::Exited | Activity::Restarting => true,
        Activity::Created | Activity::Paused | Activity::Removing | Activity::Dead => false,
    }
}

/// A container by the list alone.
fn of_row(row: &Row) -> Option<Glance> {
    let state = match (row.activity, row.health) {
        (Activity::Removing, _) => return None,
        (Activity::Created, _) => ServiceState::Created,
        (Activity::Restarting, _) => ServiceState::Looping,
        (Activity::Exited, _) if row.exit_code == Some(0) => ServiceState::Done,
        (Activity::Exited | Activity::Dead, _) => ServiceState::Failed,
        (Activity::Paused, _) | (Activity::Running, HealthVerdict::Starting) => ServiceState::Starting,
        (Activity::Running, HealthVerdict::Unhealthy) => ServiceState::Unhealthy,
        (Activity::Running, HealthVerdict::Healthy) => ServiceState::Healthy,
        (Activity::Running, HealthVerdict::None) if row.up_for < Some(SETTLE) => ServiceState::Starting,
        (Activity::Running, HealthVerdict::None) => ServiceState::Settled,
    };
    Some(Glance {
        service: row.service.clone(),
        state,
        exit_code: row.exit_code,
        is_out_of_memory: false,
        up_for: row.up_for,
    })
}

/// A container that was inspected.
fn of(container: &Container) -> Glance {
    let up_for = container.up_for.unwrap_or_default();
    let seen = Seen { container: container.clone(), up_for, listening: Vec::new() };
    let judged = judge_alone(&seen, SETTLE);
    let up_for = container.is_up().then_some(up_for);
    let Judged { service, state, exit_code, is_out_of_memory, .. } = judged;
    Glance { service, state, exit_code, is_out_of_memory, up_for }
}
