//! Whose the containers, volumes and networks under the names of the slots' projects are.

use super::finding::Findings;
use crate::desired::Pool;
use crate::host::docker::Answer;
use crate::host::things;
use crate::observe::projects::Projects;
use crate::registry::Registry;
use crate::thing::{Kind, Thing};

/// Names what has the name of a slot's project and another registry's label: another user's, or another home
/// directory's.
pub(super) fn check_owners(registry: Option<&Registry>, pool: &Pool, findings: &mut Findings) {
    let Some(registry) = registry else { return };
    let id = registry.id.map(|id| id.to_string());
    let is_foreign = |thing: &Thing| !thing.labels.id.is_empty() && id.as_ref() != Some(&thing.labels.id);
    let projects = Projects::new(registry.slots.keys().map(|slot| (*slot, pool.project(*slot))));
    let there = match things::list(None, &[Kind::Container, Kind::Volume, Kind::Network]) {
        Answer::Is(there) => there,
        Answer::NoCommand | Answer::NoDaemon => return,
        Answer::Failed(said) => {
            return findings.warning("stacks", said, "check whether Docker runs");
        }
    };
    for thing in there.into_iter().filter(is_foreign) {
        let Some(slot) = projects.slot(&thing) else { continue };
        let found = format!(
            "{} `{}` has the name of the project of slot {slot} and belongs to another pool, in `{}`",
            thing.kind.word(),
            thing.name,
            thing.labels.root
        );
        findings.error("stacks", found, "give this pool another `name` in slots.toml");
    }
}
