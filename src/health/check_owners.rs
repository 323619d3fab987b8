//! Whose the containers, volumes and networks under the names of the slots' projects are.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::Findings;
use crate::desired::Pool;
use crate::host::docker::Answer;
use crate::host::engine::{Made, made_by};
use crate::registry::Registry;

/// Names what has the name of a slot's project and another registry's label: another user's, or another home
/// directory's.
pub(super) fn check_owners(registry: Option<&Registry>, pool: &Pool, findings: &mut Findings) {
    let Some(registry) = registry else { return };
    let slots: BTreeMap<String, _> = registry.slots.keys().map(|slot| (pool.project(*slot), *slot)).collect();
    let projects: BTreeSet<String> = slots.keys().cloned().collect();
    let id = registry.id.map(|id| id.to_string());
    let is_foreign = |made: &Made| made.id.is_some() && made.id != id;
    let made = match made_by(None, &projects) {
        Answer::Is(made) => made,
        Answer::NoCommand | Answer::NoDaemon => return,
        Answer::Failed(said) => {
            return findings.warning("stacks", said, "check whether Docker runs");
        }
    };
    for made in made.into_iter().filter(is_foreign) {
        let slot = slots.get(&made.project).map(|slot| format!("slot {slot}")).unwrap_or_default();
        let root = made.root.unwrap_or_default();
        let found = format!(
            "{} `{}` has the name of the project of {slot} and belongs to another pool, in `{root}`",
            made.kind.word(),
            made.name
        );
        findings.error("stacks", found, "give this pool another `name` in slots.toml");
    }
}
