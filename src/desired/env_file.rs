//! The `.env.sandbox` of a slot whose pool has no template for it.

use std::fmt::Write as _;

use camino::Utf8Path;

use crate::dotenv;
use crate::identifier::{PortName, ProfileName};
use crate::names::{KINFRA_SLOT, KINFRA_SLOT_DIR, SLOT_ID, port_variable, workers_variable};
use crate::port::Port;
use crate::slot::{SlotId, Workers};
use crate::spec::Spec;

/// The values that differ from slot to slot.
#[derive(Clone, Copy)]
pub(super) struct SlotValues<'a> {
    pub(super) profile: &'a ProfileName,
    pub(super) workers: &'a Workers,
    pub(super) ports: &'a [(PortName, Port)],
    pub(super) dir: &'a Utf8Path,
}

/// The text of the file. It has no variable that Compose or the project's own files could take for theirs.
///
/// # Errors
/// The reason why an env file cannot hold the slot's directory.
pub(super) fn text(spec: &Spec, slot: SlotId, values: SlotValues<'_>) -> Result<String, String> {
    let SlotValues { profile, workers, ports, dir } = values;
    let (pool, prefix, dir) = (&spec.name, &spec.env_prefix, dotenv::quote(dir.as_str())?);
    let mut text = format!(
        "# Slot {slot} of the {pool} pool, profile {profile}. Written by kinfra from slots.toml: change it there.\n\
         {SLOT_ID}={slot}\n{KINFRA_SLOT}={slot}\n{KINFRA_SLOT_DIR}={dir}\n\n# Ports on this machine\n"
    );
    for (name, port) in ports {
        let _ = writeln!(text, "{}={port}", port_variable(prefix, name.as_str()));
    }
    if !workers.is_empty() {
        text.push_str("\n# How many workers of each kind\n");
    }
    for (kind, count) in workers {
        let _ = writeln!(text, "{}={count}", workers_variable(prefix, kind.as_str()));
    }
    Ok(text)
}
