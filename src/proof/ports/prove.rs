//! Finds the collisions of port formulas, and the formulas that leave the range of ports.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

use super::range::PortRange;
use super::remedy::{Remedy, remedy};
use super::taken::PORT_COUNT;
use crate::port::Port;
use crate::slot::SlotId;

/// A reason why a set of formulas does not work for a set of slots. A formula may be that of several ports in
/// a row. Formulas are named by their position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flaw {
    /// Two formulas give one port, or one formula of several ports gives two slots the same one.
    Collision {
        /// The formula that is declared first, and its slot. Slot 0 is the main stack.
        first: (usize, u16),
        /// The formula that is declared later, and its slot.
        second: (usize, u16),
        /// The port that both formulas give.
        port: Port,
        /// What would settle it. `None` if only fewer slots or fewer ports would.
        remedy: Option<Remedy>,
    },
    /// A formula leaves the range of ports.
    OutOfRange {
        /// The formula.
        formula: usize,
        /// The first slot for which it gives no port.
        slot: SlotId,
        /// The number that it gives instead; of several ports, the last one's.
        number: u32,
    },
}

/// The most collisions that are reported. Settling these settles most of the rest.
const MOST_COLLISIONS: usize = 20;

/// Proves that the ports of `slots` and of slot 0 are all in range and all different.
///
/// # Errors
/// Each formula that leaves the range, and up to 20 pairs of formulas that collide. Each is reported for the
/// first slot where it happens.
pub fn prove<F: Copy + Into<PortRange>>(formulas: &[F], slots: &BTreeSet<SlotId>) -> Result<(), Vec<Flaw>> {
    let ranges: Vec<PortRange> = formulas.iter().map(|formula| (*formula).into()).collect();
    prove_ranges(&ranges, slots)
}

fn prove_ranges(ranges: &[PortRange], slots: &BTreeSet<SlotId>) -> Result<(), Vec<Flaw>> {
    let slots: Vec<u16> = std::iter::once(0).chain(slots.iter().map(|slot| slot.get())).collect();
    let numbered = || ranges.iter().copied().enumerate();
    let mut flaws: Vec<Flaw> =
        numbered().filter_map(|(index, range)| out_of_range(index, range, &slots)).collect();
    let uses = slots.iter().flat_map(|&slot| {
        numbered()
            .flat_map(move |(index, range)| range.formulas().map(move |formula| (formula, (index, slot))))
    });
    let mut users = HashMap::new();
    let mut met = BTreeSet::new();
    // Once there are more uses than ports of both protocols, some have collided. The rest would add nothing.
    for (formula, user) in uses.take(2 * PORT_COUNT + 1) {
        let Some(host_port) = formula.and_then(|formula| formula.host_port(user.1)) else { continue };
        match users.entry(host_port) {
            Entry::Vacant(place) => drop(place.insert(user)),
            Entry::Occupied(other) => {
                let (first, second) = (user.min(*other.get()), user.max(*other.get()));
                if met.insert((first.0, second.0)) {
                    let remedy = remedy(ranges, &slots, first.0, second.0);
                    let port = host_port.port;
                    flaws.push(Flaw::Collision { first, second, port, remedy });
                }
                if met.len() == MOST_COLLISIONS {
                    break;
                }
            }
        }
    }
    if flaws.is_empty() { Ok(()) } else { Err(flaws) }
}

