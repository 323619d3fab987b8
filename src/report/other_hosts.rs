//! The slots that other hosts have of the same pool.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::ledger::OtherHosts;
use crate::shown::printable;
use crate::slot::SlotId;
use crate::time::Time;

/// A line for each host: who holds its slots, and which are free. Paths are those of that host.
pub fn of_other_hosts(others: &OtherHosts) -> String {
    let mut text = String::new();
    for (host, slots) in others {
        let held = slots.iter().filter_map(|(slot, holder)| Some((slot, holder.as_ref()?)));
        let mut parts: Vec<String> =
            held.map(|(slot, holder)| format!("slot {slot} is held by {}", printable(holder))).collect();
        let free: BTreeSet<SlotId> =
            slots.iter().filter(|(_, holder)| holder.is_none()).map(|(slot, _)| *slot).collect();
        if !free.is_empty() {
            let verb = if free.len() == 1 { "is" } else { "are" };
            parts.push(format!("{} {verb} free", SlotId::named(&free)));
        }
        let _ = writeln!(text, "On {}: {}", printable(host), parts.join(", "));
    }
    text
}

/// The document of the slots, with those of other hosts if there are any, and since when it may be old if the
/// server does not answer.
pub fn with_other_hosts(mut document: Value, others: &OtherHosts, seen_at: Option<Time>) -> Value {
    let slot = |(slot, holder): (&SlotId, &Option<String>)| json!({ "slot_id": slot, "claimed_by": holder });
    let hosts = others
        .iter()
        .map(|(host, slots)| json!({ "host": host, "slots": slots.iter().map(slot).collect::<Vec<_>>() }));
    let Value::Object(keys) = &mut document else { return document };
    if !others.is_empty() {
        keys.insert("other_hosts".to_owned(), Value::Array(hosts.collect()));
    }
    keys.extend(seen_at.map(|at| ("seen_at".to_owned(), json!(at))));
    document
}
