//! What `kinfra init` would write, and what to say about it.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::addresses::addresses;
use super::compose_file::ComposeFile;
use super::images::{self, Dockerfiles};
use super::isolation::{ImageVolumes, Place, set_apart};
use super::slots_toml::{DraftPort, DraftSpec, Remedies, SLOTS, sample, text};
use super::variables;
use crate::compose::model::Model;
use crate::compose::overlay::{PortLine, Slot, overlay, port_lines};
use crate::compose::source::variables as named;
use crate::identifier::PortName;
use crate::names::{SPEC, TEMPLATES};
use crate::port::Port;
use crate::proof::ports::Remedy;
use crate::slot::{SlotId, Workers};
use crate::spec::Spec;

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

/// A file to be written.
#[derive(Debug)]
pub struct DraftFile {
    /// Its path, from the project's directory.
    pub path: Utf8PathBuf,
    /// Its text.
    pub text: String,
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
        /// The files, from the project's directory.
        files: Vec<Utf8PathBuf>,
        /// Why Docker Compose could not be asked about them; `None` if it was.
        unasked: Option<String>,
    },
}

/// A project as init reads it.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) model: Model,
    /// The text of its files, for the lines that things stand on.
    pub(super) sources: Vec<ComposeFile>,
    /// Its own files, from the directory of slots.toml.
    pub(super) names: Vec<Utf8PathBuf>,
    /// The same from the worktree, if slots.toml must name them.
    pub(super) files: Vec<String>,
    pub(super) unasked: Option<String>,
    /// What could not be read, in sentences.
    pub(super) notes: Vec<String>,
    pub(super) dockerfiles: Dockerfiles,
    pub(super) image_volumes: ImageVolumes,
    /// Files that git does not bring.
    pub(super) copy: Vec<String>,
}

/// A new pool's name, and where its project is.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewPool<'a> {
    pub(super) name: &'a str,
    pub(super) place: Place<'a>,
}

/// A container port of a service that is not the first thing that a person opens.
const BACKING: [u16; 15] =
    [22, 53, 389, 1025, 1433, 2181, 3306, 5432, 5672, 6379, 9092, 9200, 9300, 11211, 27017];

impl Draft {
    /// A small pool to start from, where there is no Compose file.
    pub(super) fn sample(name: &str, remedies: &Remedies) -> Self {
        let web = remedies.iter().find(|(port, _)| port.as_str() == "web").map(|(_, remedy)| remedy);
        let text = sample(name, &prefix(name, &[]), web);
        Self { basis: Basis::Sample, files: vec![DraftFile { path: SPEC.into(), text }], notes: Vec::new() }
    }

    /// The embedded spec and its templates.
    pub(super) fn embedded(spec: &str, templates: &[(&str, &str)]) -> Self {
        let file = |path: String, text: &str| DraftFile { path: path.into(), text: text.to_owned() };
        let templates = templates.iter().map(|(name, text)| file(format!("{TEMPLATES}/{name}"), text));
        let files = templates.chain([file(SPEC.to_owned(), spec)]).collect();
        Self { basis: Basis::Embedded, files, notes: Vec::new() }
    }

    /// The pool that runs a project.
    ///
    /// # Errors
    /// A sentence that says why there is no such pool.
    pub(super) fn of(reading: &Reading, pool: NewPool<'_>, remedies: &Remedies) -> Result<Self, String> {
        let prefix = prefix(pool.name, &reading.sources);
        let (model, sources) = (&reading.model, &reading.sources);
        let mut lines = port_lines(model, &empty_spec(pool.name, &prefix)?);
        // The first one is the primary port.
        lines.sort_by_key(|line| line.target.protocol.is_udp() || BACKING.contains(&line.target.port));
        let ports: Vec<DraftPort> = lines.iter().cloned().map(|line| draft_port(line, remedies)).collect();
        let apart = set_apart(model, sources, pool.place, &reading.image_volumes);
        let addresses = addresses(model, &lines, sources);
        let draft = DraftSpec {
            name: pool.name,
            prefix: &prefix,
            ports: &ports,
            files: &reading.files,
            apart: &apart,
            addresses: &addresses,
            copy: &reading.copy,
        };
        let text = text(&draft);
        let spec = parse(&text)?;
        let mut notes = reading.notes.clone();
        notes.extend(ports.iter().filter_map(moved));
        if ports.is_empty() {
            notes.push(
                "the project publishes no port: slots.toml declares one that nothing uses yet".to_owned(),
            );
        }
        notes.extend(apart.notes.clone());
        notes.extend(not_as_in_the_project(model, &spec, pool.place.worktree));
        notes.extend(images::notes(model, &reading.dockerfiles));
        notes.extend(variables::notes(sources));
        notes.extend(addresses.notes.clone());
        let basis = Basis::Compose { files: reading.names.clone(), unasked: reading.unasked.clone() };
        Ok(Self { basis, files: vec![DraftFile { path: SPEC.into(), text }], notes })
    }
}

