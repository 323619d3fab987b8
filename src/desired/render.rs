//! Rendering: the texts of the files of every slot, and of those that a claim adds.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use camino::Utf8Path;

use super::{File, Pool, Slot};
use crate::digest::Digest;
use crate::file::RelPath;
use crate::identifier::{PortName, ProfileName, WorkerKind};
use crate::port::Port;
use crate::registry::Provisioned;
use crate::slot::{Profile, SlotId, Workers};
use crate::spec::mistake::{Mistake, Source, SourceKind, suggestion};
use crate::spec::{FileSpec, Spec, VariableSpec};
use crate::template::{Base, Context, TemplateError, Templates};

/// What stands for the value of a sensitive variable.
pub const MASK: &str = "(sensitive)";

/// What the machine adds to a spec.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The pool's root, absolute.
    pub root: &'a Utf8Path,
    /// The home directory, for values that start with `~/`.
    pub home: Option<&'a Utf8Path>,
}

/// Templates by name: the text, or why there is none ("does not exist").
pub type TemplateTexts = BTreeMap<RelPath, Result<String, String>>;

/// Renders every file of every slot.
///
/// # Errors
/// Every mistake in templates, and in what the spec says of them, each with the file it is in.
pub fn resolve(
    spec: &Spec,
    source: &Source,
    texts: &TemplateTexts,
    place: Place<'_>,
) -> Result<Pool, Vec<(Source, Mistake)>> {
    let mut renderer = Renderer::new(spec, source, place, spec.files.iter().chain(&spec.claim), texts);
    let slots = spec.slots.iter().map(|(&id, profile)| (id, renderer.slot(id, profile))).collect();
    renderer.try_claims();
    if renderer.mistakes.is_empty() {
        let (name, root, formulas) = (spec.name.clone(), place.root.to_owned(), spec.ports.clone());
        let import = spec.import.as_ref().and_then(|import| import.resolve(place.home));
        return Ok(Pool { name, root, import, formulas, slots, secrets: renderer.secrets });
    }
    Err(renderer.mistakes.into_values().collect())
}

/// Renders the files that a claim writes into the directory of a slot, on the ports that the slot has.
///
/// # Errors
/// Every mistake in the templates, each with the file it is in.
pub fn claim_files(
    spec: &Spec,
    source: &Source,
    texts: &TemplateTexts,
    place: Place<'_>,
    (slot, provisioned): (SlotId, &Provisioned),
    worktree: &Utf8Path,
) -> Result<BTreeMap<RelPath, File>, Vec<(Source, Mistake)>> {
    let mut renderer = Renderer::new(spec, source, place, &spec.claim, texts);
    let ports: Vec<_> = provisioned.ports.iter().map(|(name, port)| (name.clone(), *port)).collect();
    let dir = place.root.join(slot.directory());
    let facts =
        Facts { profile: &provisioned.profile, workers: &provisioned.workers, ports: &ports, dir: &dir };
    let files = renderer.render(slot, facts, &spec.claim, Some(worktree));
    if renderer.mistakes.is_empty() { Ok(files) } else { Err(renderer.mistakes.into_values().collect()) }
}

/// What is particular to a slot.
#[derive(Clone, Copy)]
struct Facts<'a> {
    profile: &'a ProfileName,
    workers: &'a Workers,
    ports: &'a [(PortName, Port)],
    dir: &'a Utf8Path,
}

/// The name of a variable's value among the templates.
fn key(variable: &VariableSpec) -> String {
    format!("[env] {}", variable.name.get_ref())
}

/// Renders slot after slot. A template that failed once is not tried again: the first slot's mistake is the one to mend.
struct Renderer<'a> {
    spec: &'a Spec,
    source: &'a Source,
    place: Place<'a>,
    templates: Templates<'a>,
    /// By template: the first mistake in it.
    mistakes: BTreeMap<String, (Source, Mistake)>,
    /// The texts rendered so far, so that equal ones are kept and hashed once.
    texts: BTreeMap<Rc<str>, Digest>,
    /// The values of sensitive variables so far.
    secrets: BTreeSet<String>,
}

