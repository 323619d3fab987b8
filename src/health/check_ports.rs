//! Ports of the slots that other programs use.

use std::collections::BTreeSet;

use super::finding::Findings;
use crate::desired::Pool;
use crate::host::net;
use crate::identifier::PortName;
use crate::port::HostPort;
use crate::registry::Registry;
use crate::slot::SlotId;
use crate::spec::Spec;

/// Warns of each port of a free slot that is in use. The slots are the registry's, or the spec's if there is
/// none.
pub(super) fn check_free_slots(registry: Option<&Registry>, pool: &Pool, findings: &mut Findings) {
    let before = findings.len();
    let free: Vec<(SlotId, &PortName, HostPort)> = match registry {
        Some(registry) if !registry.slots.is_empty() => {
            let free = registry.slots.iter().filter(|(_, entry)| entry.claim.is_none());
            free.flat_map(|(slot, entry)| {
                entry.provisioned.host_ports().map(|(name, port)| (*slot, name, port))
            })
            .collect()
        }
        Some(_) | None => {
            let slots = pool.slots.values();
            slots.flat_map(|slot| slot.host_ports().map(|(name, port)| (slot.id, name, port))).collect()
        }
    };
    for (slot, name, port) in free.into_iter().filter(|(_, _, port)| net::is_in_use(*port)) {
        let (found, advice) = in_use(port, name, slot);
        findings.warning("ports", found, advice);
    }
    if findings.len() == before {
        findings.fine("ports", "no port of a free slot is in use");
    }
}

/// Warns of each port of a new slot that is in use. Ports in the registry are left to the doctor: the slot's
/// own stack may use them.
pub(super) fn check_new_slots(spec: &Spec, registry: &Registry, findings: &mut Findings) {
    let entries = registry.slots.values();
    let held: BTreeSet<HostPort> =
        entries.flat_map(|entry| entry.provisioned.host_ports()).map(|(_, port)| port).collect();
    let before = findings.len();
    for slot in spec.slots.keys() {
        let ports =
            spec.ports.iter().filter_map(|(name, formula)| Some((name, formula.host_port(slot.get())?)));
        for (name, port) in ports.filter(|(_, port)| !held.contains(port) && net::is_in_use(*port)) {
            let (found, advice) = in_use(port, name, *slot);
            findings.warning("in use", found, advice);
        }
    }
    if findings.len() == before {
        findings.fine("in use", "no port of a new slot is");
    }
}

/// Which port is in use, and by which program. Then what to do about it.
fn in_use(port: HostPort, name: &PortName, slot: SlotId) -> (String, String) {
    let listener = net::listener(port);
    let advice = port.freed_from(name.as_str(), listener.as_ref());
    let by = listener.map_or_else(
        || "another program".to_owned(),
        |(pid, program)| format!("{} (process {pid})", program.escape_debug()),
    );
    (format!("port {port}, `{name}` of slot {slot}, is in use by {by}"), advice)
}
