//! What the verbs of the pool begin with: which spec, which templates, which root.

use std::collections::BTreeMap;

use anyhow::{Error, Result};
use camino::{Utf8Path, Utf8PathBuf};

use crate::cli::{LockArgs, PoolArgs};
use crate::desired::{File, Pool, RenderInputs, TemplateTexts, render_claim_files, render_pool};
use crate::embedded;
use crate::fault::Fault;
use crate::file::RelPath;
use crate::host;
use crate::host::fs::Dir;
use crate::host::invocation::Invocation;
use crate::host::lock::LockPolicy;
use crate::registry::Provisioned;
use crate::report::Paths;
use crate::slot::SlotId;
use crate::spec::mistake::{self, Mistake, Source, SourceKind};
use crate::spec::{FileSpec, Spec};

/// The name of a spec.
pub(crate) const SPEC: &str = "slots.toml";
/// Where its templates are, beside it.
const TEMPLATES: &str = "templates";
/// The most that a spec or a template may be, in bytes.
const LIMIT: u64 = 16 << 20;

/// A spec, and where it was found.
#[derive(Debug)]
pub(crate) struct Declared {
    pub(crate) spec: Spec,
    /// How the output names the spec.
    pub(crate) origin: String,
    /// The spec's path; `None` for the embedded one.
    pub(crate) path: Option<Utf8PathBuf>,
    source: Source,
    /// The directory of its templates; `None` for the embedded spec.
    templates: Option<Utf8PathBuf>,
}

/// Mistakes, each with the file it is in.
pub(crate) type Mistakes = Vec<(Source, Mistake)>;

/// Finds and reads the spec.
///
/// # Errors
/// [`Fault`] with every mistake in it.
pub(crate) fn declared(args: &PoolArgs, invocation: &Invocation) -> Result<Declared> {
    read(args, invocation)?.map_err(|mistakes| fault(&mistakes).into())
}

/// [`declared`], with every mistake by itself.
pub(crate) fn read(args: &PoolArgs, invocation: &Invocation) -> Result<Result<Declared, Mistakes>> {
    Ok(parse(find_spec(args, invocation)?, invocation))
}

/// Reads the spec of a saved plan again; `None` is the embedded one.
///
/// # Errors
/// [`Fault`] with every mistake in it, or when it is not there any more.
pub(crate) fn read_again(path: Option<&Utf8Path>, invocation: &Invocation) -> Result<Declared> {
    let read = |path: &Utf8Path| {
        let gone = || Fault::refused(format!("the plan is stale: its spec `{path}` is not there any more"));
        Ok::<_, Error>((path.to_owned(), read_spec(path)?.ok_or_else(gone)?))
    };
    parse(path.map(read).transpose()?, invocation).map_err(|mistakes| fault(&mistakes).into())
}

/// Whether a spec is on disk: named, or where kinfra looks for one.
///
/// # Errors
/// What keeps it from being read.
pub(crate) fn has_spec(args: &PoolArgs, invocation: &Invocation) -> Result<bool> {
    find_spec(args, invocation).map(|found| found.is_some())
}

/// How the output names a spec.
pub(crate) fn origin(path: Option<&Utf8Path>, invocation: &Invocation) -> String {
    let paths = Paths { home: invocation.home.as_deref() };
    path.map_or_else(|| format!("the embedded {SPEC}"), |path| paths.show(path).into_string())
}

/// Reads a spec, given with its path; none is the embedded one.
pub(crate) fn parse(
    found: Option<(Utf8PathBuf, String)>,
    invocation: &Invocation,
) -> Result<Declared, Mistakes> {
    let (path, text) = found.unzip();
    let origin = origin(path.as_deref(), invocation);
    let templates = path.as_ref().map(|path| path.with_file_name(TEMPLATES));
    let text = text.unwrap_or_else(|| embedded::SPEC.to_owned());
    let source = Source { name: origin.clone(), text, kind: SourceKind::Spec };
    match Spec::parse(&source.text) {
        Ok(spec) => Ok(Declared { spec, origin, path, source, templates }),
        Err(mistakes) => Err(mistakes.into_iter().map(|mistake| (source.clone(), mistake)).collect()),
    }
}

fn fault(mistakes: &Mistakes) -> Fault {
    Fault::mistakes(mistake::render(mistakes.iter().map(|(source, mistake)| (source, mistake))))
}

impl Declared {
    /// The root: from a flag, the environment or the spec.
    ///
    /// # Errors
    /// [`Fault`] with what keeps it from being one.
    pub(crate) fn root(&self, args: &PoolArgs, invocation: &Invocation) -> Result<Utf8PathBuf> {
        let root = match named_root(args) {
            Some(root) => given(root, invocation)?,
            None => self.spec.root.resolve(invocation.home.as_deref()).ok_or_else(|| {
                let root = self.spec.root.as_str();
                Fault::usage(format!(
                    "root `{root}` needs HOME, which is not set to an absolute path: set it, or give an absolute --root"
                ))
            })?,
        };
        host::root::resolve(&root)
    }

    /// The pool that the spec and its templates describe.
    ///
    /// # Errors
    /// [`Fault`] with every mistake in the templates, or with what keeps the root from being one.
    pub(crate) fn pool(&self, args: &PoolArgs, invocation: &Invocation) -> Result<Pool> {
        self.pool_in(&self.root(args, invocation)?, invocation).map_err(|mistakes| fault(&mistakes).into())
    }

