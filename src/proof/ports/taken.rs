//! The ports that are taken, and the search for free ones.

use super::range::PortRange;
use crate::port::{HostPort, Port, Protocol};

#[cfg(test)]
#[path = "taken_tests.rs"]
mod tests;

/// How many ports a pool can use.
pub(super) const PORT_COUNT: usize = (Port::MAX - Port::MIN) as usize + 1;

/// The ports that are taken, of each protocol.
#[derive(Clone)]
pub(crate) struct TakenPorts {
    /// Whether each is taken, indexed by number.
    tcp: Vec<bool>,
    udp: Vec<bool>,
}

impl TakenPorts {
    pub(crate) fn none() -> Self {
        let none = vec![false; usize::from(Port::MAX) + 1];
        Self { tcp: none.clone(), udp: none }
    }

    fn of(&self, protocol: Protocol) -> &Vec<bool> {
        match protocol {
            Protocol::Tcp => &self.tcp,
            Protocol::Udp => &self.udp,
        }
    }

    /// Takes all ports of a range. True if each number is a port and was free.
    pub(crate) fn take(&mut self, range: impl Into<PortRange>, slots: &[u16]) -> bool {
        let range = range.into();
        let mut free = true;
        for formula in range.formulas() {
            for &slot in slots {
                free &= formula
                    .is_some_and(|formula| formula.host_port(slot).is_some_and(|port| self.take_port(port)));
            }
        }
        free
    }

    /// Takes a port. True if it was free.
    pub(crate) fn take_port(&mut self, HostPort { port, protocol }: HostPort) -> bool {
        let ports = match protocol {
            Protocol::Tcp => &mut self.tcp,
            Protocol::Udp => &mut self.udp,
        };
        let place = ports.get_mut(usize::from(port.get()));
        place.is_some_and(|taken| !std::mem::replace(taken, true))
    }

    /// Whether all numbers of a range are ports, and all of them are free.
    pub(crate) fn has_free(&self, range: impl Into<PortRange>, slots: &[u16]) -> bool {
        let range = range.into();
        let ports = self.of(range.first.protocol);
        slots.iter().all(|slot| {
            let start = usize::try_from(range.first.number(*slot)).ok();
            let all = start.and_then(|start| ports.get(start..start + usize::from(range.count)));
            all.is_some_and(|all| !all.contains(&true))
        })
    }

    /// The other base nearest to the range's own that makes all of its ports free.
    pub(crate) fn nearest_base(&self, range: impl Into<PortRange>, slots: &[u16]) -> Option<Port> {
        let range = range.into();
        let (own, stride) = (range.first.base, range.first.stride.get());
        // Each sum counts the taken ports at a number and at whole strides below it. A run of consecutive
        // slots is free if the sums at its two ends are equal.
        let step = u32::from(stride);
        let ports = self.of(range.first.protocol);
        let mut sums: Vec<u32> = Vec::with_capacity(ports.len());
        for (port, taken) in ports.iter().enumerate() {
            let below = port.checked_sub(stride.into()).and_then(|below| sums.get(below));
            sums.push(below.copied().unwrap_or(0) + u32::from(*taken));
        }
        let sum = |number: u32| sums.get(usize::try_from(number).ok()?).copied();
        let runs: Vec<(u16, u16)> = slots
            .chunk_by(|slot, next| slot + 1 == *next)
            .filter_map(|run| Some((*run.first()?, *run.last()?)))
            .collect();
        let is_free = |base: Port| {
            let number = |slot: u16| u32::from(base.get()) + step * u32::from(slot);
            runs.iter().all(|&(first, last)| {
                let before = number(first).checked_sub(step).and_then(sum).unwrap_or(0);
                sum(number(last)) == Some(before)
            })
        };
        // How many bases in a row are free, from each on.
        let mut free_from = vec![0_u32; ports.len()];
        for base in (Port::MIN..=Port::MAX).rev() {
            let after = free_from.get(usize::from(base) + 1).copied().unwrap_or(0);
            if let Some(place) = free_from.get_mut(usize::from(base)) {
                *place = if Port::new(base).is_some_and(is_free) { after + 1 } else { 0 };
            }
        }
        (1..=u16::MAX)
            .flat_map(|distance| [own.get().checked_add(distance), own.get().checked_sub(distance)])
            .filter_map(|base| Port::new(base?))
            .find(|base| free_from.get(usize::from(base.get())) >= Some(&u32::from(range.count)))
    }
}
