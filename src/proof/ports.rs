//! The port proof: that no two services of a pool ever meet on one port, decided before anything is written.
//!
//! The main stack, slot 0, is part of it. Only so many ports exist, which bounds the work whatever the spec says: a
//! pool either fits into them, or collides or leaves them soon.

use std::cmp::Ordering;
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroU16;

use crate::port::{Port, PortFormula};
use crate::slot::SlotId;

/// Something that keeps a set of formulas from being used for a set of slots. Formulas are named by their position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flaw {
    /// Two formulas give one port.
    Collision {
        /// The formula declared first, and its slot; 0 is the main stack.
        first: (usize, u16),
        /// The formula declared later, and its slot.
        second: (usize, u16),
        /// The port that both give.
        port: Port,
        /// What would settle it; `None` when only fewer slots or fewer ports would.
        remedy: Option<Remedy>,
    },
    /// A formula leaves the range of ports.
    OutOfRange {
        /// The formula.
        formula: usize,
        /// The first slot it gives no port for.
        slot: SlotId,
        /// What it gives instead.
        number: u32,
    },
}

/// What would settle a collision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The smallest stride that, given to both formulas and nothing else changed, passes the whole proof.
    Stride(NonZeroU16),
    /// Where there is no such stride: the base nearest to the second formula's that meets no other formula.
    Base(Port),
}

/// How many collisions are told apart; settling these settles most of the rest.
const COLLISIONS: usize = 20;

/// How many ports a pool can use.
const ROOM: usize = (Port::MAX - Port::MIN) as usize + 1;

/// Proves that `formulas` give every slot of `slots`, and slot 0, ports in range and all different.
///
/// # Errors
/// Each formula that leaves the range, and the first pairs of formulas that meet, each at the first slot where it does.
pub fn prove(formulas: &[PortFormula], slots: &BTreeSet<SlotId>) -> Result<(), Vec<Flaw>> {
    let slots: Vec<u16> = std::iter::once(0).chain(slots.iter().map(|slot| slot.get())).collect();
    let numbered = || formulas.iter().copied().enumerate();
    let mut flaws: Vec<Flaw> =
        numbered().filter_map(|(index, formula)| out_of_range(index, formula, &slots)).collect();
    let uses =
        slots.iter().flat_map(|&slot| numbered().map(move |(index, formula)| (formula, (index, slot))));
    let mut users = HashMap::new();
    let mut met = BTreeSet::new();
    // Of more uses than ports, some have met by then, and the rest would say nothing new.
    for (formula, user) in uses.take(ROOM + 1) {
        let Some(port) = formula.port(user.1) else { continue };
        match users.entry(port) {
            Entry::Vacant(place) => drop(place.insert(user)),
            Entry::Occupied(other) => {
                let (first, second) = (user.min(*other.get()), user.max(*other.get()));
                if met.insert((first.0, second.0)) {
                    let remedy = remedy(formulas, &slots, first.0, second.0);
                    flaws.push(Flaw::Collision { first, second, port, remedy });
                }
                if met.len() == COLLISIONS {
                    break;
                }
            }
        }
    }
    if flaws.is_empty() { Ok(()) } else { Err(flaws) }
}