fn out_of_range(index: usize, range: PortRange, slots: &[u16]) -> Option<Flaw> {
    let first = slots.partition_point(|slot| range.is_in_range(*slot));
    let slot = SlotId::new(*slots.get(first)?)?;
    Some(Flaw::OutOfRange { formula: index, slot, number: range.last_number(slot.get()) })
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use super::*;
    use crate::port::{PortFormula, Protocol};

    fn formulas(list: &[(u16, u16)]) -> Vec<PortFormula> {
        let formula = |&(base, stride)| PortFormula {
            base: Port::new(base).unwrap(),
            stride: NonZeroU16::new(stride).unwrap(),
            protocol: Protocol::Tcp,
        };
        list.iter().map(formula).collect()
    }

    fn flaws(list: &[(u16, u16)], slots: impl IntoIterator<Item = u16>) -> Vec<Flaw> {
        let slots = slots.into_iter().map(|slot| SlotId::new(slot).unwrap()).collect();
        prove(&formulas(list), &slots).err().unwrap_or_default()
    }

    fn collision(first: (usize, u16), second: (usize, u16), port: u16, remedy: Option<Remedy>) -> Flaw {
        Flaw::Collision { first, second, port: Port::new(port).unwrap(), remedy }
    }

    fn stride(stride: u16) -> Option<Remedy> {
        NonZeroU16::new(stride).map(Remedy::Stride)
    }

    fn base(base: u16) -> Option<Remedy> {
        Port::new(base).map(Remedy::Base)
    }

    #[test]
    fn the_old_otlp_formulas_collide_and_stride_2_separates_them() {
        let mut old_pool = [(8000, 1), (5432, 1), (3000, 1), (16686, 1), (9090, 1), (4317, 1), (4318, 1)];
        assert_eq!(flaws(&old_pool, 1..=6), [collision((5, 1), (6, 0), 4318, stride(2))]);
        old_pool[5].1 = 2;
        old_pool[6].1 = 2;
        assert_eq!(flaws(&old_pool, 1..=6), []);
    }

    #[test]
    fn the_suggested_stride_clears_the_other_formulas_too() {
        // Stride 2 would put the first on 4321, stride 3 the second on it.
        let list = [(4317, 1), (4318, 1), (4321, 10)];
        assert_eq!(flaws(&list, 1..=2)[0], collision((0, 1), (1, 0), 4318, stride(5)));
    }

    #[test]
    fn where_no_stride_works_the_nearest_free_base_is_suggested() {
        // Equal formulas stay equal with any stride.
        assert_eq!(flaws(&[(8000, 1), (8000, 1)], 1..=2), [collision((0, 0), (1, 0), 8000, base(8003))]);
        // A base below counts if it is nearer than one above.
        assert_eq!(
            flaws(&[(8000, 1), (8001, 1), (8000, 1)], []),
            [collision((0, 0), (2, 0), 8000, base(7999))]
        );
        // No port is below 1024 or above 65535.
        assert_eq!(flaws(&[(1024, 1), (1024, 1)], 1..=3), [collision((0, 0), (1, 0), 1024, base(1028))]);
        assert_eq!(flaws(&[(65532, 1), (65532, 1)], 1..=3), [collision((0, 0), (1, 0), 65532, base(65528))]);
    }

    #[test]
    fn more_slots_than_ports_have_no_remedy() {
        let flaws = flaws(&[(1024, 1), (1024, 1)], 1..=40000);
        assert_eq!(flaws, [collision((0, 0), (1, 0), 1024, None)]);
    }

    #[test]
    fn a_formula_that_leaves_the_range_is_reported_for_the_first_slot_outside() {
        let left = |slot, number| Flaw::OutOfRange { formula: 0, slot: SlotId::new(slot).unwrap(), number };
        assert_eq!(flaws(&[(65000, 10)], 1..=53), []);
        assert_eq!(flaws(&[(65000, 10)], 1..=54), [left(54, 65540)]);
        assert_eq!(flaws(&[(65000, 10)], [1, 60, 70]), [left(60, 65600)]);
        assert_eq!(flaws(&[(u16::MAX, u16::MAX)], [SlotId::MAX]), [left(SlotId::MAX, 4_227_793_920)]);
    }

    #[test]
    fn a_pool_can_be_as_large_as_ports_allow() {
        assert_eq!(flaws(&[(8000, 1)], 1..=57535), []);
        assert_eq!(flaws(&[(1024, 1)], 1..=SlotId::MAX), []);
        // Every other port, and all between them.
        assert_eq!(flaws(&[(1024, 2), (1025, 2)], 1..=32255), []);
        assert_eq!(flaws(&[(1024, 2), (1025, 2)], 1..=32256).len(), 2);
    }

    #[test]
    fn every_colliding_pair_is_reported_up_to_a_limit() {
        let pairs = |flaws: Vec<Flaw>| -> Vec<(usize, usize)> {
            let pair = |flaw: &Flaw| match flaw {
                Flaw::Collision { first, second, .. } => (first.0, second.0),
                Flaw::OutOfRange { .. } => panic!("{flaw:?}"),
            };
            flaws.iter().map(pair).collect()
        };
        assert_eq!(pairs(flaws(&[(8000, 1), (8001, 1), (8002, 1)], 1..=2)), [(0, 1), (1, 2), (0, 2)]);
        assert_eq!(pairs(flaws(&[(8000, 1); 2000], 1..=2)).len(), MOST_COLLISIONS);
    }

    /// The definition of a valid pool, as short as possible.
    fn is_valid(formulas: &[PortFormula], slots: &[u16]) -> bool {
        let numbers = formulas.iter().flat_map(|formula| slots.iter().map(|slot| formula.number(*slot)));
        let numbers: Vec<u32> = numbers.collect();
        numbers
            .iter()
            .enumerate()
            .all(|(index, number)| (1024..=65535).contains(number) && !numbers[..index].contains(number))
    }

    /// Compares the proof and its remedies with a search by brute force.
    fn check_by_force(list: &[(u16, u16)], slots: &[u16]) {
        let formulas = formulas(list);
        let flaws = flaws(list, slots.iter().copied());
        let slots: Vec<u16> = std::iter::once(0).chain(slots.iter().copied()).collect();
        assert_eq!(flaws.is_empty(), is_valid(&formulas, &slots), "{list:?} on {slots:?}: {flaws:?}");
        for flaw in flaws {
            let Flaw::Collision { first, second, port, remedy } = flaw else { continue };
            let ports = [first, second].map(|(index, slot)| formulas[index].port(slot));
            assert_eq!(ports, [Some(port), Some(port)], "{list:?} on {slots:?}");
            let with_stride = |stride: NonZeroU16| {
                let mut changed = formulas.clone();
                (changed[first.0].stride, changed[second.0].stride) = (stride, stride);
                changed
            };
            let smallest =
                (1..=100).filter_map(NonZeroU16::new).find(|stride| is_valid(&with_stride(*stride), &slots));
            let moved = formulas[second.0];
            let is_free = |base: &Port| {
                let moved = PortFormula { base: *base, ..moved };
                let mut others = formulas.iter().enumerate().filter(|(index, _)| *index != second.0);
                is_valid(&[moved], &slots)
                    && others.all(|(_, other)| {
                        let theirs: Vec<u32> = slots.iter().map(|slot| other.number(*slot)).collect();
                        slots.iter().all(|slot| !theirs.contains(&moved.number(*slot)))
                    })
            };
            let base = moved.base.get();
            let nearby = (base - 100..base).chain(base..=base.saturating_add(100)).filter_map(Port::new);
            let nearest =
                nearby.filter(is_free).min_by_key(|found| (found.get().abs_diff(base), found.get() < base));
            let expected = smallest.map(Remedy::Stride).or(nearest.map(Remedy::Base));
            assert_eq!(remedy, expected, "{list:?} on {slots:?}: {first:?} and {second:?}");
        }
    }

    #[test]
    fn small_pools_get_the_answers_of_brute_force() {
        let all = [1024, 1025, 1027, 65530, 65535].map(|base| [(base, 1), (base, 3)]).concat();
        for first in &all {
            for second in &all {
                for slots in [&[][..], &[1], &[1, 3], &[1, 2, 3, 4, 5]] {
                    check_by_force(&[*first, *second], slots);
                }
            }
        }
    }

    #[test]
    fn of_very_many_collisions_some_are_reported() {
        let bases: Vec<(u16, u16)> = (0..30).map(|_| (8000, 1)).collect();
        for (count, found) in [(2, 1), (5, 4), (21, 20), (30, 20)] {
            assert_eq!(flaws(&bases[..count], [1]).len(), found, "{count} formulas");
        }
    }

    #[test]
    fn a_pool_may_use_every_port() {
        // Two formulas in 32,256 slots, the main stack included, have all 64,512 ports.
        let slots = || 1..=32_255_u16;
        assert_eq!(flaws(&[(1024, 2), (1025, 2)], slots()), []);
        let remedy = NonZeroU16::new(2).map(Remedy::Stride);
        assert_eq!(flaws(&[(1024, 1), (1025, 1)], slots()), [collision((0, 1), (1, 0), 1025, remedy)]);
    }
}
