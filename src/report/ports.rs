//! Ports as a table for people and as JSON for programs.

use serde_json::{Map, Value, json};

use super::document::{FORMAT_VERSION, document};
use super::table::{Cell, Table, lines, number, table};
use crate::compose::model::Model;
use crate::identifier::PortName;
use crate::port::{HostPort, Port, PortFormula, Protocol};
use crate::slot::SlotId;
use crate::spec::Spec;
use crate::stack::up::addresses::{Reach, Url};

/// Every port of every declared slot, the main stack's first: as addresses on a terminal that has the columns
/// for all of them, and as several tables on one that is too narrow for all numbers.
pub fn ports(spec: &Spec, columns: Option<usize>) -> String {
    let address = |row: Row, name: &PortName, formula: PortFormula| {
        // The main stack has no name of its own.
        let of_main =
            || Some(url(spec, *spec.slots.keys().next()?, (name, &formula), formula.number(0))?.plain);
        let of_slot = |slot| {
            url(spec, slot, (name, &formula), formula.number(slot.get())).map(|url| url.shown().to_owned())
        };
        row.map_or_else(of_main, of_slot).map_or_else(|| numbers(row, name, formula), Cell::new)
    };
    let all = &spec.ports;
    let Some(columns) = columns else { return lines(&map(spec, all, numbers)) };
    map(spec, all, address).within(columns, 0).unwrap_or_else(|| in_columns(spec, all, columns))
}

/// The numbers as tables that each have as many of the ports as the columns of a terminal allow.
fn in_columns(spec: &Spec, ports: &[Declared], columns: usize) -> String {
    let (mut tables, mut rest) = (Vec::new(), ports);
    while !rest.is_empty() {
        let fitting = (1..=rest.len()).rev().find_map(|count| {
            let (some, rest) = rest.split_at_checked(count)?;
            Some((map(spec, some, numbers).within(columns, 0)?, rest))
        });
        let Some((table, others)) = fitting else { return lines(&map(spec, ports, numbers)) };
        tables.push(table);
        rest = others;
    }
    tables.join("\n")
}

/// A port of the spec.
type Declared = (PortName, PortFormula);

/// A slot, or the main stack.
type Row = Option<SlotId>;

fn map(spec: &Spec, ports: &[Declared], cell: impl Fn(Row, &PortName, PortFormula) -> Cell) -> Table {
    let names = ports.iter().map(|(name, _)| name.as_str().to_uppercase());
    let mut table = table(["Slot".to_owned(), "Profile".to_owned()].into_iter().chain(names));
    let cells = |row: Row| ports.iter().map(|(name, formula)| cell(row, name, *formula)).collect::<Vec<_>>();
    table.add_row([number(0), Cell::new("(main)")].into_iter().chain(cells(None)));
    for (id, profile) in &spec.slots {
        table.add_row([number(id), Cell::new(profile.name.as_str())].into_iter().chain(cells(Some(*id))));
    }
    table
}

fn numbers(row: Row, _: &PortName, formula: PortFormula) -> Cell {
    number(formula.number(row.map_or(0, SlotId::get)))
}

/// The address of a port of a slot. `None` if the number is too large for a port.
fn url(spec: &Spec, slot: SlotId, (name, formula): (&PortName, &PortFormula), number: u32) -> Option<Url> {
    let port = HostPort { port: Port::new(u16::try_from(number).ok()?)?, protocol: formula.protocol };
    let reach = Reach { host: None, spec: Some(spec), model: &Model::default(), slot };
    Some(reach.url(name, port))
}

/// The address of every port of every declared slot that a browser opens, with a path: a line each, once with
/// a name of the slot's own as the host, and once with `localhost`.
pub fn urls(spec: &Spec, path: &str) -> String {
    let of_slot = |slot: SlotId| {
        let ports = spec.ports.iter().filter_map(move |(name, formula)| {
            let url = url(spec, slot, (name, formula), formula.number(slot.get()))?;
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