/// Gives each base the smallest stride that is safe: 1, and to those that would meet, together, the smallest that parts
/// them. What it gives passes the proof.
///
/// # Errors
/// A base, by its position, for which there is no such stride.
pub fn smallest_strides(bases: &[Port], slots: &BTreeSet<SlotId>) -> Result<Vec<PortFormula>, usize> {
    let slots: Vec<u16> = std::iter::once(0).chain(slots.iter().map(|slot| slot.get())).collect();
    let mut strides = vec![NonZeroU16::MIN; bases.len()];
    // Bases that have met have the same number here, and the same stride.
    let mut groups: Vec<usize> = (0..bases.len()).collect();
    loop {
        let formulas =
            bases.iter().zip(&strides).map(|(base, stride)| PortFormula { base: *base, stride: *stride });
        let formulas: Vec<PortFormula> = formulas.collect();
        let Some((first, second)) = first_meeting(&formulas, &slots)? else { return Ok(formulas) };
        let (Some(&ours), Some(&theirs)) = (groups.get(first), groups.get(second)) else {
            return Ok(formulas);
        };
        let stride = strides.get(first).max(strides.get(second)).copied().unwrap_or(NonZeroU16::MIN);
        let stride = if ours == theirs { stride.checked_add(1).ok_or(second)? } else { stride };
        for (group, its_stride) in
            groups.iter_mut().zip(&mut strides).filter(|(group, _)| [ours, theirs].contains(group))
        {
            (*group, *its_stride) = (ours, stride);
        }
    }
}

/// The first two formulas that give one port.
fn first_meeting(formulas: &[PortFormula], slots: &[u16]) -> Result<Option<(usize, usize)>, usize> {
    let mut users = HashMap::new();
    for (index, formula) in formulas.iter().enumerate() {
        for &slot in slots {
            if let Some(other) = users.insert(formula.port(slot).ok_or(index)?, index) {
                return Ok(Some((other, index)));
            }
        }
    }
    Ok(None)
}

fn out_of_range(index: usize, formula: PortFormula, slots: &[u16]) -> Option<Flaw> {
    let first = slots.partition_point(|slot| formula.port(*slot).is_some());
    let slot = SlotId::new(*slots.get(first)?)?;
    Some(Flaw::OutOfRange { formula: index, slot, number: formula.number(slot.get()) })
}

fn remedy(formulas: &[PortFormula], slots: &[u16], first: usize, second: usize) -> Option<Remedy> {
    if formulas.len() * slots.len() > ROOM {
        return None;
    }
    let stride = smallest_stride(formulas, slots, first, second).map(Remedy::Stride);
    stride.or_else(|| nearest_base(formulas, slots, second).map(Remedy::Base))
}

fn smallest_stride(
    formulas: &[PortFormula],
    slots: &[u16],
    first: usize,
    second: usize,
) -> Option<NonZeroU16> {
    let mut taken = Taken::none();
    let mut others = formulas.iter().enumerate().filter(|(index, _)| *index != first && *index != second);
    if !others.all(|(_, formula)| taken.take(*formula, slots)) {
        return None;
    }
    let (first, second, last) = (formulas.get(first)?.base, formulas.get(second)?.base, *slots.last()?);
    (1..=u16::MAX)
        .filter_map(NonZeroU16::new)
        .map(|stride| [first, second].map(|base| PortFormula { base, stride }))
        // A larger stride only leads further out of the range.
        .take_while(|pair| pair.iter().all(|formula| formula.port(last).is_some()))
        .find(|[first, second]| {
            taken.spares(*first, slots) && taken.spares(*second, slots) && apart(*first, *second, slots)
        })
        .map(|[first, _]| first.stride)
}

fn nearest_base(formulas: &[PortFormula], slots: &[u16], moved: usize) -> Option<Port> {
    let mut taken = Taken::none();
    for (_, formula) in formulas.iter().enumerate().filter(|(index, _)| *index != moved) {
        // The others may be flawed among themselves; that is for their own remedies.
        taken.take(*formula, slots);
    }
    taken.nearest_base(*formulas.get(moved)?, slots)
}

/// Which ports are taken, by number.
#[derive(Clone)]
pub(crate) struct Taken(Vec<bool>);

impl Taken {
    pub(crate) fn none() -> Self {
        Self(vec![false; usize::from(Port::MAX) + 1])
    }

    /// Takes all ports of a formula; says whether each was a port and free.
    pub(crate) fn take(&mut self, formula: PortFormula, slots: &[u16]) -> bool {
        let mut free = true;
        for &slot in slots {
            free &= formula.port(slot).is_some_and(|port| self.take_port(port));
        }
        free
    }

