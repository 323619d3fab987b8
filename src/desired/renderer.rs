//! Renders templates and variables for one slot after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use camino::{Utf8Path, Utf8PathBuf};
use minijinja::Value;

use super::env_file::{self, SlotValues};
use super::guarded;
use super::pool::{File, Slot};
use super::tables::{ENV_TABLE, environment_table, tables, template_name};
use crate::digest::Digest;
use crate::file::{FileMode, RelPath, refuse_long};
use crate::identifier::{PortName, WorkerKind};
use crate::names::{ENV_FILE, TEMPLATES};
use crate::port::Port;
use crate::slot::{Profile, SlotId};
use crate::spec::mistake::{Mistake, Source, SourceKind, suggestion};
use crate::spec::{FileSpec, Spec, VariableSpec};
use crate::template::{Base, Context, SPENT, TemplateError, Templates};

/// Stands for the value of a sensitive variable.
pub const MASK: &str = "(sensitive)";

/// The name under which a mistake of all templates together is noted. It comes after their own.
const OF_ALL: &str = "~";

/// Templates by name: the text, or the reason why there is none, such as "does not exist".
pub type TemplateTexts = BTreeMap<RelPath, Result<String, String>>;

/// The variables of services' environments, by service and name.
pub type Environments = BTreeMap<String, BTreeMap<String, String>>;

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

/// Renders one slot after the other. A template that fails for one slot is skipped for the others, because
/// they would most likely repeat its mistake.
pub(super) struct Renderer<'a> {
    inputs: RenderInputs<'a>,
    templates: Templates<'a>,
    /// The first mistake of each template, by template name.
    pub(super) mistakes: BTreeMap<String, (Source, Mistake)>,
    /// The texts rendered so far. Equal texts are stored and hashed once.
    texts: BTreeMap<Rc<str>, Digest>,
    /// What is said of each variable that is left out of env files, by template and name.
    pub(super) left_out: BTreeMap<(String, String), String>,
    /// The values of sensitive variables rendered so far.
    pub(super) secrets: BTreeSet<String>,
}

impl<'a> Renderer<'a> {
    /// Compiles the templates of these files, and the values of variables.
    pub(super) fn new(inputs: RenderInputs<'a>, files: impl IntoIterator<Item = &'a FileSpec>) -> Self {
        let mut renderer = Self {
            inputs,
            templates: Templates::new(),
            mistakes: BTreeMap::new(),
            texts: BTreeMap::new(),
            left_out: BTreeMap::new(),
            secrets: BTreeSet::new(),
        };
        for file in files {
            renderer.compile(file);
        }
        for (table, variables) in tables(inputs.spec) {
            for variable in variables {
                let name = template_name(&table, variable);
                if let Err(error) = renderer.templates.add(&name, variable.value.get_ref()) {
                    renderer.note_value(name, variable, error.message, None);
                }
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
                self.note(name.to_string(), self.inputs.source.clone(), mistake);
            }
        }
    }

    pub(super) fn slot(&mut self, id: SlotId, profile: &Rc<Profile>) -> Slot {
        let ports = self.ports(id);
        let dir = self.inputs.root.join(id.directory());
        let values =
            SlotValues { profile: &profile.name, workers: &profile.workers, ports: &ports, dir: &dir };
        let mut files = self.render(id, values, &self.inputs.spec.files, None);
        if let Some((path, file)) = self.env_file(id, values) {
            files.entry(path).or_insert(file);
        }
        Slot { id, profile: Rc::clone(profile), ports, udp: self.udp(), dir, files }
    }

