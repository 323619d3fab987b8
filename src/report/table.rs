//! Slots and ports as tables for people and as JSON for programs.

use std::fmt::Display;

use camino::Utf8Path;
use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, Table};
use serde_json::{Map, Value, json};

use super::{FORMAT_VERSION, Paths, document, printable};
use crate::registry::Registry;
use crate::slot::{Port, PortFormula, PortName};
use crate::spec::Spec;

/// The registered slots in numeric order. `primary` is the port that the pool is known by.
pub fn slots(registry: &Registry, primary: &PortName, paths: Paths<'_>) -> String {
    let port_title = format!("{} Port", primary.as_str().to_uppercase());
    let mut table = table(["Slot", "Profile", &port_title, "Claimed By", "Status"]);
    for (id, entry) in &registry.slots {
        let port = entry.provisioned.ports.get(primary).map_or_else(|| "-".to_owned(), Port::to_string);
        let claimed_by = entry.claim.as_ref().map_or_else(
            || "-".to_owned(),
            |claim| printable(paths.show(Utf8Path::new(&claim.claimed_by)).as_str()),
        );
        let profile = entry.provisioned.profile.as_str();
        // An apply was cut short in it, whatever ran in it then.
        let status = if entry.pending.is_some() { "unfinished" } else { &printable(&entry.status) };
        table.add_row([
            number(id),
            Cell::new(profile),
            number(port),
            Cell::new(claimed_by),
            Cell::new(status),
        ]);
    }
    lines(&table)
}

/// The registered slots under the registry's own field names.
pub fn slots_json(registry: &Registry) -> String {
    let slots: Vec<Value> = registry.slots.iter().map(|(id, entry)| entry.to_json(*id)).collect();
    document(&json!({ "format_version": FORMAT_VERSION, "slots": slots }))
}

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

/// The formulas, the main stack's ports and those of every declared slot.
pub fn ports_json(spec: &Spec) -> String {
    let formulas = spec.ports.iter().map(|(name, PortFormula { base, stride })| {
        (name.to_string(), json!({ "base": base.get(), "stride": stride.get() }))
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

fn table<T: Into<Cell>>(header: impl IntoIterator<Item = T>) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header.into_iter().collect::<Vec<_>>());
    table
}

fn lines(table: &Table) -> String {
    table.lines().flat_map(|line| [line.trim_end().to_owned(), "\n".to_owned()]).collect()
}

fn number(value: impl Display) -> Cell {
    Cell::new(value).set_alignment(CellAlignment::Right)
}
