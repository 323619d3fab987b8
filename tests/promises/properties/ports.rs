//! The port proof, compared with simple arithmetic.

use std::collections::{BTreeSet, HashSet};
use std::num::NonZeroU16;

use kinfra::port::{Port, PortFormula, Protocol};
use kinfra::proof::ports::{Flaw, Remedy, prove};
use kinfra::slot::SlotId;
use kinfra::spec::Spec;
use proptest::prelude::*;
use proptest::sample::select;

use super::check;

properties! {
    a_pool_is_accepted_iff_no_two_ports_meet: 256,
    a_large_pool_is_accepted_iff_no_two_ports_meet: 32,
    flaws_are_real: 256,
    a_suggested_stride_is_the_smallest_that_works: 64,
    a_suggested_base_is_the_nearest_that_is_free: 64,
    a_spec_is_accepted_iff_its_ports_are: 256,
}

type Slots = BTreeSet<SlotId>;

/// Formulas close enough to collide, and some that leave the range.
fn formulas() -> impl Strategy<Value = Vec<PortFormula>> {
    let base = (select(vec![1024_u16, 4317, 8000, 65_400]), 0..40_u16);
    let stride = prop_oneof![4 => 1..=12_u16, 1 => 1..=2500_u16];
    let protocol = prop_oneof![3 => Just(Protocol::Tcp), 1 => Just(Protocol::Udp)];
    let formula = (base, stride, protocol)
        .prop_map(|((near, by), stride, protocol)| PortFormula { protocol, ..formula(near + by, stride) });
    prop::collection::vec(formula, 1..=6)
}

/// A few slots, near each other or far apart.
fn slots() -> impl Strategy<Value = Slots> {
    let ids = prop_oneof![
        prop::collection::btree_set(1..=12_u16, 0..=8),
        (1..=30_u16).prop_map(|last| (1..=last).collect()),
        prop::collection::btree_set(1..=SlotId::MAX, 0..=3),
    ];
    ids.prop_map(|ids: BTreeSet<u16>| ids.into_iter().map(|id| SlotId::new(id).expect("an id")).collect())
}

fn formula(base: u16, stride: u16) -> PortFormula {
    let (base, stride) = (Port::new(base).expect("a port"), NonZeroU16::new(stride).expect("a stride"));
    PortFormula { base, stride, protocol: Protocol::Tcp }
}

/// Every port of every slot and of the main stack, in range or not.
fn ports(formulas: &[PortFormula], slots: &Slots) -> Vec<(u32, Protocol)> {
    let ids = || std::iter::once(0).chain(slots.iter().map(|id| u32::from(id.get())));
    let of = |PortFormula { base, stride, protocol }: &PortFormula| {
        let (base, stride, protocol) = (u32::from(base.get()), u32::from(stride.get()), *protocol);
        ids().map(move |id| (base + stride * id, protocol))
    };
    formulas.iter().flat_map(of).collect()
}

fn in_range(ports: &[(u32, Protocol)]) -> bool {
    ports.iter().all(|(port, _)| (1024..=65_535).contains(port))
}

/// Whether all ports are in range and differ: each is compared with each.
fn sound(formulas: &[PortFormula], slots: &Slots) -> bool {
    let ports = ports(formulas, slots);
    in_range(&ports) && ports.iter().enumerate().all(|(index, port)| !ports[..index].contains(port))
}

fn a_pool_is_accepted_iff_no_two_ports_meet(cases: u32) {
    check(cases, (formulas(), slots()), |(formulas, slots)| {
        prop_assert_eq!(prove(&formulas, &slots).is_ok(), sound(&formulas, &slots));
        Ok(())
    });
}

fn a_large_pool_is_accepted_iff_no_two_ports_meet(cases: u32) {
    let bases = prop::collection::btree_set(1024..=u16::MAX, 1..=4);
    check(cases, (bases, 1..=6_u16, 1..=9000_u16), |(bases, stride, last)| {
        let formulas: Vec<_> = bases.into_iter().map(|base| formula(base, stride)).collect();
        let slots = (1..=last).map(|id| SlotId::new(id).expect("an id")).collect();
        let all = ports(&formulas, &slots);
        let distinct = all.iter().collect::<HashSet<_>>().len() == all.len();
        prop_assert_eq!(prove(&formulas, &slots).is_ok(), in_range(&all) && distinct);
        Ok(())
    });
}

fn flaws_are_real(cases: u32) {
    check(cases, (formulas(), slots()), |(formulas, slots)| {
        let flaws = prove(&formulas, &slots).err().unwrap_or_default();
        let port = |(formula, slot): (usize, u16)| formulas[formula].number(slot);
        let mut leaving = BTreeSet::new();
        for flaw in flaws {
            match flaw {
                Flaw::Collision { first, second, port: met, .. } => {
                    prop_assert!(first.0 < second.0);
                    prop_assert_eq!(formulas[first.0].protocol, formulas[second.0].protocol);
                    prop_assert_eq!([port(first), port(second)], [u32::from(met.get()); 2]);
                    for (_, slot) in [first, second] {
                        prop_assert!(SlotId::new(slot).is_none_or(|id| slots.contains(&id)));
                    }
                }
                Flaw::OutOfRange { formula, slot, number, .. } => {
                    let first = slots.iter().find(|id| port((formula, id.get())) > 65_535);
                    prop_assert_eq!(Some(slot.to_string()), first.map(SlotId::to_string));
                    prop_assert_eq!(Some(number), first.map(|first| port((formula, first.get()))));
                    leaving.insert(formula);
                }
            }
        }
        let leave = |formula: &usize| !in_range(&ports(&formulas[*formula..=*formula], &slots));
        prop_assert_eq!(leaving, (0..formulas.len()).filter(leave).collect());
        Ok(())
    });
}