    /// Takes a port; says whether it was free.
    pub(crate) fn take_port(&mut self, port: Port) -> bool {
        let place = self.0.get_mut(usize::from(port.get()));
        place.is_some_and(|taken| !std::mem::replace(taken, true))
    }

    /// Whether a formula has all its ports, and none of them is taken.
    pub(crate) fn spares(&self, formula: PortFormula, slots: &[u16]) -> bool {
        let place = |slot: &u16| self.0.get(usize::from(formula.port(*slot)?.get()));
        slots.iter().all(|slot| place(slot) == Some(&false))
    }

    /// The base nearest to a formula's own, other than that, with which none of its ports is taken.
    pub(crate) fn nearest_base(&self, formula: PortFormula, slots: &[u16]) -> Option<Port> {
        let PortFormula { base, stride } = formula;
        // How many ports are taken at each port and at whole strides below it: whether any is taken within a run of
        // slots that follow each other is the difference between its ends.
        let step = u32::from(stride.get());
        let mut sums: Vec<u32> = Vec::with_capacity(self.0.len());
        for (port, taken) in self.0.iter().enumerate() {
            let below = port.checked_sub(stride.get().into()).and_then(|below| sums.get(below));
            sums.push(below.copied().unwrap_or(0) + u32::from(*taken));
        }
        let sum = |number: u32| sums.get(usize::try_from(number).ok()?).copied();
        let runs: Vec<(u16, u16)> = slots
            .chunk_by(|slot, next| slot + 1 == *next)
            .filter_map(|run| Some((*run.first()?, *run.last()?)))
            .collect();
        let is_free = |base: &Port| {
            let formula = PortFormula { base: *base, stride };
            runs.iter().all(|&(first, last)| {
                let before = formula.number(first).checked_sub(step).and_then(sum).unwrap_or(0);
                sum(formula.number(last)) == Some(before)
            })
        };
        (1..=u16::MAX)
            .flat_map(|distance| [base.get().checked_add(distance), base.get().checked_sub(distance)])
            .filter_map(|base| Port::new(base?))
            .find(is_free)
    }
}