/// The pool's name as the start of a variable. If the project has ports or workers whose variables start like
/// this, `KINFRA_` goes before it: kinfra must not set a variable that means something else to the project.
fn prefix(name: &str, sources: &[ComposeFile]) -> String {
    let name: String = name.to_uppercase().replace('-', "_");
    let name =
        if name.starts_with(|first: char| first.is_ascii_digit()) { format!("_{name}_") } else { name + "_" };
    let is_taken = |variable: &str| {
        variable.starts_with(&name) && (variable.ends_with("_PORT") || variable.ends_with("_WORKERS"))
    };
    let used = sources.iter().flat_map(|source| source.root.scalars());
    let is_used = used.flat_map(|(_, text)| named(text)).any(|variable| is_taken(&variable));
    let is_set = sources.iter().flat_map(|source| source.variables.keys()).any(|variable| is_taken(variable));
    if is_used || is_set { format!("KINFRA_{name}") } else { name }
}

/// The pool before it has ports.
fn empty_spec(name: &str, prefix: &str) -> Result<Spec, String> {
    let nothing = (super::isolation::Apart::default(), super::addresses::Addresses::default());
    let draft = DraftSpec {
        name,
        prefix,
        ports: &[],
        files: &[],
        apart: &nothing.0,
        addresses: &nothing.1,
        copy: &[],
    };
    let mut spec = parse(&text(&draft))?;
    spec.ports.clear();
    Ok(spec)
}

fn parse(text: &str) -> Result<Spec, String> {
    Spec::parse(text).map_err(|mistakes| {
        let first = mistakes.first().map(|mistake| mistake.message.clone()).unwrap_or_default();
        format!("there is no valid pool for this project: {first}")
    })
}

/// A port, changed as the other pools on the machine ask.
fn draft_port(mut line: PortLine, remedies: &Remedies) -> DraftPort {
    let remedy = remedies.iter().find(|(name, _)| name.as_str() == line.name).map(|(_, remedy)| remedy);
    let own = line.own;
    let mut why = own.filter(|own| *own != line.range.first.base.get()).map(|own| {
        if own < Port::MIN {
            format!("{own} needs privilege")
        } else if own > Port::MAX - SLOTS {
            format!("{own} leaves no room for the slots")
        } else {
            format!("{own} is another port's")
        }
    });
    match remedy {
        Some((Remedy::Stride(stride), _)) => line.range.first.stride = *stride,
        Some((Remedy::Base(base), reason)) => {
            line.range.first.base = *base;
            why = Some(reason.clone());
        }
        None => {}
    }
    DraftPort { line, why }
}

fn moved(port: &DraftPort) -> Option<String> {
    let DraftPort { line: PortLine { name, target, range, own: _ }, why } = port;
    Some(format!("port `{name}` ({target}) has the base {}: {}", range.first.base, why.as_ref()?))
}

/// What the overlay of a slot would say.
fn not_as_in_the_project(model: &Model, spec: &Spec, worktree: &Utf8Path) -> Vec<String> {
    let Some(id) = SlotId::new(1) else { return Vec::new() };
    let port =
        |(name, formula): &(PortName, crate::port::PortFormula)| Some((name.clone(), formula.port(1)?));
    let slot = Slot {
        pool: &spec.name,
        id,
        tag: "slot",
        registry: "",
        root: Utf8Path::new("/"),
        worktree,
        ports: &spec.ports.iter().filter_map(port).collect(),
        spec,
        workers: &Workers::default(),
        environment: &BTreeMap::new(),
        subnet: None,
    };
    overlay(model, &slot).map(|overlay| overlay.notes).unwrap_or_default()
}
