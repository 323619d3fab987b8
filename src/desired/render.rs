//! Renders the files of every slot, and those that a claim adds.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use camino::Utf8Path;

use super::pool::{File, Pool, Slot};
use crate::digest::Digest;
use crate::file::RelPath;
use crate::identifier::{PortName, ProfileName, WorkerKind};
use crate::port::Port;
use crate::registry::Provisioned;
use crate::slot::{Profile, SlotId, Workers};
use crate::spec::mistake::{Mistake, Source, SourceKind, suggestion};
use crate::spec::{FileSpec, Spec, VariableSpec};
use crate::template::{Base, Context, TemplateError, Templates};

/// Stands for the value of a sensitive variable.
pub const MASK: &str = "(sensitive)";

/// Templates by name: the text, or the reason why there is none, such as "does not exist".
pub type TemplateTexts = BTreeMap<RelPath, Result<String, String>>;

/// Everything that decides the text of a file.
#[derive(Debug, Clone, Copy)]
pub struct RenderInputs<'a> {
    /// The declared pool.
    pub spec: &'a Spec,
    /// The file that declares it.
    pub source: &'a Source,
    /// The texts of its templates.
    pub templates: &'a TemplateTexts,
    /// The pool's directory, absolute.
    pub root: &'a Utf8Path,
    /// The home directory, for values that start with `~/`.
    pub home: Option<&'a Utf8Path>,
}

/// Renders every file of every slot.
///
/// # Errors
/// Every mistake in the templates and in `[env]`, each with the file it is in.
pub fn render_pool(inputs: RenderInputs<'_>) -> Result<Pool, Vec<(Source, Mistake)>> {
    let RenderInputs { spec, root, home, .. } = inputs;
    let mut renderer = Renderer::new(inputs, spec.files.iter().chain(&spec.claim));
    let slots = spec.slots.iter().map(|(&id, profile)| (id, renderer.slot(id, profile))).collect();
    renderer.check_claim_files();
    if renderer.mistakes.is_empty() {
        let (name, root, formulas) = (spec.name.clone(), root.to_owned(), spec.ports.clone());
        let import = spec.import.as_ref().and_then(|import| import.resolve(home));
        return Ok(Pool { name, root, import, formulas, slots, secrets: renderer.secrets });
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
    let ports: Vec<_> = provisioned.ports.iter().map(|(name, port)| (name.clone(), *port)).collect();
    let dir = inputs.root.join(slot.directory());
    let values =
        SlotValues { profile: &provisioned.profile, workers: &provisioned.workers, ports: &ports, dir: &dir };
    let files = renderer.render(slot, values, &inputs.spec.claim, Some(worktree));
    if renderer.mistakes.is_empty() { Ok(files) } else { Err(renderer.mistakes.into_values().collect()) }
}

/// The values that differ from slot to slot.
#[derive(Clone, Copy)]
struct SlotValues<'a> {
    profile: &'a ProfileName,
    workers: &'a Workers,
    ports: &'a [(PortName, Port)],
    dir: &'a Utf8Path,
}

/// The template name of a variable's value.
fn template_name(variable: &VariableSpec) -> String {
    format!("[env] {}", variable.name.get_ref())
}

/// Renders one slot after the other. A template that fails for one slot is skipped for the others, because
/// they would most likely repeat its mistake.
struct Renderer<'a> {
    inputs: RenderInputs<'a>,
    templates: Templates<'a>,
    /// The first mistake of each template, by template name.
    mistakes: BTreeMap<String, (Source, Mistake)>,
    /// The texts rendered so far. Equal texts are stored and hashed once.
    texts: BTreeMap<Rc<str>, Digest>,
    /// The values of sensitive variables rendered so far.
    secrets: BTreeSet<String>,
}

impl<'a> Renderer<'a> {
    /// Compiles the templates of these files, and the values of `[env]`.
    fn new(inputs: RenderInputs<'a>, files: impl IntoIterator<Item = &'a FileSpec>) -> Self {
        let mut renderer = Self {
            inputs,
            templates: Templates::new(),
            mistakes: BTreeMap::new(),
            texts: BTreeMap::new(),
            secrets: BTreeSet::new(),
        };
        for file in files {
            renderer.compile(file);
        }
        for variable in &inputs.spec.env {
            if let Err(error) = renderer.templates.add(&template_name(variable), variable.value.get_ref()) {
                renderer.note_value(variable, error.message, None);
            }
        }
        renderer
    }

    fn compile(&mut self, file: &'a FileSpec) {
        let name = file.template.get_ref();
        let text = self.inputs.templates.get(name);
        let text = text.map_or(Err("was not read"), |text| text.as_deref().map_err(String::as_str));
        match text.map(|text| self.templates.add(name.as_str(), text)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.note_template(file, error, None),
            Err(reason) => {
                let mistake =
                    Mistake::new(file.template.span(), format!("template `templates/{name}` {reason}"));
                self.mistakes
                    .entry(name.to_string())
                    .or_insert_with(|| (self.inputs.source.clone(), mistake));
            }
        }
    }

    fn slot(&mut self, id: SlotId, profile: &Rc<Profile>) -> Slot {
        let ports = self.ports(id);
        let dir = self.inputs.root.join(id.directory());
        let values =
            SlotValues { profile: &profile.name, workers: &profile.workers, ports: &ports, dir: &dir };
        let files = self.render(id, values, &self.inputs.spec.files, None);
        Slot { id, profile: Rc::clone(profile), ports, udp: self.udp(), dir, files }
    }

