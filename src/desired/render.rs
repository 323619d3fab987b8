//! What is rendered: the files of every slot, those that a claim adds, and the variables of services.

use std::collections::BTreeMap;

use camino::Utf8Path;

use super::env_file::SlotValues;
use super::pool::{File, Pool};
use super::renderer::{Environments, RenderInputs, Renderer};
use crate::file::RelPath;
use crate::identifier::PortName;
use crate::port::Port;
use crate::registry::{AppliedFrom, Provisioned};
use crate::slot::SlotId;
use crate::spec::mistake::{Mistake, Source};

#[cfg(test)]
#[path = "render_tests.rs"]
pub(crate) mod tests;

/// Renders every file of every slot.
///
/// # Errors
/// Every mistake in the templates and in `[env]`, each with the file it is in.
pub fn render_pool(inputs: RenderInputs<'_>) -> Result<Pool, Vec<(Source, Mistake)>> {
    let RenderInputs { spec, root, home, .. } = inputs;
    let mut renderer = Renderer::new(inputs, spec.files.iter().chain(&spec.claim));
    let mut slots = BTreeMap::new();
    for (&id, profile) in &spec.slots {
        slots.insert(id, renderer.slot(id, profile));
        if renderer.has_had_enough() {
            break;
        }
    }
    renderer.check_what_claims_render();
    if renderer.mistakes.is_empty() {
        let (name, root, formulas) = (spec.name.clone(), root.to_owned(), spec.ports.clone());
        let import = spec.import.as_ref().and_then(|import| import.resolve(home));
        let applied_from = AppliedFrom::embedded(&name);
        let left_out = renderer.left_out.into_values().collect();
        let on_claim = spec.claim.iter().map(|file| file.path.get_ref().clone()).collect();
        let (project, secrets) = (None, renderer.secrets);
        return Ok(Pool {
            name,
            root,
            registry: spec.registry.clone(),
            project,
            applied_from,
            import,
            formulas,
            slots,
            elsewhere: spec.elsewhere.clone(),
            on_claim,
            left_out,
            secrets,
        });
    }
    Err(renderer.mistakes.into_values().collect())
}

/// Renders the files that a claim adds to a slot directory. They use the ports that the registry records for
/// the slot.
///
/// # Errors
/// Every mistake in the templates and in `[env]`, each with the file it is in.
pub fn render_claim_files(
    inputs: RenderInputs<'_>,
    slot: SlotId,
    provisioned: &Provisioned,
    worktree: &Utf8Path,
) -> Result<BTreeMap<RelPath, File>, Vec<(Source, Mistake)>> {
    let mut renderer = Renderer::new(inputs, &inputs.spec.claim);
    let (ports, dir) = (ports(provisioned), inputs.root.join(slot.directory()));
    let values =
        SlotValues { profile: &provisioned.profile, workers: &provisioned.workers, ports: &ports, dir: &dir };
    let files = renderer.render(slot, values, &inputs.spec.claim, Some(worktree));
    if renderer.mistakes.is_empty() { Ok(files) } else { Err(renderer.mistakes.into_values().collect()) }
}

/// Renders the further variables that the spec gives to services, for a slot and the worktree that holds it.
///
/// # Errors
/// Every mistake in them and in `[env]`.
pub fn render_environments(
    inputs: RenderInputs<'_>,
    slot: SlotId,
    provisioned: &Provisioned,
    worktree: &Utf8Path,
) -> Result<Environments, Vec<(Source, Mistake)>> {
    let mut renderer = Renderer::new(inputs, []);
    let (ports, dir) = (ports(provisioned), inputs.root.join(slot.directory()));
    let values =
        SlotValues { profile: &provisioned.profile, workers: &provisioned.workers, ports: &ports, dir: &dir };
    let rendered = renderer.environments(slot, values, worktree);
    if renderer.mistakes.is_empty() { Ok(rendered) } else { Err(renderer.mistakes.into_values().collect()) }
}

fn ports(provisioned: &Provisioned) -> Vec<(PortName, Port)> {
    provisioned.ports.iter().map(|(name, port)| (name.clone(), *port)).collect()
}
