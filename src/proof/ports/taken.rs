//! The ports that are taken, and the search for free ones.

use crate::port::{Port, PortFormula};

/// How many ports a pool can use.
pub(super) const PORT_COUNT: usize = (Port::MAX - Port::MIN) as usize + 1;

/// The ports that are taken, indexed by number.
#[derive(Clone)]
pub(crate) struct TakenPorts(Vec<bool>);

impl TakenPorts {
    pub(crate) fn none() -> Self {
        Self(vec![false; usize::from(Port::MAX) + 1])
    }

    /// Takes all ports of a formula. True if each number is a port and was free.
    pub(crate) fn take(&mut self, formula: PortFormula, slots: &[u16]) -> bool {
        let mut free = true;
        for &slot in slots {
            free &= formula.port(slot).is_some_and(|port| self.take_port(port));
        }
        free
    }

    /// Takes a port. True if it was free.
    pub(crate) fn take_port(&mut self, port: Port) -> bool {
        let place = self.0.get_mut(usize::from(port.get()));
        place.is_some_and(|taken| !std::mem::replace(taken, true))
    }

    /// Whether all numbers of a formula are ports, and all of them are free.
    pub(crate) fn has_free(&self, formula: PortFormula, slots: &[u16]) -> bool {
        let place = |slot: &u16| self.0.get(usize::from(formula.port(*slot)?.get()));
        slots.iter().all(|slot| place(slot) == Some(&false))
    }

    /// The other base nearest to the formula's own that makes all of its ports free.
    pub(crate) fn nearest_base(&self, formula: PortFormula, slots: &[u16]) -> Option<Port> {
        let PortFormula { base, stride } = formula;
        // Each sum counts the taken ports at a number and at whole strides below it. A run of consecutive
        // slots is free if the sums at its two ends are equal.
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
