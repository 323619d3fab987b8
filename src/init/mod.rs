//! A project's Compose files → the `slots.toml` and templates of a pool that runs them. Pure: what there is to read is
//! given, and what is to be written is given back.
//!
//! The templates are the project's own texts, of which only the published ports and the paths of included files are
//! replaced. A slot's `docker-compose.yml` includes them with the project as their directory, so that every relative
//! path in them means what it always meant. A claim adds an override that includes them once more, with the worktree as
//! their directory: Compose merges the two, and every relative path means the worktree.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use crate::identifier::PortName;
use crate::proof::ports::Remedy;
use crate::slot::SlotId;

mod compose;
mod formulas;
mod published;
mod text;
mod yaml;

pub use compose::ComposeFile;

use compose::{Facts, Include, IncludeForm};
use formulas::Formulas;

/// The files that Compose looks for, in its order.
pub const COMPOSE_FILES: [&str; 4] =
    ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];

/// The files that Compose merges into those, in its order.
pub const OVERRIDE_FILES: [&str; 4] = [
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

/// How many slots a new pool has.
const SLOTS: u16 = 4;

/// A project to make a pool of.
#[derive(Debug)]
pub struct Project<'a> {
    /// The pool's name.
    pub name: &'a str,
    /// The project's directory, absolute or `~/…`.
    pub directory: &'a str,
    /// Where that is in the worktree that holds it, relative; empty at the top.
    pub below: &'a str,
    /// Its Compose files, the main one first, then its overrides, then those they include.
    pub files: &'a [ComposeFile],
    /// How many of them are the main one and its overrides.
    pub layers: usize,
    /// Whether there is a `.env`, which Compose reads by itself where it stands.
    pub has_env_file: bool,
    /// The ports of each service as Compose understands them, if it was asked: service and port of the host.
    pub published: Option<&'a BTreeSet<(String, String)>>,
}

/// What other pools on a machine ask of port formulas, all of it together, each with its reason.
pub type Remedies = BTreeMap<PortName, (Remedy, String)>;

/// What is to be written, and said about it.
#[derive(Debug)]
pub struct Draft {
    /// The files, `slots.toml` last: a project has a pool when all else is there.
    pub files: Vec<NewFile>,
    /// What people should know, in sentences.
    pub notes: Vec<String>,
}

/// A file to be written.
#[derive(Debug)]
pub struct NewFile {
    /// Where, from the project's directory.
    pub path: Utf8PathBuf,
    /// Its text.
    pub text: String,
    /// The file that it was made from, and that one's text.
    pub original: Option<(Utf8PathBuf, String)>,
}

impl NewFile {
    fn new(path: impl Into<Utf8PathBuf>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into(), original: None }
    }
}

impl Draft {
    /// A small pool to start from, where there is no Compose file.
    pub fn sample(name: &str, remedies: &Remedies) -> Self {
        Self { files: text::sample(name, remedies), notes: Vec::new() }
    }

    /// The embedded spec and its templates.
    pub fn embedded(spec: &str, templates: &[(&str, &str)]) -> Self {
        let templates = templates.iter().map(|(name, text)| NewFile::new(format!("templates/{name}"), *text));
        Self { files: templates.chain([NewFile::new("slots.toml", spec)]).collect(), notes: Vec::new() }
    }

    /// The pool that runs a project.
    ///
    /// # Errors
    /// A sentence that says which file cannot be read, or why there is no such pool.
    pub fn of(project: &Project<'_>, remedies: &Remedies) -> Result<Self, String> {
        let facts: Vec<Facts> = project.files.iter().map(ComposeFile::facts).collect::<Result<_, _>>()?;
        let slots: BTreeSet<SlotId> = (1..=SLOTS).filter_map(SlotId::new).collect();
        let places = project.files.iter().zip(&facts);
        let places = places.flat_map(|(file, facts)| facts.places.iter().map(move |place| (file, place)));
        let formulas = Formulas::of(places, &slots, remedies)?;
        let pool = Pool {
            project,
            formulas: &formulas,
            remedies,
            prefix: env_prefix(project),
            slot_paths: slot_paths(project.files),
        };
        let templates = project.files.iter().zip(&facts).map(|(file, facts)| NewFile {
            path: Utf8Path::new("templates").join(pool.slot_path(&file.path)),
            text: pool.template(file, facts),
            original: Some((file.path.clone(), file.text.clone())),
        });
        let mut files: Vec<NewFile> = templates.collect();
        files.extend(text::files(&pool));
        Ok(Self { files, notes: notes(project, &facts, &formulas) })
    }
}

/// The files that a file includes, and what relative paths in them start from, both from the project's directory.
///
/// # Errors
/// A sentence that says where it is no YAML that kinfra reads.
pub fn includes(file: &ComposeFile) -> Result<Vec<(Utf8PathBuf, Utf8PathBuf)>, String> {
    Ok(file.facts()?.includes.into_iter().map(|include| (include.path, include.base)).collect())
}

