//! Ports as a table for people and as JSON for programs.

use serde_json::{Map, Value, json};

use super::document::{FORMAT_VERSION, document};
use super::table::{Cell, lines, number, table};
use crate::compose::model::Model;
use crate::port::{HostPort, Port, PortFormula, Protocol};
use crate::slot::SlotId;
use crate::spec::Spec;
use crate::stack::up::addresses::Reach;

/// Every port of every declared slot, the main stack's first.
pub fn ports(spec: &Spec) -> String {
    let names = spec.ports.iter().map(|(name, _)| name.as_str().to_uppercase());
    let mut table = table(["Slot".to_owned(), "Profile".to_owned()].into_iter().chain(names));
    let row = |slot: u16| spec.ports.iter().map(move |(_, formula)| number(formula.number(slot)));
    table.add_row([number(0), Cell::new("(main)")].into_iter().chain(row(0)));
    for (id, profile) in &spec.slots {
        table.add_row([number(id), Cell::new(profile.name.as_str())].into_iter().chain(row(id.get())));
    }
    lines(&table)
}

/// The address of every port of every declared slot that a browser opens, with a path: a line each, once with
/// a name of the slot's own as the host, and once with `localhost`.
pub fn urls(spec: &Spec, path: &str) -> String {
    let model = Model::default();
    let of_slot = |slot: SlotId| {
        let reach = Reach { host: None, spec: Some(spec), model: &model, slot };
        let ports = spec.ports.iter().filter_map(move |(name, formula)| {
            let port = Port::new(u16::try_from(formula.number(slot.get())).ok()?)?;
            let url = reach.url(name, HostPort { port, protocol: formula.protocol });
            let hosted = url.hosted.filter(|url| url.starts_with("http"))?;
            Some(format!("{hosted}{path}\n{}{path}\n", url.plain))
        });
        ports.collect::<String>()
    };
    spec.slots.keys().map(|slot| of_slot(*slot)).collect()
}

/// The formulas, the main stack's ports and those of every declared slot.
pub fn ports_json(spec: &Spec) -> String {
    let formulas = spec.ports.iter().map(|(name, PortFormula { base, stride, protocol })| {
        let (base, stride) = (base.get(), stride.get());
        let formula = match protocol {
            Protocol::Tcp => json!({ "base": base, "stride": stride }),
            Protocol::Udp => json!({ "base": base, "stride": stride, "protocol": protocol }),
        };
        (name.to_string(), formula)
    });
    let row = |slot: u16| -> Map<String, Value> {
        spec.ports.iter().map(|(name, formula)| (name.to_string(), json!(formula.number(slot)))).collect()
    };
    let slots = spec
        .slots
        .iter()
        .map(|(id, profile)| json!({ "slot_id": id, "profile": profile.name, "ports": row(id.get()) }));
    document(&json!({
        "format_version": FORMAT_VERSION,
        "formulas": formulas.collect::<Map<_, _>>(),
        "main": row(0),
        "slots": slots.collect::<Vec<_>>(),
    }))
}
