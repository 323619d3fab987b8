//! What `kinfra init` would write, and what to say about it.

use std::collections::BTreeSet;

use camino::Utf8PathBuf;

use super::compose::facts;
use super::compose_facts::ComposeFacts;
use super::draft_file::DraftFile;
use super::draft_pool::{DraftPool, SLOTS};
use super::formulas::{Formulas, Remedies};
use super::project::Project;
use super::project_templates::project_template;
use super::slot_templates::slot_templates;
use super::slots_toml::{sample, slots_toml};
use crate::slot::SlotId;

/// The files to write, and notes on them.
#[derive(Debug)]
pub struct Draft {
    /// What it was made from.
    pub basis: Basis,
    /// The files. `slots.toml` is last, so that a project has a pool only once everything else is there.
    pub files: Vec<DraftFile>,
    /// What the user should know, in sentences.
    pub notes: Vec<String>,
}

/// What a draft is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Basis {
    /// The pool that kinfra carries.
    Embedded,
    /// Nothing: the project has no Compose file.
    Sample,
    /// Compose files of the project.
    Compose {
        /// The main file and its override.
        files: Vec<Utf8PathBuf>,
        /// Why Docker Compose could not be asked about them; `None` if it was.
        unasked: Option<String>,
    },
}

impl Draft {
    /// A small pool to start from, where there is no Compose file.
    pub fn sample(name: &str, remedies: &Remedies) -> Self {
        Self { basis: Basis::Sample, files: sample(name, remedies), notes: Vec::new() }
    }

    /// The embedded spec and its templates.
    pub fn embedded(spec: &str, templates: &[(&str, &str)]) -> Self {
        let templates =
            templates.iter().map(|(name, text)| DraftFile::new(format!("templates/{name}"), *text));
        let files = templates.chain([DraftFile::new("slots.toml", spec)]).collect();
        Self { basis: Basis::Embedded, files, notes: Vec::new() }
    }

    /// The pool that runs a project.
    ///
    /// # Errors
    /// A sentence that says which file cannot be read, or why there is no such pool.
    pub fn of(project: &Project, remedies: &Remedies) -> Result<Self, String> {
        let facts: Vec<ComposeFacts> = project.files.iter().map(facts).collect::<Result<_, _>>()?;
        let slots: BTreeSet<SlotId> = (1..=SLOTS).filter_map(SlotId::new).collect();
        let places = project.files.iter().zip(&facts);
        let places = places.flat_map(|(file, facts)| facts.places.iter().map(move |place| (file, place)));
        let formulas = Formulas::of(places, &slots, remedies)?;
        let pool = DraftPool::new(project, &formulas, remedies);
        let own = project.files.iter().zip(&facts).map(|(file, facts)| project_template(&pool, file, facts));
        let files = own.chain(slot_templates(&pool)).chain([slots_toml(&pool)]).collect();
        let basis = Basis::Compose {
            files: project.files.iter().take(project.layers).map(|file| file.path.clone()).collect(),
            unasked: project.published.as_ref().err().cloned(),
        };
        Ok(Self { basis, files, notes: notes(project, &facts, &formulas) })
    }
}

fn notes(project: &Project, facts: &[ComposeFacts], formulas: &Formulas) -> Vec<String> {
    let moved = formulas.declared.iter().filter_map(|declared| {
        let (name, base) = (&declared.name, declared.formula.base);
        let moved = declared.moved.as_ref()?;
        Some(format!("port `{name}` ({}) has the base {base}: {moved}", declared.origin))
    });
    let mut notes: Vec<String> =
        moved.chain(facts.iter().flat_map(|facts| facts.notes.iter().cloned())).collect();
    if formulas.declared.is_empty() {
        notes.push("the project publishes no port: slots.toml declares one that nothing uses yet".to_owned());
    }
    if project.has_env_file {
        notes.push("a slot reads `.env` only for the variables in the Compose files. If you need more of it, such as COMPOSE_PROFILES, templates/docker-compose.yml says how to start the slot".to_owned());
    }
    notes.extend(unread_ports(project, facts));
    let missing = project.missing.iter();
    notes.extend(missing.map(|(path, by)| format!("`{path}`, included by {by}, is not there")));
    notes
}

/// Notes the ports that the project publishes, or may, from files that kinfra has not read.
fn unread_ports(project: &Project, facts: &[ComposeFacts]) -> Vec<String> {
    let Ok(published) = &project.published else {
        let extends = facts.iter().flat_map(|facts| &facts.extends);
        let note = |(service, file): &(String, String)| {
            format!(
                "service {service} extends `{file}`: if that publishes ports, every slot would publish them"
            )
        };
        return extends.map(note).collect();
    };
    // Services do not count, because only Compose knows what `<<` and `!reset` make of one.
    let read: BTreeSet<&str> =
        facts.iter().flat_map(|facts| &facts.published).map(|(_, port)| port.as_str()).collect();
    let unread = published.iter().filter(|(_, port)| !read.contains(port.as_str()));
    let note = |(service, port): &(String, String)| {
        format!(
            "Docker Compose says that service {service} publishes {port}, and none of these files does. Every slot would publish it. If the service `extends` another file, write its ports here"
        )
    };
    unread.map(note).collect()
}