    /// The `.env.sandbox` of a slot, in a pool that needs no template for it.
    fn env_file(&mut self, id: SlotId, values: SlotValues<'_>) -> Option<(RelPath, File)> {
        let (spec, path) = (self.inputs.spec, RelPath::new(ENV_FILE).ok()?);
        if spec.compose.is_none() || spec.files.iter().any(|file| *file.path.get_ref() == path) {
            return None;
        }
        match env_file::text(spec, id, values) {
            Ok(text) => {
                let (text, digest) = self.interned(text);
                Some((path, File { text, digest, mode: FileMode::PRIVATE, masked: None }))
            }
            Err(reason) => {
                let mistake = Mistake::new(0..0, format!("`{ENV_FILE}` cannot be written: {reason}"));
                self.note(path.to_string(), self.inputs.source.clone(), mistake);
                None
            }
        }
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

    /// Finds the mistakes in files of claims and in variables of services, with a made-up worktree. Profiles
    /// with the same kinds of workers define the same names, so one slot of them is enough.
    pub(super) fn check_what_claims_render(&mut self) {
        let spec = self.inputs.spec;
        if spec.claim.is_empty() && tables(spec).count() == 1 {
            return;
        }
        let worktree = Utf8Path::new("/worktree");
        let mut tried: BTreeSet<Vec<&WorkerKind>> = BTreeSet::new();
        let kinds = |profile: &'a Profile| profile.workers.keys().collect();
        for (&id, profile) in spec.slots.iter().filter(|(_, profile)| tried.insert(kinds(profile))) {
            let (ports, dir) = (self.ports(id), self.inputs.root.join(id.directory()));
            let values =
                SlotValues { profile: &profile.name, workers: &profile.workers, ports: &ports, dir: &dir };
            self.render(id, values, &spec.claim, Some(worktree));
            self.environments(id, values, worktree);
        }
    }

    /// Renders some files of a slot.
    pub(super) fn render(
        &mut self,
        slot: SlotId,
        values: SlotValues<'_>,
        files: &[FileSpec],
        worktree: Option<&Utf8Path>,
    ) -> BTreeMap<RelPath, File> {
        let context = self.context(slot, values);
        let base = context.base();
        let env = self.env(&base, &context);
        let context = Context { env: Some(&env), worktree, ..context };
        self.files(files, &base, &context)
    }

    fn context<'c>(&self, slot: SlotId, values: SlotValues<'c>) -> Context<'c>
    where
        'a: 'c,
    {
        let SlotValues { profile, workers, ports, dir } = values;
        let RenderInputs { spec, root, .. } = self.inputs;
        let (pool, env_prefix) = (&*spec.name, &*spec.env_prefix);
        Context { slot, profile, dir, pool, root, env_prefix, ports, workers, env: None, worktree: None }
    }

    /// Renders the further variables of services.
    pub(super) fn environments(
        &mut self,
        slot: SlotId,
        values: SlotValues<'_>,
        worktree: &Utf8Path,
    ) -> Environments {
        let context = self.context(slot, values);
        let base = context.base();
        let env = self.env(&base, &context);
        let context = Context { env: Some(&env), worktree: Some(worktree), ..context };
        let values = base.value(&context);
        let spec = self.inputs.spec;
        let mut environments = Environments::new();
        for (service, variables) in spec.compose.iter().flat_map(|compose| &compose.environment) {
            let table = environment_table(service);
            let rendered = variables.iter().filter_map(|variable| {
                let value = self.value(&table, variable, &values, &context)?;
                Some((variable.name.get_ref().clone(), value))
            });
            environments.insert(service.clone(), rendered.collect());
        }
        environments
    }

    /// Renders the value of a variable. `None` after a mistake was noted.
    fn value(
        &mut self,
        table: &str,
        variable: &VariableSpec,
        values: &Value,
        context: &Context<'_>,
    ) -> Option<String> {
        let name = template_name(table, variable);
        if self.mistakes.contains_key(&name) {
            return None;
        }
        let value = match self.templates.render(&name, values) {
            // What a service is told is a path in its container, if it is a path at all.
            Ok(value) if table == ENV_TABLE => self.absolute(variable, value),
            Ok(value) => value,
            Err(error) => {
                let help = error.undefined.and_then(|name| suggest(&name, context));
                self.note_value(name, variable, error.message, help);
                return None;
            }
        };
        if variable.sensitive && !value.is_empty() {
            self.secrets.insert(value.clone());
        }
        Some(value)
    }

