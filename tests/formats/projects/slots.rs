//! The slots of a project, as its slots.toml declares them.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use kinfra::compose::model::Model;
use kinfra::compose::overlay::{self, Overlay};
use kinfra::compose::project::Project;
use kinfra::desired::{Environments, Pool, RenderInputs, TemplateTexts, render_environments, render_pool};
use kinfra::slot::SlotId;
use kinfra::spec::Spec;
use kinfra::spec::mistake::{Source, SourceKind};

use super::trial::{HOME, Trial};

/// The slots of a project.
pub(super) struct Slots {
    pub(super) spec: Spec,
    pool: Pool,
}

/// A slot and the worktree that holds it.
pub(super) struct Claimed {
    pub(super) id: SlotId,
    /// The worktree's project, with the variables of the slot.
    pub(super) project: Project,
    /// The name of its stack.
    pub(super) name: String,
    environment: Environments,
}

impl Slots {
    pub(super) fn declared(toml: &str) -> Result<Self, String> {
        let mut spec =
            Spec::parse(toml).map_err(|mistakes| format!("slots.toml is invalid: {mistakes:?}"))?;
        spec.compose = spec.compose.map(|compose| compose.in_home(HOME.into()));
        let root = spec.root.resolve(Some(HOME.into())).expect("a root");
        let pool = with_inputs(&spec, &root, render_pool);
        let pool = pool.map_err(|mistakes| format!("slots.toml is invalid: {mistakes:?}"))?;
        Ok(Self { spec, pool })
    }

    /// The slot of a worktree: its variables are written to the slot's directory.
    pub(super) fn claimed(&self, trial: &Trial, id: u16) -> Result<Claimed, String> {
        let compose = self.spec.compose.as_ref().ok_or("slots.toml has no [compose]")?;
        let slot = SlotId::new(id).expect("an id");
        let desired = self.pool.slots.get(&slot).ok_or(format!("there is no slot {id}"))?;
        let worktree = trial.worktree(id);
        let mut dir = Utf8PathBuf::new();
        for (path, file) in &desired.files {
            let file = trial.write(&format!("slots/{id}/{}", path.as_path()), &file.text);
            file.parent().expect("a directory").clone_into(&mut dir);
        }
        let project = Project::find(&worktree, compose).and_then(|project| project.with_slot(&dir));
        let project = project.map_err(|error| error.to_string())?;
        let environment = with_inputs(&self.spec, &self.pool.root, |inputs| {
            render_environments(inputs, slot, &desired.provisioned(), &worktree)
        });
        let environment = environment.map_err(|mistakes| format!("[services]: {mistakes:?}"))?;
        Ok(Claimed { id: slot, project, name: self.pool.project(slot), environment })
    }

    pub(super) fn overlay(&self, claimed: &Claimed, model: &Model) -> Overlay {
        let desired = &self.pool.slots[&claimed.id];
        let ports: BTreeMap<_, _> = desired.ports.iter().cloned().collect();
        let slot = overlay::Slot {
            pool: &self.pool.name,
            id: claimed.id,
            tag: "slot",
            registry: "5f0c",
            root: &self.pool.root,
            worktree: &claimed.project.worktree,
            ports: &ports,
            spec: &self.spec,
            workers: &desired.profile.workers,
            environment: &claimed.environment,
            subnet: None,
        };
        overlay::overlay(model, &slot).expect("it needs no addresses")
    }
}

fn with_inputs<T>(spec: &Spec, root: &camino::Utf8Path, render: impl FnOnce(RenderInputs<'_>) -> T) -> T {
    let source = Source { name: "slots.toml".to_owned(), text: "".into(), kind: SourceKind::Spec };
    let templates = TemplateTexts::new();
    render(RenderInputs { spec, source: &source, templates: &templates, root, home: Some(HOME.into()) })
}