/// The ports of each service in what `docker compose config --format json` prints: service and port of the host.
/// `None` if that is not what it printed.
pub fn published(config: &str) -> Option<BTreeSet<(String, String)>> {
    // JSON is YAML, and what reads the one reads the other.
    let file = ComposeFile { path: Utf8PathBuf::new(), base: Utf8PathBuf::new(), text: config.to_owned() };
    file.facts().ok().map(|facts| facts.published)
}

/// A pool while it is written.
struct Pool<'a> {
    project: &'a Project<'a>,
    formulas: &'a Formulas,
    remedies: &'a Remedies,
    /// What the names of its variables start with.
    prefix: String,
    /// Where each Compose file is in a slot's directory.
    slot_paths: BTreeMap<Utf8PathBuf, String>,
}

impl Pool<'_> {
    fn slot_path(&self, file: &Utf8Path) -> &str {
        self.slot_paths.get(file).map_or("", String::as_str)
    }

    /// The file's own text, of which only the ports and the paths of included files are replaced.
    fn template(&self, file: &ComposeFile, facts: &Facts) -> String {
        let ports = facts
            .places
            .iter()
            .map(|place| (place.span.clone(), place.replacement(&self.formulas.names(place))));
        let includes = facts.includes.iter().filter(|include| self.slot_paths.contains_key(&include.path));
        let mut edits: Vec<(Range<usize>, String)> =
            ports.chain(includes.flat_map(|include| self.redirect(include))).collect();
        edits.sort_by_key(|(span, _)| span.start);
        text::template(&file.text, &edits)
    }

    /// Leads an included file's name to the slot's copy of it, and its relative paths to the project.
    fn redirect(&self, include: &Include) -> Vec<(Range<usize>, String)> {
        let path = format!("\"${{{}SLOT_DIR}}/{}\"", self.prefix, self.slot_path(&include.path));
        let base =
            if include.base.as_str().is_empty() { String::new() } else { format!("/{}", include.base) };
        let directory =
            format!("project_directory: \"${{{0}WORKTREE:-${{{0}PROJECT_DIR}}}}{base}\"", self.prefix);
        match &include.form {
            IncludeForm::Short => vec![(include.span.clone(), format!("{{path: {path}, {directory}}}"))],
            IncludeForm::Long { project_directory: None } => vec![(include.span.clone(), path)],
            IncludeForm::Long { project_directory: Some((at, separator)) } => {
                vec![(*at..*at, format!("{directory}{separator}")), (include.span.clone(), path)]
            }
        }
    }
}

/// The name that a directory's pool has: lowercase letters, digits, `_` and `-`.
pub fn pool_name(directory: &str) -> String {
    let name: String = directory
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' })
        .collect();
    let name = name.trim_matches(['-', '_']);
    if name.is_empty() { "pool".to_owned() } else { name.to_owned() }
}

/// The pool's name as the start of a variable, unless the project has such variables: those are its own.
fn env_prefix(project: &Project<'_>) -> String {
    let name: String = project.name.to_uppercase().replace('-', "_");
    let name =
        if name.starts_with(|first: char| first.is_ascii_digit()) { format!("_{name}_") } else { name + "_" };
    let uses = |start: &str| project.files.iter().any(|file| file.text.contains(&format!("{start}{name}")));
    if uses("$") || uses("${") { format!("KINFRA_{name}") } else { name }
}

/// A path in the slot's directory for every file: `project/…`, and `up` for `..`.
fn slot_paths(files: &[ComposeFile]) -> BTreeMap<Utf8PathBuf, String> {
    let mut paths = BTreeMap::new();
    for file in files {
        let component = |component: Utf8Component<'_>| {
            if component == Utf8Component::ParentDir {
                "up".to_owned()
            } else {
                component.as_str().to_owned()
            }
        };
        let plain = file.path.components().map(component).collect::<Vec<_>>().join("/");
        let mut path = format!("project/{plain}");
        while paths.values().any(|taken| *taken == path) {
            path = path.replacen("project/", "project/up/", 1);
        }
        paths.insert(file.path.clone(), path);
    }
    paths
}

fn notes(project: &Project<'_>, facts: &[Facts], formulas: &Formulas) -> Vec<String> {
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
        notes.push("a slot reads `.env` for the variables in the Compose files only: templates/docker-compose.yml says how to start one that needs more of it, such as COMPOSE_PROFILES".to_owned());
    }
    // By port alone: what `<<` and `!reset` make of a service is not for kinfra to say.
    let read: BTreeSet<&str> =
        facts.iter().flat_map(|facts| &facts.published).map(|(_, port)| port.as_str()).collect();
    match project.published {
        Some(published) => {
            for (service, port) in published.iter().filter(|(_, port)| !read.contains(port.as_str())) {
                notes.push(format!(
                    "service {service} publishes {port}, says Docker Compose, and none of these files does: every slot would publish it. Most likely the service `extends` another file: write its ports here"
                ));
            }
        }
        None => {
            for (service, file) in facts.iter().flat_map(|facts| &facts.extends) {
                notes.push(format!(
                    "service {service} extends `{file}`: if that publishes ports, every slot would publish them"
                ));
            }
        }
    }
    notes
}
