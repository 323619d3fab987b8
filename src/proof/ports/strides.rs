//! The smallest strides that keep a set of bases apart.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroU16;

use crate::port::{Port, PortFormula, Protocol};
use crate::slot::SlotId;

/// Gives each base, a TCP or a UDP port, the smallest safe stride. That is 1, unless bases collide: then all
/// of these get the smallest stride that separates them. The result passes the proof.
///
/// # Errors
/// The position of a base for which there is no such stride.
pub fn smallest_strides(
    bases: &[(Port, Protocol)],
    slots: &BTreeSet<SlotId>,
) -> Result<Vec<PortFormula>, usize> {
    let slots: Vec<u16> = std::iter::once(0).chain(slots.iter().map(|slot| slot.get())).collect();
    let mut strides = vec![NonZeroU16::MIN; bases.len()];
    // Bases that have collided are in the same group, and get the same stride.
    let mut groups: Vec<usize> = (0..bases.len()).collect();
    loop {
        let formula = |((base, protocol), stride): (&(Port, Protocol), &NonZeroU16)| PortFormula {
            base: *base,
            stride: *stride,
            protocol: *protocol,
        };
        let formulas: Vec<PortFormula> = bases.iter().zip(&strides).map(formula).collect();
        let Some((first, second)) = first_collision(&formulas, &slots)? else { return Ok(formulas) };
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

/// The first two formulas that give the same port.
fn first_collision(formulas: &[PortFormula], slots: &[u16]) -> Result<Option<(usize, usize)>, usize> {
    let mut users = HashMap::new();
    for (index, formula) in formulas.iter().enumerate() {
        for &slot in slots {
            if let Some(other) = users.insert(formula.host_port(slot).ok_or(index)?, index) {
                return Ok(Some((other, index)));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::ports::prove;

    #[test]
    fn the_smallest_strides_separate_colliding_bases_and_leave_the_others() {
        let strides = |bases: &[u16]| -> Result<Vec<u16>, usize> {
            let tcp = |base: &u16| (Port::new(*base).unwrap(), Protocol::Tcp);
            let bases: Vec<(Port, Protocol)> = bases.iter().map(tcp).collect();
            let slots: BTreeSet<SlotId> = (1..=4).filter_map(SlotId::new).collect();
            let formulas = smallest_strides(&bases, &slots)?;
            assert_eq!(prove(&formulas, &slots), Ok(()), "{formulas:?}");
            Ok(formulas.iter().map(|formula| formula.stride.get()).collect())
        };
        assert_eq!(strides(&[8000, 5432]), Ok(vec![1, 1]));
        assert_eq!(strides(&[4317, 8000, 4318]), Ok(vec![2, 1, 2]));
        assert_eq!(strides(&[9000, 9001, 9002, 9003]), Ok(vec![4, 4, 4, 4]));
        assert_eq!(strides(&[9000, 9002]), Ok(vec![3, 3]));
        // The third collides only once the others have a stride.
        assert_eq!(strides(&[9000, 9001, 9008]), Ok(vec![3, 3, 3]));
        assert_eq!(strides(&[8000, 65532]), Err(1));
        assert!(strides(&[8000, 8000]).is_err());
        assert_eq!(strides(&[]), Ok(vec![]));
    }

    #[test]
    fn udp_and_tcp_never_meet() {
        let dns = Port::new(5300).unwrap();
        let slots = (1..=4).filter_map(SlotId::new).collect();
        let formulas = smallest_strides(&[(dns, Protocol::Tcp), (dns, Protocol::Udp)], &slots).unwrap();
        assert_eq!(formulas.iter().map(|formula| formula.stride.get()).collect::<Vec<_>>(), [1, 1]);
        assert_eq!(prove(&formulas, &slots), Ok(()));
        assert!(smallest_strides(&[(dns, Protocol::Udp), (dns, Protocol::Udp)], &slots).is_err());
    }
}
