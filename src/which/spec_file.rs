//! The spec of a run: which `slots.toml`, which templates, which root.

use std::collections::BTreeMap;

use anyhow::{Error, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::choice::{PoolChoice, absolute};
use super::repository;
use crate::desired::{
    Environments, File, Pool, RenderInputs, TemplateTexts, render_claim_files, render_environments,
    render_pool,
};
use crate::embedded;
use crate::fault::Fault;
use crate::file::RelPath;
use crate::host;
use crate::host::fs::Dir;
use crate::host::identity::host_of_pools;
use crate::host::index::Index;
use crate::host::invocation::Invocation;
use crate::names::{SPEC, TEMPLATES};
use crate::registry::{AppliedFrom, Provisioned};
use crate::shown::Paths;
use crate::slot::SlotId;
use crate::spec::mistake::{self, Mistake, Source, SourceKind};
use crate::spec::{FileSpec, Spec};

/// The most that a spec or a template may be, in bytes.
const LIMIT: u64 = 16 << 20;

/// A spec, and where it was found.
#[derive(Debug)]
pub struct Declared {
    /// The spec.
    pub spec: Spec,
    /// How the output names it.
    pub origin: String,
    /// Its path; `None` for the embedded one.
    pub path: Option<Utf8PathBuf>,
    /// Whether there is none here, and this is the one that the repository applied before.
    pub is_of_repository: bool,
    source: Source,
    /// The directory of its templates; `None` for the embedded spec.
    templates: Option<Utf8PathBuf>,
}

/// Mistakes, each with the file it is in.
pub type Mistakes = Vec<(Source, Mistake)>;

/// Finds and reads the spec.
///
/// # Errors
/// [`Fault`] with every mistake in it.
pub fn declared(choice: &PoolChoice, invocation: &Invocation) -> Result<Declared> {
    read(choice, invocation)?.map_err(|mistakes| fault(&mistakes).into())
}

/// [`declared`], to be judged or applied: verbs that kinfra has itself are mistakes in it, too. Other runs go
/// on with such a spec, which may be older than this kinfra.
///
/// # Errors
/// As [`declared`].
pub fn to_apply(choice: &PoolChoice, invocation: &Invocation) -> Result<Declared> {
    judged(choice, invocation)?.map_err(|mistakes| fault(&mistakes).into())
}

/// [`to_apply`], with every mistake by itself.
///
/// # Errors
/// When the spec cannot be found or read.
pub fn judged(choice: &PoolChoice, invocation: &Invocation) -> Result<Result<Declared, Mistakes>> {
    Ok(read(choice, invocation)?.and_then(|declared| {
        let taken = declared.spec.verbs.mistakes().into_iter();
        let mut mistakes: Mistakes = taken.map(|taken| (declared.source.clone(), taken)).collect();
        mistakes.sort_by_key(|(_, mistake)| mistake.span.start);
        if mistakes.is_empty() { Ok(declared) } else { Err(mistakes) }
    }))
}

fn read(choice: &PoolChoice, invocation: &Invocation) -> Result<Result<Declared, Mistakes>> {
    let is_of_repository = |declared| Declared { is_of_repository: true, ..declared };
    Ok(match find(choice, invocation)? {
        None if !choice.is_embedded() => match repository::spec_of(&invocation.here, invocation)? {
            None => parse(None, invocation),
            Some(path) => parse(text_of(&path)?.map(|text| (path, text)), invocation).map(is_of_repository),
        },
        found => parse(found, invocation),
    })
}

/// Reads the spec of a saved plan or of the index again. `None` is the embedded one.
///
/// # Errors
/// [`Fault`] with every mistake in it, or when it no longer exists.
pub fn read_again(path: Option<&Utf8Path>, invocation: &Invocation) -> Result<Declared> {
    let read = |path: &Utf8Path| {
        let gone = || Fault::refused(format!("the plan is stale: its spec `{path}` is not there any more"));
        Ok::<_, Error>((path.to_owned(), text_of(path)?.ok_or_else(gone)?))
    };
    parse(path.map(read).transpose()?, invocation).map_err(|mistakes| fault(&mistakes).into())
}

/// Whether a spec is on disk: named, where kinfra looks for one, or the one that the repository applied
/// before.
///
/// # Errors
/// When it cannot be read.
pub fn is_on_disk(choice: &PoolChoice, invocation: &Invocation) -> Result<bool> {
    Ok(find(choice, invocation)?.is_some() || repository::spec_of(&invocation.here, invocation)?.is_some())
}

/// How the output names a spec.
pub fn origin(path: Option<&Utf8Path>, invocation: &Invocation) -> String {
    let paths = Paths { home: invocation.home.as_deref() };
    path.map_or_else(|| format!("the embedded {SPEC}"), |path| paths.show(path).into_string())
}

/// Reads the spec at a path. `None` is the embedded one.
///
/// # Errors
/// Every mistake in it.
pub fn parse(found: Option<(Utf8PathBuf, String)>, invocation: &Invocation) -> Result<Declared, Mistakes> {
    let (path, text) = found.unzip();
    let origin = origin(path.as_deref(), invocation);
    let templates = path.as_ref().map(|path| path.with_file_name(TEMPLATES));
    let text = text.unwrap_or_else(|| embedded::SPEC.to_owned());
    let source = Source { name: origin.clone(), text: text.into(), kind: SourceKind::Spec };
    match Spec::parse_on(&source.text, Some(&host_of_pools())) {
        Ok(mut spec) => {
            if let Some(home) = &invocation.home {
                spec.compose = spec.compose.map(|compose| compose.in_home(home));
            }
            spec.compose = spec.compose.map(|compose| compose.with_real_paths(host::fs::real));
            Ok(Declared { spec, origin, path, is_of_repository: false, source, templates })
        }
        Err(mistakes) => Err(mistakes.into_iter().map(|mistake| (source.clone(), mistake)).collect()),
    }
}

/// What a registry says of a pool that the spec at this path declares. `None` is the embedded one.
pub(super) fn applied_from(pool: &str, path: Option<&Utf8Path>) -> AppliedFrom {
    let embedded = AppliedFrom::embedded(pool);
    let Some(path) = path.map(host::fs::real) else { return embedded };
    let in_repository = || {
        let dir = path.parent()?;
        let located = host::git::located(dir)?;
        let below = path.strip_prefix(located.top).ok()?;
        Some((located.repository?.into_string(), below.to_string()))
    };
    let (repository, spec) = in_repository().unzip();
    AppliedFrom { repository, spec: spec.or_else(|| Some(path.to_string())), ..embedded }
}

fn fault(mistakes: &Mistakes) -> Fault {
    Fault::mistakes(mistake::render(mistakes.iter().map(|(source, mistake)| (source, mistake))))
}

impl Declared {
    /// Its directory below the top of its worktree: the project of each worktree is in the same.
    ///
    /// # Errors
    /// When git's files cannot be read.
    pub fn below_top(&self) -> Result<Utf8PathBuf> {
        let dir = self.path.as_deref().and_then(Utf8Path::parent).unwrap_or(Utf8Path::new(""));
        let below = host::git::top_of(dir)?.and_then(|top| dir.strip_prefix(top).ok());
        Ok(below.unwrap_or(Utf8Path::new("")).to_owned())
    }

    /// The project's directory in a worktree: as deep below its top as slots.toml is.
    ///
    /// # Errors
    /// When git's files cannot be read.
    pub fn project_in(&self, worktree: &Utf8Path) -> Result<Utf8PathBuf> {
        let below = self.below_top()?;
        Ok(if below == "" { worktree.to_owned() } else { worktree.join(below) })
    }

    /// Which spec it is and, if it is not one here, why.
    pub fn used(&self) -> String {
        let why = if self.is_of_repository { ", this repository's pool: no slots.toml is here" } else { "" };
        format!("{}{why}", self.origin)
    }

    /// The root: from a flag, the environment or the spec.
    ///
    /// # Errors
    /// [`Fault`] says why it cannot be used.
    pub fn root(&self, choice: &PoolChoice, invocation: &Invocation) -> Result<Utf8PathBuf> {
        let root = match choice.root() {
            Some(root) => absolute(root, invocation)?,
            None => self.spec.root.resolve(invocation.home.as_deref()).ok_or_else(|| {
                let root = self.spec.root.as_str();
                Fault::usage(format!("root `{root}` needs HOME, which is not set to an absolute path"))
                    .advise("set HOME, or give an absolute --root")
            })?,
        };
        let resolved = host::root::resolve(&root)?;
        let home = invocation.home.as_deref().map(host::fs::real);
        let index = invocation.state.as_deref().map(|state| host::fs::real(Index::below(state).path()));
        let is_in_state =
            index.is_some_and(|index| resolved.starts_with(&index) || index.starts_with(&resolved));
        if resolved == "/" || home.is_some_and(|home| home == resolved) || is_in_state {
            let what = format!("root `{root}` cannot be used: it is not a directory of the pool's own");
            let advice = if is_in_state { "name one elsewhere" } else { "name a directory below it" };
            return Err(Fault::refused(what).advise(advice).into());
        }
        Ok(resolved)
    }

    /// The pool that the spec and its templates describe.
    ///
    /// # Errors
    /// [`Fault`] with every mistake in the templates, or why the root cannot be used.
    pub fn pool(&self, choice: &PoolChoice, invocation: &Invocation) -> Result<Pool> {
        self.pool_in(&self.root(choice, invocation)?, invocation).map_err(|mistakes| fault(&mistakes).into())
    }

    /// [`Declared::pool`] in a root, with every mistake by itself.
    ///
    /// # Errors
    /// Every mistake in the templates.
    pub fn pool_in(&self, root: &Utf8Path, invocation: &Invocation) -> Result<Pool, Mistakes> {
        let texts = self.template_texts(self.spec.files.iter().chain(&self.spec.claim));
        let project = self.path.as_deref().and_then(Utf8Path::parent).map(Utf8Path::to_owned);
        let pool = render_pool(self.inputs(&texts, root, invocation))?;
        Ok(Pool { applied_from: self.applied_from(), project, ..pool })
    }

    /// What the registry of its pool says that it was applied from.
    pub fn applied_from(&self) -> AppliedFrom {
        applied_from(&self.spec.name, self.path.as_deref())
    }

    /// The files that a claim adds to the directory of a slot.
    ///
    /// # Errors
    /// [`Fault`] with every mistake in their templates.
    pub fn claim_files(
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

    /// The further variables that the spec gives to services, for a slot and the worktree that holds it.
    ///
    /// # Errors
    /// [`Fault`] with every mistake in them.
    pub fn environments(
        &self,
        root: &Utf8Path,
        (slot, provisioned): (SlotId, &Provisioned),
        worktree: &Utf8Path,
        invocation: &Invocation,
    ) -> Result<Environments> {
        let texts = TemplateTexts::new();
        let rendered =
            render_environments(self.inputs(&texts, root, invocation), slot, provisioned, worktree);
        rendered.map_err(|mistakes| fault(&mistakes).into())
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

/// The text of a template, or why there is none.
fn read_template(path: &Utf8Path) -> Result<String, String> {
    let bytes = host::fs::read_named(path, LIMIT).map_err(|error| format!("cannot be read: {error}"))?;
    let bytes = bytes.ok_or("does not exist")?;
    String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())
}

/// The spec on disk, if there is one: the named one, or `slots.toml` here or in a parent within the
/// repository.
pub(super) fn find(choice: &PoolChoice, invocation: &Invocation) -> Result<Option<(Utf8PathBuf, String)>> {
    if choice.is_embedded() {
        return Ok(None);
    }
    if let Some(named) = choice.spec() {
        let path = absolute(named, invocation)?;
        let missing = || Fault::spec(format!("spec `{named}`, from --spec or KINFRA_SPEC, does not exist"));
        let text = text_of(&path)?.ok_or_else(missing)?;
        return Ok(Some((path, text)));
    }
    let here = invocation.here.as_path();
    let top = host::git::top_of(here)?.unwrap_or(here);
    let candidates = here.ancestors().take_while(|dir| dir.starts_with(top));
    for dir in candidates {
        let path = dir.join(SPEC);
        if let Some(text) = text_of(&path)? {
            return Ok(Some((path, text)));
        }
        // Never use the embedded pool in place of a declared one.
        if Dir::open(dir).is_ok_and(|dir| dir.has(SPEC).unwrap_or(false)) {
            return Err(Fault::spec(format!("spec `{path}` is a symbolic link to nothing")).into());
        }
    }
    Ok(None)
}

pub(super) fn text_of(path: &Utf8Path) -> Result<Option<String>> {
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
