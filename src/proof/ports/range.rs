//! Ports in a row.

use std::num::NonZeroU16;

use crate::port::{Port, PortFormula};

/// The formulas of several ports in a row: each base is one above the base before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    /// The formula of the first port.
    pub first: PortFormula,
    /// How many ports there are; at least 1.
    pub count: u16,
}

impl From<PortFormula> for PortRange {
    fn from(first: PortFormula) -> Self {
        Self { first, count: 1 }
    }
}

impl PortRange {
    /// The formula of each port, in order. `None` for each that has no base.
    pub fn formulas(self) -> impl Iterator<Item = Option<PortFormula>> {
        (0..self.count).map(move |offset| {
            let base = self.first.base.get().checked_add(offset).and_then(Port::new)?;
            Some(PortFormula { base, ..self.first })
        })
    }

    /// The number of the last port for a slot. It may be too large for a port.
    pub fn last_number(self, slot: u16) -> u32 {
        self.first.number(slot) + u32::from(self.count.saturating_sub(1))
    }

    pub(super) fn is_in_range(self, slot: u16) -> bool {
        self.last_number(slot) <= u32::from(Port::MAX)
    }

    pub(super) fn with_stride(self, stride: NonZeroU16) -> Self {
        Self { first: PortFormula { stride, ..self.first }, ..self }
    }

    /// Whether no two slots have the same port of this range. `slots` ascend.
    pub(super) fn is_apart_from_itself(self, slots: &[u16]) -> bool {
        let is_apart = |pair: &[u16]| match pair {
            [slot, next] => self.last_number(*slot) < self.first.number(*next),
            _ => true,
        };
        slots.windows(2).all(is_apart)
    }
}