/// The reported collisions, each with its remedy, if it has one.
fn collisions(formulas: &[PortFormula], slots: &Slots) -> Vec<(usize, usize, Option<Remedy>)> {
    let flaws = prove(formulas, slots).err().unwrap_or_default();
    let collisions = flaws.into_iter().filter_map(|flaw| match flaw {
        Flaw::Collision { first, second, remedy, .. } => Some((first.0, second.0, remedy)),
        Flaw::OutOfRange { .. } => None,
    });
    collisions.take(20).collect()
}

fn a_suggested_stride_is_the_smallest_that_works(cases: u32) {
    check(cases, (formulas(), slots()), |(formulas, slots)| {
        for (first, second, remedy) in collisions(&formulas, &slots) {
            let changed = |stride: u16| {
                let mut changed = formulas.clone();
                for index in [first, second] {
                    changed[index].stride = NonZeroU16::new(stride).expect("a stride");
                }
                changed
            };
            let mut others = formulas.clone();
            others.remove(second);
            others.remove(first);
            // Collisions among the other formulas occur with every stride. Without slots, all strides are the
            // same.
            let strides = match (sound(&others, &slots), slots.is_empty()) {
                (false, _) => 1..1,
                (true, true) => 1..2,
                (true, false) => 1..u16::MAX,
            };
            let mut strides = strides.take_while(|stride| in_range(&ports(&changed(*stride), &slots)));
            let smallest = strides.find(|stride| sound(&changed(*stride), &slots));
            let suggested = if let Some(Remedy::Stride(stride)) = remedy { Some(stride.get()) } else { None };
            prop_assert_eq!(suggested, smallest);
        }
        Ok(())
    });
}

fn a_suggested_base_is_the_nearest_that_is_free(cases: u32) {
    check(cases, (formulas(), slots()), |(formulas, slots)| {
        for (_, second, remedy) in collisions(&formulas, &slots) {
            let mut others = formulas.clone();
            let moved = others.remove(second);
            let taken: HashSet<(u32, Protocol)> = ports(&others, &slots).into_iter().collect();
            let free = |base: u16| {
                let formulas = Port::new(base).map(|base| PortFormula { base, ..moved });
                let ports = ports(formulas.as_slice(), &slots);
                formulas.is_some() && in_range(&ports) && !ports.iter().any(|port| taken.contains(port))
            };
            let base = moved.base.get();
            let at = |distance: u16| [base.checked_add(distance), base.checked_sub(distance)];
            let free_at = |distance: &u16| at(*distance).into_iter().flatten().any(free);
            if !matches!(remedy, Some(Remedy::Stride(_))) {
                let suggested = if let Some(Remedy::Base(base)) = remedy { Some(base.get()) } else { None };
                let nearest = (0..=u16::MAX).find(free_at);
                prop_assert_eq!(suggested.map(|suggested| suggested.abs_diff(base)), nearest);
                prop_assert!(suggested.is_none_or(free));
            }
        }
        Ok(())
    });
}

fn a_spec_is_accepted_iff_its_ports_are(cases: u32) {
    check(cases, (formulas(), slots(), any::<bool>()), |(formulas, slots, short)| {
        let mut toml = "version = 1\n".to_owned();
        if slots.is_empty() {
            toml += "slots = []\n";
        } else {
            let ids = slots.iter().map(SlotId::to_string).collect::<Vec<_>>().join(",");
            toml += &format!("slots = [{{ ids = \"{ids}\", profile = \"only\" }}]\n");
        }
        toml += "profiles = [{ name = \"only\" }]\n[pool]\nname = \"p\"\nroot = \"~/p\"\n[ports]\n";
        for (index, PortFormula { base, stride, protocol }) in formulas.iter().enumerate() {
            toml += &match stride.get() {
                stride if protocol.is_udp() => {
                    format!(
                        "p{index} = {{ base = {base}, stride = {stride}, publish = \"p:{}/udp\" }}\n",
                        index + 1
                    )
                }
                1 if short => format!("p{index} = {base}\n"),
                stride => format!("p{index} = {{ base = {base}, stride = {stride} }}\n"),
            };
        }
        toml += "[files]\nf = \"f\"\n[compose]\n";
        match (Spec::parse(&toml), prove(&formulas, &slots)) {
            (Ok(spec), Ok(())) => {
                let read: Vec<_> = spec.ports.into_iter().map(|(_, formula)| formula).collect();
                prop_assert_eq!(read, formulas);
            }
            (Err(mistakes), Err(flaws)) => prop_assert_eq!(mistakes.len(), flaws.len()),
            (spec, proof) => prop_assert!(false, "{spec:?} but {proof:?}"),
        }
        Ok(())
    });
}
