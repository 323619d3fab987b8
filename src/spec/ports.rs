//! `[ports]`: the formulas, and the flaws of the port proof as mistakes at their places.

use std::collections::BTreeSet;
use std::num::NonZeroU16;
use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use super::keys::{Keys, user_key};
use super::mistake::Mistake;
use super::value::{TomlValue, number, wrong_type};
use crate::identifier::PortName;
use crate::port::{Port, PortFormula};
use crate::proof::ports::{self, Flaw, Remedy};
use crate::slot::SlotId;

/// The formulas with their places. They are not proven yet.
pub(super) struct Ports(Vec<Spanned<(PortName, PortFormula)>>);

pub(super) fn read(keys: Keys<'_>, mistakes: &mut Vec<Mistake>) -> Option<Ports> {
    let span = keys.span();
    let read = keys.entries().map(|(name, value)| {
        let formula = formula(value, mistakes);
        let place = name.span().start..value.span().end;
        let name = user_key(&name, PortName::new, mistakes);
        Some(Spanned::new(place, (name?, formula?)))
    });
    let ports: Vec<_> = read.collect::<Vec<_>>().into_iter().collect::<Option<_>>()?;
    if ports.is_empty() {
        let help = "declare at least the primary port of a slot, such as `web = 8000`".to_owned();
        mistakes.push(Mistake::new(span, "[ports] is empty").help(help));
    }
    Some(Ports(ports))
}

fn formula(value: TomlValue<'_>, mistakes: &mut Vec<Mistake>) -> Option<PortFormula> {
    if let DeValue::Integer(_) = value.get_ref() {
        return Some(PortFormula { base: base(value, mistakes)?, stride: NonZeroU16::MIN });
    }
    let DeValue::Table(_) = value.get_ref() else {
        mistakes.push(wrong_type(
            value,
            "a port",
            "a base such as `8000`, or `{ base = 8000, stride = 10 }`",
        ));
        return None;
    };
    let mut keys = Keys::of(value, "a port", mistakes)?;
    let base = keys.require("base").and_then(|value| base(value, mistakes));
    let stride = match keys.get("stride") {
        None => Some(NonZeroU16::MIN),
        Some(value) => stride(value, mistakes),
    };
    keys.finish(mistakes);
    Some(PortFormula { base: base?, stride: stride? })
}

fn base(value: TomlValue<'_>, mistakes: &mut Vec<Mistake>) -> Option<Port> {
    number(value, "a base", Port::MIN..=Port::MAX, mistakes).and_then(Port::new)
}

fn stride(value: TomlValue<'_>, mistakes: &mut Vec<Mistake>) -> Option<NonZeroU16> {
    number(value, "a stride", 1..=u16::MAX, mistakes).and_then(NonZeroU16::new)
}

impl Ports {
    /// Runs the port proof and notes every flaw at the formulas that cause it.
    pub(super) fn prove(&self, slots: &BTreeSet<SlotId>, mistakes: &mut Vec<Mistake>) {
        let formulas: Vec<PortFormula> = self.0.iter().map(|entry| entry.get_ref().1).collect();
        let flaws = ports::prove(&formulas, slots).err().unwrap_or_default();
        mistakes.extend(flaws.into_iter().filter_map(|flaw| self.mistake(&flaw, slots)));
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &PortName> {
        self.0.iter().map(|entry| &entry.get_ref().0)
    }

    pub(super) fn into_formulas(self) -> Vec<(PortName, PortFormula)> {
        self.0.into_iter().map(Spanned::into_inner).collect()
    }

    fn mistake(&self, flaw: &Flaw, slots: &BTreeSet<SlotId>) -> Option<Mistake> {
        match *flaw {
            Flaw::OutOfRange { formula, slot, number } => {
                let (span, name, formula) = self.entry(formula)?;
                let message = format!("port `{name}` of slot {slot} would be {number}, above {}", Port::MAX);
                let past_base = formula.number(slots.last()?.get()) - u32::from(formula.base.get());
                let highest_base = u32::from(Port::MAX).checked_sub(past_base);
                let help = match highest_base.filter(|base| *base >= Port::MIN.into()) {
                    Some(base) => format!("the highest base that keeps every slot in range is {base}"),
                    None => "no base keeps every slot in range; use a smaller stride or lower ids".to_owned(),
                };
                Some(Mistake::new(span, message).label(formula.to_string()).help(help))
            }
            Flaw::Collision { first, second, port, remedy } => {
                let (first_span, first_name, first_formula) = self.entry(first.0)?;
                let (second_span, second_name, second_formula) = self.entry(second.0)?;
                let message = format!(
                    "ports collide: `{first_name}` of {} and `{second_name}` of {} are both {port}",
                    stack(first.1),
                    stack(second.1),
                );
                let help = match remedy {
                    Some(Remedy::Stride(stride)) => {
                        format!("the smallest stride that works for both is {stride}")
                    }
                    Some(Remedy::Base(base)) => format!(
                        "as long as the other ports stay, no stride works for both; \
                         the nearest free base for `{second_name}` is {base}"
                    ),
                    None => "no stride and no base works; declare fewer slots or fewer ports".to_owned(),
                };
                let mistake = Mistake::new(second_span, message).label(second_formula.to_string());
                Some(mistake.related(first_span, first_formula.to_string()).help(help))
            }
        }
    }

    fn entry(&self, index: usize) -> Option<(Range<usize>, &PortName, PortFormula)> {
        let entry = self.0.get(index)?;
        let (name, formula) = entry.get_ref();
        Some((entry.span(), name, *formula))
    }
}

fn stack(slot: u16) -> String {
    match slot {
        0 => "the main stack (slot 0)".to_owned(),
        slot => format!("slot {slot}"),
    }
}