/// Whether two formulas never give the same port: merges their two ascending runs of ports.
fn apart(first: PortFormula, second: PortFormula, slots: &[u16]) -> bool {
    let (mut ours, mut theirs) = (slots.iter().peekable(), slots.iter().peekable());
    while let (Some(&&our), Some(&&their)) = (ours.peek(), theirs.peek()) {
        match first.number(our).cmp(&second.number(their)) {
            Ordering::Less => ours.next(),
            Ordering::Greater => theirs.next(),
            Ordering::Equal => return false,
        };
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formulas(list: &[(u16, u16)]) -> Vec<PortFormula> {
        let formula = |&(base, stride)| PortFormula {
            base: Port::new(base).unwrap(),
            stride: NonZeroU16::new(stride).unwrap(),
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
    fn the_old_otlp_formulas_meet_and_stride_2_parts_them() {
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
        // Two that are the same stay the same with any stride.
        assert_eq!(flaws(&[(8000, 1), (8000, 1)], 1..=2), [collision((0, 0), (1, 0), 8000, base(8003))]);
        // Below is as good as above, where it is nearer.
        assert_eq!(
            flaws(&[(8000, 1), (8001, 1), (8000, 1)], []),
            [collision((0, 0), (2, 0), 8000, base(7999))]
        );
        // Nothing is below 1024, and nothing above 65535.
        assert_eq!(flaws(&[(1024, 1), (1024, 1)], 1..=3), [collision((0, 0), (1, 0), 1024, base(1028))]);
        assert_eq!(flaws(&[(65532, 1), (65532, 1)], 1..=3), [collision((0, 0), (1, 0), 65532, base(65528))]);
    }

    #[test]
    fn what_is_more_than_there_are_ports_needs_fewer() {
        let flaws = flaws(&[(1024, 1), (1024, 1)], 1..=40000);
        assert_eq!(flaws, [collision((0, 0), (1, 0), 1024, None)]);
    }

    #[test]
    fn a_formula_that_leaves_the_range_is_named_with_the_first_slot_where_it_does() {
        let left = |slot, number| Flaw::OutOfRange { formula: 0, slot: SlotId::new(slot).unwrap(), number };
        assert_eq!(flaws(&[(65000, 10)], 1..=53), []);
        assert_eq!(flaws(&[(65000, 10)], 1..=54), [left(54, 65540)]);
        assert_eq!(flaws(&[(65000, 10)], [1, 60, 70]), [left(60, 65600)]);
        assert_eq!(flaws(&[(u16::MAX, u16::MAX)], [SlotId::MAX]), [left(SlotId::MAX, 4_227_793_920)]);
    }

    #[test]
    fn the_smallest_strides_part_those_that_would_meet_and_no_others() {
        let strides = |bases: &[u16]| -> Result<Vec<u16>, usize> {
            let bases: Vec<Port> = bases.iter().map(|base| Port::new(*base).unwrap()).collect();
            let slots: BTreeSet<SlotId> = (1..=4).filter_map(SlotId::new).collect();
            let formulas = smallest_strides(&bases, &slots)?;
            assert_eq!(prove(&formulas, &slots), Ok(()), "{formulas:?}");
            Ok(formulas.iter().map(|formula| formula.stride.get()).collect())
        };
        assert_eq!(strides(&[8000, 5432]), Ok(vec![1, 1]));
        assert_eq!(strides(&[4317, 8000, 4318]), Ok(vec![2, 1, 2]));
        assert_eq!(strides(&[9000, 9001, 9002, 9003]), Ok(vec![4, 4, 4, 4]));
        assert_eq!(strides(&[9000, 9002]), Ok(vec![3, 3]));
        // The third is in the way only once the others have a stride.
        assert_eq!(strides(&[9000, 9001, 9008]), Ok(vec![3, 3, 3]));
        assert_eq!(strides(&[8000, 65532]), Err(1));
        assert!(strides(&[8000, 8000]).is_err());
        assert_eq!(strides(&[]), Ok(vec![]));
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
    fn every_pair_that_meets_is_named_up_to_a_number() {
        let pairs = |flaws: Vec<Flaw>| -> Vec<(usize, usize)> {
            let pair = |flaw: &Flaw| match flaw {
                Flaw::Collision { first, second, .. } => (first.0, second.0),
                Flaw::OutOfRange { .. } => panic!("{flaw:?}"),
            };
            flaws.iter().map(pair).collect()
        };
        assert_eq!(pairs(flaws(&[(8000, 1), (8001, 1), (8002, 1)], 1..=2)), [(0, 1), (1, 2), (0, 2)]);
        assert_eq!(pairs(flaws(&[(8000, 1); 2000], 1..=2)).len(), COLLISIONS);
    }

    /// What a valid pool is, in as few words as possible.
    fn is_valid(formulas: &[PortFormula], slots: &[u16]) -> bool {
        let numbers = formulas.iter().flat_map(|formula| slots.iter().map(|slot| formula.number(*slot)));
        let numbers: Vec<u32> = numbers.collect();
        numbers
            .iter()
            .enumerate()
            .all(|(index, number)| (1024..=65535).contains(number) && !numbers[..index].contains(number))
    }

    /// Compares the proof and its remedies with trying everything in order.
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
                let moved = PortFormula { base: *base, stride: moved.stride };
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
    fn small_pools_are_judged_as_trying_everything_judges_them() {
        let all = [1024, 1025, 1027, 65530, 65535].map(|base| [(base, 1), (base, 3)]).concat();
        for first in &all {
            for second in &all {
                for slots in [&[][..], &[1], &[1, 3], &[1, 2, 3, 4, 5]] {
                    check_by_force(&[*first, *second], slots);
                }
            }
        }
    }
}
