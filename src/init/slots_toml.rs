//! The text of `slots.toml`.

use std::fmt::Write as _;

use toml_edit::Key;

use super::addresses::Addresses;
use super::isolation::{Apart, PerSlotLine};
use crate::compose::overlay::PortLine;
use crate::identifier::PortName;
use crate::proof::ports::Remedy;
use crate::shown::{printable, toml_string as quoted};

/// How many slots a new pool has.
pub(super) const SLOTS: u16 = 4;

/// A port line, and why its base is not the project's port, if it is not.
#[derive(Debug)]
pub(super) struct DraftPort {
    pub(super) line: PortLine,
    pub(super) why: Option<String>,
}

/// What `slots.toml` says.
#[derive(Debug)]
pub(super) struct DraftSpec<'a> {
    pub(super) name: &'a str,
    pub(super) prefix: &'a str,
    pub(super) ports: &'a [DraftPort],
    /// The files that were named; without them, those that Compose finds.
    pub(super) files: &'a [String],
    pub(super) apart: &'a Apart,
    pub(super) addresses: &'a Addresses,
    /// Files that git does not bring.
    pub(super) copy: &'a [String],
}

/// The text.
pub(super) fn text(spec: &DraftSpec<'_>) -> String {
    let DraftSpec { name, prefix, ports: _, files: _, apart: _, addresses: _, copy: _ } = spec;
    let pool = aligned(&[
        ("name", quoted(name), format!("Compose project names: {name}-slot-1")),
        ("root", quoted(&format!("~/.{name}/slots")), "slot-1/ … and registry.json".to_owned()),
        ("env_prefix", quoted(prefix), "what the names of a slot's variables start with".to_owned()),
    ]);
    let ports = ports(spec.ports);
    let mut text = format!(
        "\
# The {name} pool: {SLOTS} slots. Each runs the Compose files of the worktree that holds it, on ports of its own.
# `kinfra plan` shows what is missing, `kinfra apply` creates it. `kinfra init` wrote this file; it is yours to change.
version = 1

[pool]
{pool}
[ports]    # host port = base + stride × slot; slot 0 is your main stack, on the base ports
{ports}
[[profiles]]    # size classes, smallest first
name = \"standard\"

[[slots]]
ids     = \"1-{SLOTS}\"
profile = \"standard\"

[compose]    # the worktree's own Compose files; kinfra adds an overlay, and copies nothing
"
    );
    compose(&mut text, spec);
    environment(&mut text, spec.addresses);
    if !spec.copy.is_empty() {
        let copy = list(spec.copy);
        let _ = write!(
            text,
            "\n[worktree]    # copied from the main worktree where git does not bring them\ncopy = {copy}\n"
        );
    }
    text
}

fn ports(ports: &[DraftPort]) -> String {
    if ports.is_empty() {
        return "web = 8000    # the project publishes no port: nothing uses this one yet\n".to_owned();
    }
    let width = ports.iter().map(|port| port.line.name.len()).max().unwrap_or(0);
    ports.iter().fold(String::new(), |mut text, DraftPort { line, why }| {
        let rest = line.to_string();
        let rest = rest.get(line.name.len()..).unwrap_or_default();
        let why = why.as_ref().map(|why| format!("    # {}", printable(why))).unwrap_or_default();
        let _ = writeln!(text, "{:width$}{rest}{why}", line.name);
        text
    })
}

fn compose(text: &mut String, spec: &DraftSpec<'_>) {
    if !spec.files.is_empty() {
        let _ = writeln!(text, "files = {}", list(spec.files));
    }
    let undecided = || spec.apart.undecided.iter().filter(|entry| entry.line.is_some());
    let shared: Vec<String> = undecided().filter_map(|entry| entry.resource.clone()).collect();
    if !shared.is_empty() {
        let _ = writeln!(
            text,
            "# A start stops until you decide: together here, or each its own below.\n# shared = {}",
            list(&shared)
        );
    }
    if spec.apart.own.is_empty() && shared.is_empty() {
        return;
    }
    text.push_str("\n[compose.per_slot]    # what each slot has its own of, empty at first\n");
    for PerSlotLine { line, what, resource: _ } in &spec.apart.own {
        if let Some(line) = line {
            let _ = writeln!(text, "{line}    # {}", printable(what));
        }
    }
    for line in undecided().filter_map(|entry| entry.line.as_ref()) {
        let _ = writeln!(text, "# {line}");
    }
}

fn environment(text: &mut String, addresses: &Addresses) {
    for (service, lines) in &addresses.lines {
        let comment = if lines.iter().any(|line| line.in_force) { "" } else { "# " };
        let _ = writeln!(text, "\n{comment}[services.{}.environment]", key(service));
        for line in lines {
            let comment = if line.in_force { "" } else { "# " };
            let _ = writeln!(text, "{comment}{} = {}", key(&line.name), quoted(&line.value));
        }
    }
}

/// Lines of keys and values in columns, each with a comment.
fn aligned(lines: &[(&str, String, String)]) -> String {
    let key_width = lines.iter().map(|(key, ..)| key.len()).max().unwrap_or(0);
    let value_width = lines.iter().map(|(_, value, _)| value.chars().count()).max().unwrap_or(0);
    lines.iter().fold(String::new(), |mut text, (key, value, comment)| {
        let _ = writeln!(text, "{key:key_width$} = {value:value_width$}    # {comment}");
        text
    })
}

fn list(texts: &[String]) -> String {
    format!("[{}]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "))
}

fn key(name: &str) -> String {
    Key::new(name).display_repr().into_owned()
}

/// A pool of one small service.
pub(super) fn sample(name: &str, prefix: &str, remedy: Option<&(Remedy, String)>) -> String {
    let text = include_str!("sample.toml").replace("SAMPLE_", prefix).replace("sample", name);
    let formula = match remedy {
        None => "base = 8080".to_owned(),
        Some((Remedy::Base(base), _)) => format!("base = {base}"),
        Some((Remedy::Stride(stride), _)) => format!("base = 8080, stride = {stride}"),
    };
    text.replacen("base = 8080", &formula, 1)
}

/// What other pools on the machine ask of the port formulas, each with its reason.
pub(super) type Remedies = std::collections::BTreeMap<PortName, (Remedy, String)>;
