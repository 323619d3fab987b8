//! Ports of the slots that other programs use.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::Findings;
use crate::desired::Pool;
use crate::host::net;
use crate::identifier::PortName;
use crate::observe::port_user::{PortUser, PortUsers};
use crate::observe::whose::Whose;
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
    let whose = registry.map(|registry| Whose::new(&pool.root, registry, registry.id));
    let used = free.into_iter().filter(|(_, _, port)| net::is_in_use(*port));
    warn("ports", used, &PortUsers::new(None, whose), findings);
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
    let (before, users) = (findings.len(), PortUsers::new(None, None));
    for slot in spec.slots.keys() {
        let ports =
            spec.ports.iter().filter_map(|(name, formula)| Some((name, formula.host_port(slot.get())?)));
        let used = ports.filter(|(_, port)| !held.contains(port) && net::is_in_use(*port));
        warn("in use", used.map(|(name, port)| (*slot, name, port)), &users, findings);
    }
    if findings.len() == before {
        findings.fine("in use", "no port of a new slot is");
    }
}

/// Warns of the ports that are in use: one warning for a slot and who has ports of it.
fn warn<'a>(
    subject: &str,
    used: impl Iterator<Item = (SlotId, &'a PortName, HostPort)>,
    users: &PortUsers<'_>,
    findings: &mut Findings,
) {
    let mut by_user: BTreeMap<(SlotId, PortUser), Vec<(&PortName, HostPort)>> = BTreeMap::new();
    for (slot, name, port) in used {
        by_user.entry((slot, users.of(port))).or_default().push((name, port));
    }
    for ((slot, user), ports) in by_user {
        let Some((name, _)) = ports.first() else { continue };
        let found = match (user.still_in(slot), ports.as_slice()) {
            (Some(still), _) => format!("no worktree holds slot {slot}, but {still}"),
            (None, [(name, port)]) => format!("port {port}, `{name}` of slot {slot}, is used by {user}"),
            (None, ports) => {
                let ports = ports.iter().map(|(name, port)| format!("{port} (`{name}`)"));
                let ports = ports.collect::<Vec<_>>().join(", ");
                format!("ports {ports} of slot {slot} are used by {user}")
            }
        };
        findings.warning(subject, found, user.advice(name));
    }
}