    /// The names of the ports that are UDP.
    fn udp(&self) -> BTreeSet<PortName> {
        let udp = self.inputs.spec.ports.iter().filter(|(_, formula)| formula.protocol.is_udp());
        udp.map(|(name, _)| name.clone()).collect()
    }

    fn ports(&self, id: SlotId) -> Vec<(PortName, Port)> {
        let ports = self.inputs.spec.ports.iter();
        ports.filter_map(|(name, formula)| Some((name.clone(), formula.port(id.get())?))).collect()
    }

    /// Finds the mistakes in the files of claims, with a made-up worktree. Profiles with the same kinds of
    /// workers define the same names, so one slot of them is enough.
    fn check_claim_files(&mut self) {
        let spec = self.inputs.spec;
        if spec.claim.is_empty() {
            return;
        }
        let mut tried: BTreeSet<Vec<&WorkerKind>> = BTreeSet::new();
        let kinds = |profile: &'a Profile| profile.workers.keys().collect();
        for (&id, profile) in spec.slots.iter().filter(|(_, profile)| tried.insert(kinds(profile))) {
            let (ports, dir) = (self.ports(id), self.inputs.root.join(id.directory()));
            let values =
                SlotValues { profile: &profile.name, workers: &profile.workers, ports: &ports, dir: &dir };
            self.render(id, values, &spec.claim, Some(Utf8Path::new("/worktree")));
        }
    }

    /// Renders some files of a slot.
    fn render(
        &mut self,
        slot: SlotId,
        values: SlotValues<'_>,
        files: &[FileSpec],
        worktree: Option<&Utf8Path>,
    ) -> BTreeMap<RelPath, File> {
        let SlotValues { profile, workers, ports, dir } = values;
        let context = Context {
            slot,
            profile,
            dir,
            pool: &self.inputs.spec.name,
            root: self.inputs.root,
            env_prefix: &self.inputs.spec.env_prefix,
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
        let values = base.value(context);
        let mut env = Vec::new();
        for variable in &self.inputs.spec.env {
            let value = match self.templates.render(&template_name(variable), &values) {
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

    /// Expands `~/` at the start of a value.
    fn absolute(&mut self, variable: &VariableSpec, value: String) -> String {
        let Some(below) = value.strip_prefix("~/") else {
            return value;
        };
        if let Some(home) = self.inputs.home {
            return home.join(below).into_string();
        }
        let message = "`~/` cannot be expanded: HOME is not set to an absolute path".to_owned();
        self.note_value(variable, message, None);
        value
    }

    fn files(&mut self, specs: &[FileSpec], base: &Base, context: &Context<'_>) -> BTreeMap<RelPath, File> {
        let values = base.value(context);
        let mut files = BTreeMap::new();
        for file in specs {
            let name = file.template.get_ref();
            if self.mistakes.contains_key(name.as_str()) {
                continue;
            }
            match self.templates.render(name.as_str(), &values) {
                Ok(text) => {
                    let masked = self.masked(&text, file, base, context);
                    if file.mode.is_open_to_others() && masked.is_some() {
                        self.note_open_secret(file);
                    }
                    let (text, digest) = self.interned(text);
                    let file_of_slot = File { text, digest, mode: file.mode, masked };
                    files.insert(file.path.get_ref().clone(), file_of_slot);
                }
                Err(error) => self.note_template(file, error, Some(context)),
            }
        }
        files
    }

    /// The text with `(sensitive)` for the values of sensitive variables. `None` if it depends on no such
    /// variable.
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
        // A template may fail on the mask, in a calculation for example. Then nothing of the file is shown.
        let masked = masked.unwrap_or_else(|_| MASK.to_owned());
        (masked != text).then(|| Rc::from(masked))
    }

    fn is_sensitive(&self, name: &str) -> bool {
        self.inputs.spec.env.iter().any(|variable| variable.sensitive && variable.name.get_ref() == name)
    }

    fn note_open_secret(&mut self, file: &FileSpec) {
        let (path, mode) = (file.path.get_ref(), file.mode);
        let message =
            format!("`{path}` contains a sensitive value, and its mode {mode} lets other users read it");
        let help = "remove `mode` from the file, or `sensitive` from a variable that is no secret".to_owned();
        let mistake = Mistake::new(file.path.span(), message).help(help);
        self.mistakes
            .entry(file.template.get_ref().to_string())
            .or_insert_with(|| (self.inputs.source.clone(), mistake));
    }

    fn interned(&mut self, text: String) -> (Rc<str>, Digest) {
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
        let note =
            format!("{} uses this template for `{}`{slot}", self.inputs.source.name, file.path.get_ref());
        let path = Utf8Path::new(&self.inputs.source.name).with_file_name("templates").join(&name);
        let source = Source { name: path.into_string(), text, kind: SourceKind::Template };
        let mistake = Mistake::new(span, message).help(help).note(note);
        self.mistakes.entry(name).or_insert_with(|| (source, mistake));
    }

    fn note_value(&mut self, variable: &VariableSpec, message: String, help: Option<String>) {
        let mistake = Mistake::new(variable.value.span(), message).help(help);
        self.mistakes.entry(template_name(variable)).or_insert_with(|| (self.inputs.source.clone(), mistake));
    }
}

/// Help with an undefined name: the most similar name that a template can use, or else all of them.
fn suggest(undefined: &str, context: &Context<'_>) -> Option<String> {
    let names = context.names();
    suggestion(undefined, names.iter().map(String::as_str), "a template can use")
}
