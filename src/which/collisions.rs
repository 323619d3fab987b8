//! Which ports and which name two pools would share, and which changes separate them. Pure.
//!
//! Pools of one spec belong to one project, and a second root of the same spec shares its ports on purpose.
//! Slot 0 is each project's own stack, and two of those may have the same ports.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU16;

use super::index::IndexEntry;
use crate::identifier::PortName;
use crate::port::{HostPort, PortFormula};
use crate::proof::ports::{Remedy, TakenPorts};
use crate::slot::SlotId;

/// Another pool on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// What it declared when it was last applied.
    pub entry: IndexEntry,
    /// The ports that its registry holds. Slots that are no longer declared keep theirs.
    pub held: Vec<(PortName, SlotId, HostPort)>,
    /// Whether it is there.
    pub presence: Presence,
}

/// Whether another pool is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It is.
    There,
    /// Its disk or the directory of its root is away. It keeps the ports that it declared.
    Away,
    /// Its disk does not answer. The same is true of it.
    Silent,
}

/// A port that two pools would use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collision<'a> {
    /// The port.
    pub port: HostPort,
    /// What it is for in the pool that is planned, and in which slot; 0 is the main stack.
    pub ours: (&'a PortName, u16),
    /// The same of the other pool.
    pub theirs: (&'a PortName, u16),
    /// The other pool.
    pub other: &'a IndexEntry,
    /// What settles it, together with the remedies of the earlier collisions. `None` if only fewer slots or
    /// ports would.
    pub remedy: Option<Remedy>,
}

impl Collision<'_> {
    /// Which ports are the same.
    pub fn message(&self) -> String {
        let Self { port, ours, theirs: _, other, remedy: _ } = self;
        let (origin, root) = (&other.origin, other.root.escape_debug());
        format!(
            "port {port} is `{}` of {} and also {} in `{root}`, declared by {origin}",
            ours.0,
            stack(ours.1),
            self.user()
        )
    }

    /// Whose port it is in the other pool.
    pub fn user(&self) -> String {
        let (of, pool) = (stack(self.theirs.1), self.other.pool.escape_debug());
        format!("`{}` of {of} of the pool `{pool}`", self.theirs.0)
    }

    /// What to do about it.
    pub fn help(&self) -> String {
        let name = self.ours.0;
        match self.remedy {
            Some(Remedy::Stride(stride)) => format!("the smallest stride that frees `{name}` is {stride}"),
            Some(Remedy::Base(base)) => {
                format!("no stride frees `{name}`; the nearest base that does is {base}")
            }
            None => {
                format!("no stride and no base frees `{name}`: declare fewer slots or ports, there or here")
            }
        }
    }
}

fn stack(slot: u16) -> String {
    match slot {
        0 => "the main stack (slot 0)".to_owned(),
        slot => format!("slot {slot}"),
    }
}

/// The ports that a pool would share with others: for each of its formulas and each of the others, the first.
pub fn collisions<'a>(pool: &'a IndexEntry, others: &'a [Neighbour]) -> Vec<Collision<'a>> {
    let others: Vec<&Neighbour> =
        others.iter().filter(|other| !other.entry.origin.is_same_spec(&pool.origin)).collect();
    let mut users: HashMap<HostPort, (&PortName, u16, &IndexEntry)> = HashMap::new();
    // A port may belong to a slot of one pool and the main stack of another. It counts as the slot's, so
    // slots come last.
    for Neighbour { entry, held, presence: _ } in &others {
        let uses = entry.numbers().flat_map(|slot| {
            entry.ports.iter().filter_map(move |(name, formula)| Some((formula.host_port(slot)?, name, slot)))
        });
        let held = held.iter().map(|(name, slot, port)| (*port, name, slot.get()));
        for (port, name, slot) in uses.chain(held) {
            let user = users.entry(port).or_insert((name, slot, entry));
            if user.1 == 0 {
                *user = (name, slot, entry);
            }
        }
    }
    if users.is_empty() {
        return Vec::new();
    }
    let mut formulas = pool.ports.clone();
    let mut collisions = Vec::new();
    for (name, formula) in &pool.ports {
        let mut met: BTreeMap<&str, Collision<'a>> = BTreeMap::new();
        for slot in pool.numbers() {
            let Some((port, (their_name, their_slot, other))) =
                formula.host_port(slot).and_then(|port| Some((port, *users.get(&port)?)))
            else {
                continue;
            };
            if (slot, their_slot) != (0, 0) {
                met.entry(&other.root).or_insert(Collision {
                    port,
                    ours: (name, slot),
                    theirs: (their_name, their_slot),
                    other,
                    remedy: None,
                });
            }
        }
        if met.is_empty() {
            continue;
        }
        let base_is_taken = met.values().any(|collision| collision.ours.1 == 0);
        let remedy = remedy(name, base_is_taken, &formulas, pool, users.keys());
        if let (Some(remedy), Some(formula)) = (remedy, formulas.get_mut(name)) {
            match remedy {
                Remedy::Stride(stride) => formula.stride = stride,
                Remedy::Base(base) => formula.base = base,
            }
        }
        collisions.extend(met.into_values().map(|collision| Collision { remedy, ..collision }));
    }
    collisions
}

/// The other pools of a pool's name. Their slots and its own would be the same Compose projects.
pub fn namesakes<'a>(pool: &IndexEntry, others: &'a [Neighbour]) -> Vec<&'a IndexEntry> {
    others.iter().map(|other| &other.entry).filter(|other| other.pool == pool.pool).collect()
}