    /// [`Declared::pool`] in a root, with every mistake by itself.
    pub(crate) fn pool_in(&self, root: &Utf8Path, invocation: &Invocation) -> Result<Pool, Mistakes> {
        let texts = self.template_texts(self.spec.files.iter().chain(&self.spec.claim));
        render_pool(self.inputs(&texts, root, invocation))
    }

    /// The files that a claim adds to the directory of a slot.
    ///
    /// # Errors
    /// [`Fault`] with every mistake in their templates.
    pub(crate) fn claim_files(
        &self,
        root: &Utf8Path,
        (slot, provisioned): (SlotId, &Provisioned),
        worktree: &Utf8Path,
        invocation: &Invocation,
    ) -> Result<BTreeMap<RelPath, File>> {
        if self.spec.claim.is_empty() {
            return Ok(BTreeMap::new());
        }
        let texts = self.template_texts(&self.spec.claim);
        let files = render_claim_files(self.inputs(&texts, root, invocation), slot, provisioned, worktree);
        files.map_err(|mistakes| fault(&mistakes).into())
    }

    fn inputs<'a>(
        &'a self,
        templates: &'a TemplateTexts,
        root: &'a Utf8Path,
        invocation: &'a Invocation,
    ) -> RenderInputs<'a> {
        let home = invocation.home.as_deref();
        RenderInputs { spec: &self.spec, source: &self.source, templates, root, home }
    }

    fn template_texts<'a>(&self, files: impl IntoIterator<Item = &'a FileSpec>) -> TemplateTexts {
        let embedded: BTreeMap<&str, &str> = embedded::TEMPLATES.into_iter().collect();
        let read = files.into_iter().map(|file| {
            let name = file.template.get_ref();
            let text = match &self.templates {
                None => embedded
                    .get(name.as_str())
                    .map(|text| (*text).to_owned())
                    .ok_or("is not embedded".to_owned()),
                Some(dir) => read_template(&dir.join(name.as_path())),
            };
            (name.clone(), text)
        });
        read.collect()
    }
}

/// The root that a flag or the environment names.
pub(crate) fn named_root(args: &PoolArgs) -> Option<&Utf8Path> {
    args.root.as_deref().filter(|root| !root.as_str().is_empty())
}

/// The spec that a flag or the environment names.
pub(crate) fn named_spec(args: &PoolArgs) -> Option<&Utf8Path> {
    args.spec.as_deref().filter(|spec| !spec.as_str().is_empty())
}

/// The absolute path of one that the user gave, in a flag or the environment, where no shell expands `~/`.
pub(crate) fn given(path: &Utf8Path, invocation: &Invocation) -> Result<Utf8PathBuf> {
    if path.as_str().chars().any(char::is_control) {
        let shown = path.as_str().escape_debug();
        return Err(Fault::usage(format!("`{shown}` has a control character")).into());
    }
    match path.strip_prefix("~") {
        Err(_) => Ok(invocation.here.join(path)),
        Ok(below) => match &invocation.home {
            Some(home) => Ok(home.join(below)),
            None => {
                Err(Fault::usage(format!("`{path}` needs HOME, which is not set to an absolute path")).into())
            }
        },
    }
}

/// The text of a template, or why there is none.
fn read_template(path: &Utf8Path) -> Result<String, String> {
    let bytes = host::fs::read_named(path, LIMIT).map_err(|error| format!("cannot be read: {error}"))?;
    let bytes = bytes.ok_or("does not exist")?;
    String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())
}

/// The spec on disk, if there is one: named, or here, or in a parent within the repository.
fn find_spec(args: &PoolArgs, invocation: &Invocation) -> Result<Option<(Utf8PathBuf, String)>> {
    if let Some(named) = named_spec(args) {
        let path = given(named, invocation)?;
        let missing = || Fault::spec(format!("spec `{named}`, from --spec or KINFRA_SPEC, does not exist"));
        let text = read_spec(&path)?.ok_or_else(missing)?;
        return Ok(Some((path, text)));
    }
    let here = invocation.here.as_path();
    let top = host::git::top_of(here)?.unwrap_or(here);
    let candidates = here.ancestors().take_while(|dir| dir.starts_with(top));
    for dir in candidates {
        let path = dir.join(SPEC);
        if let Some(text) = read_spec(&path)? {
            return Ok(Some((path, text)));
        }
        // The embedded pool instead of a declared one would be a surprise.
        if Dir::open(dir).is_ok_and(|dir| dir.has(SPEC).unwrap_or(false)) {
            return Err(Fault::spec(format!("spec `{path}` is a symbolic link to nothing")).into());
        }
    }
    Ok(None)
}

fn read_spec(path: &Utf8Path) -> Result<Option<String>> {
    let bytes = host::fs::read_named(path, LIMIT);
    let bytes = bytes.map_err(|error| Fault::spec(format!("spec `{path}` cannot be read: {error}")))?;
    let Some(bytes) = bytes else { return Ok(None) };
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = error.as_bytes().iter().take(valid).filter(|byte| **byte == b'\n').count() + 1;
        Fault::spec(format!("spec `{path}` is not text: line {line} has a byte that is not UTF-8"))
    })?;
    Ok(Some(text))
}

/// The flags of the lock as a policy; `command` is what others are told of the holder.
pub(crate) fn lock_policy<'a>(args: &LockArgs, command: &'a str) -> LockPolicy<'a> {
    LockPolicy { patience: args.lock_timeout, command, network: args.unsafe_no_lock, interrupt: None }
}