impl<'a> Renderer<'a> {
    /// Compiles the templates of these files, and the values of variables.
    fn new(
        spec: &'a Spec,
        source: &'a Source,
        place: Place<'a>,
        files: impl IntoIterator<Item = &'a FileSpec>,
        texts: &'a TemplateTexts,
    ) -> Self {
        let mut renderer = Self {
            spec,
            source,
            place,
            templates: Templates::new(),
            mistakes: BTreeMap::new(),
            texts: BTreeMap::new(),
            secrets: BTreeSet::new(),
        };
        for file in files {
            renderer.compile(file, texts);
        }
        for variable in &spec.env {
            if let Err(error) = renderer.templates.add(&key(variable), variable.value.get_ref()) {
                renderer.note_value(variable, error.message, None);
            }
        }
        renderer
    }

    fn compile(&mut self, file: &'a FileSpec, texts: &'a TemplateTexts) {
        let name = file.template.get_ref();
        let text =
            texts.get(name).map_or(Err("was not read"), |text| text.as_deref().map_err(String::as_str));
        match text.map(|text| self.templates.add(name.as_str(), text)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.note_template(file, error, None),
            Err(reason) => {
                let mistake =
                    Mistake::new(file.template.span(), format!("template `templates/{name}` {reason}"));
                self.mistakes.entry(name.to_string()).or_insert_with(|| (self.source.clone(), mistake));
            }
        }
    }

    fn slot(&mut self, id: SlotId, profile: &Rc<Profile>) -> Slot {
        let ports = self.ports(id);
        let dir = self.place.root.join(id.directory());
        let facts = Facts { profile: &profile.name, workers: &profile.workers, ports: &ports, dir: &dir };
        let files = self.render(id, facts, &self.spec.files, None);
        Slot { id, profile: Rc::clone(profile), ports, dir, files }
    }

    fn ports(&self, id: SlotId) -> Vec<(PortName, Port)> {
        let ports = self.spec.ports.iter();
        ports.filter_map(|(name, formula)| Some((name.clone(), formula.port(id.get())?))).collect()
    }

    /// Finds the mistakes in what claims write: for any worktree, and a slot of each of the profiles that do not count the
    /// same kinds of workers.
    fn try_claims(&mut self) {
        let spec = self.spec;
        if spec.claim.is_empty() {
            return;
        }
        let mut tried: BTreeSet<Vec<&WorkerKind>> = BTreeSet::new();
        let kinds = |profile: &'a Profile| profile.workers.keys().collect();
        for (&id, profile) in spec.slots.iter().filter(|(_, profile)| tried.insert(kinds(profile))) {
            let (ports, dir) = (self.ports(id), self.place.root.join(id.directory()));
            let facts = Facts { profile: &profile.name, workers: &profile.workers, ports: &ports, dir: &dir };
            self.render(id, facts, &spec.claim, Some(Utf8Path::new("/worktree")));
        }
    }

    /// Renders these files for a slot.
    fn render(
        &mut self,
        slot: SlotId,
        facts: Facts<'_>,
        files: &[FileSpec],
        worktree: Option<&Utf8Path>,
    ) -> BTreeMap<RelPath, File> {
        let Facts { profile, workers, ports, dir } = facts;
        let context = Context {
            slot,
            profile,
            dir,
            pool: &self.spec.name,
            root: self.place.root,
            env_prefix: &self.spec.env_prefix,
            ports,
            workers,
            env: None,
            worktree: None,
        };
        let base = context.base();
        let env = self.env(&base, &context);
        let context = Context { env: Some(&env), worktree, ..context };
        self.files(files, &base, &context)
    }

    fn env(&mut self, base: &Base, context: &Context<'_>) -> Vec<(String, String)> {
        let facts = base.value(context);
        let mut env = Vec::new();
        for variable in &self.spec.env {
            let value = match self.templates.render(&key(variable), &facts) {
                Ok(value) => self.absolute(variable, value),
                Err(error) => {
                    let help = error.undefined.and_then(|name| suggest(&name, context));
                    self.note_value(variable, error.message, help);
                    continue;
                }
            };
            if variable.sensitive && !value.is_empty() {
                self.secrets.insert(value.clone());
            }
            env.push((variable.name.get_ref().clone(), value));
        }
        env
    }

    /// Makes `~/` absolute.
    fn absolute(&mut self, variable: &VariableSpec, value: String) -> String {
        let Some(below) = value.strip_prefix("~/") else {
            return value;
        };
        if let Some(home) = self.place.home {
            return home.join(below).into_string();
        }
        let message = "`~/` needs a home directory, and HOME is not set to an absolute path".to_owned();
        self.note_value(variable, message, None);
        value
    }

