//! The smallest strides that keep a set of ports apart.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroU16;

use super::range::PortRange;
use crate::port::HostPort;
use crate::slot::SlotId;

/// The largest stride that is looked for.
const WIDEST: u16 = 1000;

/// Gives each wanted range the smallest safe stride. That is its own, unless it collides: then all that
/// collide get the smallest stride that separates them. Together with what is `declared`, which stays, the
/// result passes the proof.
///
/// # Errors
/// The position of a wanted range for which there is no such stride.
pub fn smallest_strides(
    wanted: &[PortRange],
    declared: &[PortRange],
    slots: &BTreeSet<SlotId>,
) -> Result<Vec<PortRange>, usize> {
    let slots: Vec<u16> = std::iter::once(0).chain(slots.iter().map(|slot| slot.get())).collect();
    let taken: BTreeSet<HostPort> = declared.iter().flat_map(|range| ports(*range, &slots)).collect();
    let mut ranges = wanted.to_vec();
    // Ranges that have collided are in the same group, and get the same stride.
    let mut groups: Vec<usize> = (0..ranges.len()).collect();
    while let Some((first, second)) = first_collision(&ranges, &taken, &slots)? {
        let (Some(ours), Some(theirs)) = (groups.get(first).copied(), groups.get(second).copied()) else {
            break;
        };
        let stride = [first, second].map(|index| ranges.get(index).map(|range| range.first.stride));
        let stride = stride.into_iter().flatten().max().unwrap_or(NonZeroU16::MIN);
        let stride = if ours == theirs { stride.checked_add(1).ok_or(second)? } else { stride };
        if stride.get() > WIDEST {
            return Err(second);
        }
        for (group, range) in groups.iter_mut().zip(&mut ranges) {
            if [ours, theirs].contains(group) {
                (*group, *range) = (ours, range.with_stride(stride));
            }
        }
    }
    Ok(ranges)
}

/// The ports of a range in the slots. Numbers that are no ports are missing.
fn ports(range: PortRange, slots: &[u16]) -> impl Iterator<Item = HostPort> {
    range
        .formulas()
        .flatten()
        .flat_map(|formula| slots.iter().filter_map(move |slot| formula.host_port(*slot)))
}

