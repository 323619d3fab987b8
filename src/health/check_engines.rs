//! The engines that stacks were started on, besides the one in use.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::Findings;
use crate::host::context::elsewhere;
use crate::host::docker::daemon_version_of;
use crate::registry::Registry;
use crate::slot::SlotId;

/// Names each, and whether it answers.
pub(super) fn check_engines(registry: Option<&Registry>, findings: &mut Findings) {
    let mut others = BTreeMap::new();
    for (slot, entry) in registry.iter().flat_map(|registry| &registry.slots) {
        let engine = entry.started.as_ref().and_then(|started| started.engine.as_ref());
        if let Some(elsewhere) = elsewhere(engine) {
            let (_, slots) = others
                .entry(elsewhere.engine.clone())
                .or_insert_with(|| (elsewhere, BTreeSet::<SlotId>::new()));
            slots.insert(*slot);
        }
    }
    for (engine, (elsewhere, slots)) in others {
        let noun = if slots.len() == 1 { "slot" } else { "slots" };
        let slots = SlotId::list(&slots);
        match daemon_version_of(&engine).needed() {
            Ok(version) => {
                let found = format!("{noun} {slots} in {elsewhere}, version {version}");
                findings.fine("docker contexts", found);
            }
            Err(why) => {
                let found = format!("{noun} {slots}: {why}");
                let advice = "start that engine, or make its context again with `docker context create`";
                findings.warning("docker contexts", found, advice);
            }
        }
    }
}