    fn files(&mut self, specs: &[FileSpec], base: &Base, context: &Context<'_>) -> BTreeMap<RelPath, File> {
        let facts = base.value(context);
        let mut files = BTreeMap::new();
        for file in specs {
            let name = file.template.get_ref();
            if self.mistakes.contains_key(name.as_str()) {
                continue;
            }
            match self.templates.render(name.as_str(), &facts) {
                Ok(text) => {
                    let masked = self.masked(&text, file, base, context);
                    if file.mode.is_open_to_others() && masked.is_some() {
                        self.note_open_secret(file);
                    }
                    let (text, digest) = self.shared(text);
                    let file_of_slot = File { text, digest, mode: file.mode, masked };
                    files.insert(file.path.get_ref().clone(), file_of_slot);
                }
                Err(error) => self.note_template(file, error, Some(context)),
            }
        }
        files
    }

    /// A text with `(sensitive)` for the values of sensitive variables; `None` where it does not depend on one.
    fn masked(&self, text: &str, file: &FileSpec, base: &Base, context: &Context<'_>) -> Option<Rc<str>> {
        let name = file.template.get_ref().as_str();
        if self.secrets.is_empty() || !self.templates.may_use_env(name) {
            return None;
        }
        let mask = |(name, value): &(String, String)| {
            let shown = if self.is_sensitive(name) { MASK } else { value };
            (name.clone(), shown.to_owned())
        };
        let env: Vec<(String, String)> = context.env.unwrap_or_default().iter().map(mask).collect();
        let context = Context { env: Some(&env), ..*context };
        let masked = self.templates.render(name, &base.value(&context));
        // What the mask cannot be used for shows nothing at all.
        let masked = masked.unwrap_or_else(|_| MASK.to_owned());
        (masked != text).then(|| Rc::from(masked))
    }

    fn is_sensitive(&self, name: &str) -> bool {
        self.spec.env.iter().any(|variable| variable.sensitive && variable.name.get_ref() == name)
    }

    fn note_open_secret(&mut self, file: &FileSpec) {
        let (path, mode) = (file.path.get_ref(), file.mode);
        let message =
            format!("`{path}` holds the value of a sensitive variable, and others may read it ({mode})");
        let help = "leave out its `mode`, or `sensitive` where the value is none".to_owned();
        let mistake = Mistake::new(file.path.span(), message).help(help);
        self.mistakes
            .entry(file.template.get_ref().to_string())
            .or_insert_with(|| (self.source.clone(), mistake));
    }

    fn shared(&mut self, text: String) -> (Rc<str>, Digest) {
        if let Some((text, digest)) = self.texts.get_key_value(text.as_str()) {
            return (Rc::clone(text), *digest);
        }
        let (digest, text) = (Digest::of(text.as_bytes()), Rc::<str>::from(text));
        self.texts.insert(Rc::clone(&text), digest);
        (text, digest)
    }

    fn note_template(&mut self, file: &FileSpec, error: TemplateError, context: Option<&Context<'_>>) {
        let name = file.template.get_ref().to_string();
        let TemplateError { span, message, undefined, text } = error;
        let help = context.zip(undefined).and_then(|(context, name)| suggest(&name, context));
        let slot = context.map_or_else(String::new, |context| format!(" of slot {}", context.slot));
        let note = format!("{} makes `{}`{slot} from it", self.source.name, file.path.get_ref());
        let path = Utf8Path::new(&self.source.name).with_file_name("templates").join(&name);
        let source = Source { name: path.into_string(), text, kind: SourceKind::Template };
        let mistake = Mistake::new(span, message).help(help).note(note);
        self.mistakes.entry(name).or_insert_with(|| (source, mistake));
    }

    fn note_value(&mut self, variable: &VariableSpec, message: String, help: Option<String>) {
        let mistake = Mistake::new(variable.value.span(), message).help(help);
        self.mistakes.entry(key(variable)).or_insert_with(|| (self.source.clone(), mistake));
    }
}

/// The name that a template can use and that is most like one it cannot, or else all it can use.
fn suggest(undefined: &str, context: &Context<'_>) -> Option<String> {
    let names = context.names();
    suggestion(undefined, names.iter().map(String::as_str), "a template can use")
}