/// The first two ranges that give the same port, by their positions. The same position twice is a range that
/// meets itself, or what is taken.
fn first_collision(
    ranges: &[PortRange],
    taken: &BTreeSet<HostPort>,
    slots: &[u16],
) -> Result<Option<(usize, usize)>, usize> {
    let mut users: HashMap<HostPort, (usize, u16)> = HashMap::new();
    for (index, range) in ranges.iter().enumerate() {
        for &slot in slots {
            for formula in range.formulas() {
                let port = formula.and_then(|formula| formula.host_port(slot)).ok_or(index)?;
                let met = users.insert(port, (index, slot));
                let is_taken = taken.contains(&port);
                // No stride moves the port of slot 0.
                if slot == 0 && (is_taken || met.is_some_and(|(_, slot)| slot == 0)) {
                    return Err(index);
                }
                if is_taken {
                    return Ok(Some((index, index)));
                }
                if let Some((other, _)) = met {
                    return Ok(Some((other, index)));
                }
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::{Port, PortFormula, Protocol};
    use crate::proof::ports::prove;

    fn ranges(bases: &[(u16, u16)], protocol: Protocol) -> Vec<PortRange> {
        let range = |&(base, count): &(u16, u16)| {
            let base = Port::new(base).unwrap();
            PortRange { first: PortFormula { base, stride: NonZeroU16::MIN, protocol }, count }
        };
        bases.iter().map(range).collect()
    }

    fn slots() -> BTreeSet<SlotId> {
        (1..=4).filter_map(SlotId::new).collect()
    }

    /// The strides beside what is declared.
    fn strides(bases: &[(u16, u16)], declared: &[(u16, u16)]) -> Result<Vec<u16>, usize> {
        let declared = ranges(declared, Protocol::Tcp);
        let ranges = smallest_strides(&ranges(bases, Protocol::Tcp), &declared, &slots())?;
        let all = [ranges.clone(), declared].concat();
        assert_eq!(prove(&all, &slots()), Ok(()), "{all:?}");
        Ok(ranges.iter().map(|range| range.first.stride.get()).collect())
    }

    #[test]
    fn the_smallest_strides_separate_colliding_bases_and_leave_the_others() {
        let strides = |bases: &[u16]| {
            let bases: Vec<(u16, u16)> = bases.iter().map(|base| (*base, 1)).collect();
            strides(&bases, &[])
        };
        assert_eq!(strides(&[8000, 5432]), Ok(vec![1, 1]));
        assert_eq!(strides(&[4317, 8000, 4318]), Ok(vec![2, 1, 2]));
        assert_eq!(strides(&[9000, 9001, 9002, 9003]), Ok(vec![4, 4, 4, 4]));
        assert_eq!(strides(&[9000, 9002]), Ok(vec![3, 3]));
        // The third collides only once the others have a stride.
        assert_eq!(strides(&[9000, 9001, 9008]), Ok(vec![3, 3, 3]));
        assert_eq!(strides(&[8000, 65532]), Err(1));
        assert_eq!(strides(&[8000, 8000]), Err(1));
        assert_eq!(strides(&[]), Ok(vec![]));
    }

    #[test]
    fn ranges_and_what_is_declared_are_kept_apart_too() {
        assert_eq!(strides(&[(6005, 11)], &[]), Ok(vec![11]));
        assert_eq!(strides(&[(6005, 3), (6008, 1)], &[]), Ok(vec![4, 4]));
        // 8001 to 8004 are the declared port's slots.
        assert_eq!(strides(&[(7999, 1)], &[(8000, 1)]), Ok(vec![6]));
        assert_eq!(strides(&[(9000, 1), (8002, 1)], &[(8000, 1)]), Err(1), "no stride moves slot 0");
    }

    #[test]
    fn udp_and_tcp_never_meet() {
        let (tcp, udp) = (ranges(&[(5300, 1)], Protocol::Tcp), ranges(&[(5300, 1)], Protocol::Udp));
        let both = smallest_strides(&[tcp.clone(), udp.clone()].concat(), &[], &slots()).unwrap();
        assert_eq!(both.iter().map(|range| range.first.stride.get()).collect::<Vec<_>>(), [1, 1]);
        assert_eq!(smallest_strides(&tcp, &udp, &slots()).unwrap(), tcp);
        assert!(smallest_strides(&[udp.clone(), udp].concat(), &[], &slots()).is_err());
    }

    #[test]
    fn a_stride_has_an_end_and_moves_no_port_of_slot_0() {
        let nearly = |stride: u16| {
            let wanted = ranges(&[(8000, 1), (8000 + stride, 1)], Protocol::Tcp);
            let wanted: Vec<PortRange> =
                wanted.iter().filter_map(|range| Some(range.with_stride(NonZeroU16::new(stride)?))).collect();
            let found = smallest_strides(&wanted, &[], &slots())?;
            Ok::<_, usize>(found.iter().map(|range| range.first.stride.get()).collect::<Vec<_>>())
        };
        assert_eq!(nearly(WIDEST - 1), Ok(vec![WIDEST, WIDEST]));
        assert_eq!(nearly(WIDEST), Err(1));
        // 8004 is the declared port's in slot 4, and the wanted one's in slot 0.
        assert_eq!(strides(&[(8004, 1)], &[(8000, 1)]), Err(0));
        // 8000 is the wanted port's in slot 1, and the declared one's in slot 0.
        assert_eq!(strides(&[(7999, 1)], &[(8000, 1)]), Ok(vec![6]));
        assert_eq!(strides(&[(8000, 1), (8003, 1)], &[]), Ok(vec![2, 2]));
    }
}