    fn env(&mut self, base: &Base, context: &Context<'_>) -> Vec<(String, String)> {
        let values = base.value(context);
        let mut env = Vec::new();
        for variable in &self.inputs.spec.env {
            let value = self.value(ENV_TABLE, variable, &values, context);
            env.extend(value.map(|value| (variable.name.get_ref().clone(), value)));
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
        self.note_value(template_name(ENV_TABLE, variable), variable, message, None);
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
            let path = context.dir.join(file.path.get_ref().as_path());
            if let Err(reason) = refuse_long(path.as_str()) {
                let mistake = Mistake::new(file.path.span(), reason);
                self.note(name.to_string(), self.inputs.source.clone(), mistake);
                continue;
            }
            match self.templates.render(name.as_str(), &values) {
                Ok(text) => {
                    let masked = self.masked(&text, file, base, context);
                    if file.mode.is_open_to_others() && masked.is_some() {
                        self.note_open_secret(file);
                    }
                    let is_env_file = file.path.get_ref().as_str() == ENV_FILE;
                    let (text, masked) = if is_env_file && self.note_guarded(file, &text, context.slot) {
                        (guarded::left(&text), masked.map(|masked| Rc::from(guarded::left(&masked))))
                    } else {
                        (text, masked)
                    };
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
        let sensitive = self.inputs.spec.env.iter().filter(|variable| variable.sensitive);
        let sensitive: BTreeSet<&String> = sensitive.map(|variable| variable.name.get_ref()).collect();
        let mask = |(name, value): &(String, String)| {
            let shown = if sensitive.contains(name) { MASK } else { value };
            (name.clone(), shown.to_owned())
        };
        let env: Vec<(String, String)> = context.env.unwrap_or_default().iter().map(mask).collect();
        let context = Context { env: Some(&env), ..*context };
        let masked = self.templates.render(name, &base.value(&context));
        // A template may fail on the mask, in a calculation for example. Then nothing of the file is shown.
        let masked = masked.unwrap_or_else(|_| MASK.to_owned());
        (masked != text).then(|| Rc::from(masked))
    }

    fn note_open_secret(&mut self, file: &FileSpec) {
        let (path, mode) = (file.path.get_ref(), file.mode);
        let message =
            format!("`{path}` contains a sensitive value, and its mode {mode} lets other users read it");
        let help = "remove `mode` from the file, or `sensitive` from a variable that is no secret".to_owned();
        let mistake = Mistake::new(file.path.span(), message).help(help);
        self.note(file.template.get_ref().to_string(), self.inputs.source.clone(), mistake);
    }

    /// Notes what a slot's env file sets and no slot may set. True if there is any.
    fn note_guarded(&mut self, file: &FileSpec, text: &str, slot: SlotId) -> bool {
        let name = file.template.get_ref();
        let template = self.inputs.templates.get(name).and_then(|text| text.as_deref().ok());
        let path = self.path_of(name.as_str());
        let place = (path.as_str(), template.unwrap_or_default());
        let mut has_some = false;
        for (variable, notice) in guarded::notices(place, text, slot) {
            has_some = true;
            self.left_out.entry((name.to_string(), variable)).or_insert(notice);
        }
        has_some
    }

    fn path_of(&self, template: &str) -> Utf8PathBuf {
        Utf8Path::new(&self.inputs.source.name).with_file_name(TEMPLATES).join(template)
    }

    fn interned(&mut self, text: String) -> (Rc<str>, Digest) {
        if let Some((text, digest)) = self.texts.get_key_value(text.as_str()) {
            return (Rc::clone(text), *digest);
        }
        let (digest, text) = (Digest::of(text.as_bytes()), Rc::<str>::from(text));
        self.texts.insert(Rc::clone(&text), digest);
        (text, digest)
    }

    /// Whether all templates together took too much work: what is left of the pool is not tried.
    pub(super) fn has_had_enough(&self) -> bool {
        self.mistakes.contains_key(OF_ALL)
    }

    /// Notes a mistake, if it is the first one of its template. That all together take too much is said once.
    fn note(&mut self, template: String, source: Source, mistake: Mistake) {
        let template = if mistake.message == SPENT { OF_ALL.to_owned() } else { template };
        self.mistakes.entry(template).or_insert((source, mistake));
    }

    fn note_template(&mut self, file: &FileSpec, error: TemplateError, context: Option<&Context<'_>>) {
        let name = file.template.get_ref().to_string();
        let TemplateError { span, message, undefined, text } = error;
        let help = context.zip(undefined).and_then(|(context, name)| suggest(&name, context));
        let slot = context.map_or_else(String::new, |context| format!(" of slot {}", context.slot));
        let note =
            format!("{} uses this template for `{}`{slot}", self.inputs.source.name, file.path.get_ref());
        let source =
            Source { name: self.path_of(&name).into_string(), text: text.into(), kind: SourceKind::Template };
        let mistake = Mistake::new(span, message).help(help).note(note);
        self.note(name, source, mistake);
    }

    fn note_value(&mut self, name: String, variable: &VariableSpec, message: String, help: Option<String>) {
        let mistake = Mistake::new(variable.value.span(), message).help(help);
        self.note(name, self.inputs.source.clone(), mistake);
    }
}

/// Help with an undefined name: the most similar name that a template can use, or else all of them.
fn suggest(undefined: &str, context: &Context<'_>) -> Option<String> {
    let names = context.names();
    suggestion(undefined, names.iter().map(String::as_str), "a template can use")
}