/// What frees one formula from the ports of other pools and keeps it apart from the pool's own.
fn remedy<'a>(
    name: &PortName,
    base_is_taken: bool,
    formulas: &BTreeMap<PortName, PortFormula>,
    pool: &IndexEntry,
    others: impl Iterator<Item = &'a HostPort>,
) -> Option<Remedy> {
    let slots: Vec<u16> = pool.numbers().collect();
    let mut taken = TakenPorts::none();
    others.for_each(|port| _ = taken.take_port(*port));
    for (_, formula) in formulas.iter().filter(|(other, _)| *other != name) {
        taken.take(*formula, &slots);
    }
    let formula = *formulas.get(name)?;
    let (last, above_main) = (*slots.last()?, slots.get(1..)?);
    let stride = (1..=u16::MAX)
        .filter(|_| !base_is_taken)
        .filter_map(NonZeroU16::new)
        .map(|stride| PortFormula { stride, ..formula })
        // A larger stride only leads further out of the range.
        .take_while(|formula| formula.port(last).is_some())
        .find(|formula| taken.has_free(*formula, above_main))
        .map(|formula| Remedy::Stride(formula.stride));
    stride.or_else(|| taken.nearest_base(formula, &slots).map(Remedy::Base))
}

/// The pool that the same spec declared under another root. While it exists, an apply would make a second
/// one.
pub fn moved_from<'a>(pool: &IndexEntry, others: &'a [Neighbour]) -> Option<&'a IndexEntry> {
    let mut declared = others.iter().map(|other| &other.entry).filter(|_| pool.root_is_declared);
    declared.find(|other| other.root_is_declared && other.origin.is_same_spec(&pool.origin))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::{Port, Protocol};
    use crate::which::index::fixture::pool;

    fn beside(entry: IndexEntry) -> Vec<Neighbour> {
        vec![Neighbour { entry, held: Vec::new(), presence: Presence::There }]
    }

    #[test]
    fn only_main_stacks_may_share_ports() {
        let met = |ours: &IndexEntry, theirs: IndexEntry| {
            let others = beside(theirs);
            let met = collisions(ours, &others);
            met.iter()
                .map(|met| (met.port.port.get(), met.ours.1, met.theirs.1, met.remedy))
                .collect::<Vec<_>>()
        };
        let ours = pool("ours", &[("web", 8000, 10)], "1-2");
        let stride = |stride| NonZeroU16::new(stride).map(Remedy::Stride);
        let base = |base| Port::new(base).map(Remedy::Base);
        assert_eq!(met(&ours, pool("theirs", &[("api", 8000, 1)], "1-9")), []);
        assert_eq!(met(&ours, pool("theirs", &[("api", 8000, 1)], "1-10")), [(8010, 1, 10, stride(11))]);
        assert_eq!(met(&ours, pool("theirs", &[("api", 8020, 1)], "1-2")), [(8020, 2, 0, stride(1))]);
        assert_eq!(met(&ours, pool("theirs", &[("api", 7999, 1)], "1")), [(8000, 0, 1, base(8001))]);
        assert_eq!(met(&ours, pool("ours", &[("api", 8000, 1)], "1-10")), []);
        let mut udp = pool("theirs", &[("api", 8000, 1)], "1-10");
        udp.ports.values_mut().for_each(|formula| formula.protocol = Protocol::Udp);
        assert_eq!(met(&ours, udp), []);
    }

    #[test]
    fn a_port_of_a_slot_and_of_another_main_stack_counts_as_the_slots() {
        let ours = pool("ours", &[("web", 8001, 10)], "1");
        let main = beside(pool("main", &[("api", 8001, 100)], "1"));
        let slot = beside(pool("slot", &[("api", 8000, 1)], "1"));
        for others in [[main.clone(), slot.clone()].concat(), [slot, main].concat()] {
            let met: Vec<_> =
                collisions(&ours, &others).iter().map(|met| (met.ours.1, met.theirs.1)).collect();
            assert_eq!(met, [(0, 1)]);
        }
    }

    #[test]
    fn pools_of_one_name_are_namesakes_whatever_declares_them() {
        let ours = pool("ours", &[("web", 8000, 1)], "1-2");
        let mut theirs = pool("theirs", &[("web", 9000, 1)], "7");
        assert_eq!(namesakes(&ours, &beside(theirs.clone())), Vec::<&IndexEntry>::new());
        theirs.pool = ours.pool.clone();
        assert_eq!(namesakes(&ours, &beside(theirs.clone())), [&theirs]);
    }

    #[test]
    fn remedies_done_together_leave_no_collision() {
        let mut cases = 0;
        for (base, stride) in [(5000, 1), (5001, 3), (5003, 2), (65_000, 5), (1024, 1)] {
            for theirs in [(4999, 1), (5000, 2), (5010, 1), (64_990, 7)] {
                let mut ours = pool(
                    "ours",
                    &[("a", base, stride), ("b", base + 300, stride), ("c", base + 500, 1)],
                    "1-6,9",
                );
                let others =
                    beside(pool("theirs", &[("x", theirs.0, theirs.1), ("y", theirs.0 + 300, 1)], "1-8"));
                let fixes: Vec<_> = collisions(&ours, &others)
                    .iter()
                    .map(|met| (met.ours.0.clone(), met.remedy.unwrap()))
                    .collect();
                cases += fixes.len();
                for (name, remedy) in fixes {
                    let formula = ours.ports.get_mut(&name).unwrap();
                    match remedy {
                        Remedy::Stride(stride) => formula.stride = stride,
                        Remedy::Base(base) => formula.base = base,
                    }
                }
                assert_eq!(collisions(&ours, &others), []);
                let formulas: Vec<_> = ours.ports.values().copied().collect();
                assert_eq!(crate::proof::ports::prove(&formulas, &ours.slots), Ok(()));
            }
        }
        assert!(cases > 10, "only {cases} collisions");
    }
}
