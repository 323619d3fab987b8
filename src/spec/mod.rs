//! `slots.toml` → [`Spec`]: every mistake of the file at once, each at its place.
//!
//! Nothing here reads a file. A [`Spec`] is valid by itself, ports proven; whether its templates exist and render is
//! for [`crate::desired`] to find out.

use std::collections::BTreeMap;
use std::rc::Rc;

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use toml::Spanned;
use toml::de::DeTable;

use crate::file::{FileMode, RelPath};
use crate::identifier::PortName;
use crate::port::PortFormula;
use crate::slot::{Profile, SlotId};

pub mod mistake;
mod ports;
mod read;
mod secret;
mod section;

use mistake::Mistake;
pub use secret::redact;

/// The declared pool.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The pool's name, as in labels and Compose project names.
    pub name: String,
    /// Where the pool lives, as written.
    pub root: DeclaredPath,
    /// What the names of the slot's variables start with.
    pub env_prefix: String,
    /// An old tool's registry to take over, once.
    pub import: Option<DeclaredPath>,
    /// The port formulas in the order of the file, proven not to collide; the first is the primary port.
    pub ports: Vec<(PortName, PortFormula)>,
    /// The profiles in the order of the file: smallest first.
    pub profiles: Vec<Rc<Profile>>,
    /// The slots, each with its profile.
    pub slots: BTreeMap<SlotId, Rc<Profile>>,
    /// The files of a slot directory.
    pub files: Vec<FileSpec>,
    /// The files that a claim adds to the slot directory.
    pub claim: Vec<FileSpec>,
    /// Further variables of a slot, in the order of the file.
    pub env: Vec<Variable>,
}

/// A file of a slot directory and the template it is rendered from.
#[derive(Debug, Clone)]
pub struct FileSpec {
    /// Where it is, below the slot directory.
    pub path: Spanned<RelPath>,
    /// Its template, below `templates/`.
    pub template: Spanned<RelPath>,
    /// Its permissions.
    pub mode: FileMode,
}

/// A variable from `[env]`.
#[derive(Debug, Clone)]
pub struct Variable {
    /// Its name.
    pub name: Spanned<String>,
    /// Its value, a template.
    pub value: Spanned<String>,
    /// Whether its value is never to be shown.
    pub sensitive: bool,
}

/// A path as the spec writes it: absolute or `~/…`, without `..`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredPath(String);

impl DeclaredPath {
    /// The path, if it is one that does not depend on where kinfra runs.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn new(path: &str) -> Result<Self, String> {
        let shown = path.escape_debug();
        let below = path.strip_prefix("~/").or_else(|| path.strip_prefix('/'));
        let Some(below) = below else {
            return Err(format!("`{shown}` must be absolute or start with `~/`"));
        };
        if path.chars().any(char::is_control) {
            return Err(format!("`{shown}` has a control character"));
        }
        let mut components = Utf8Path::new(below).components().peekable();
        if components.peek().is_none() {
            return Err(format!("`{shown}` is not a directory of the pool's own: name one below it"));
        }
        if components.any(|component| component == Utf8Component::ParentDir) {
            return Err(format!("`{shown}` must not have `..`"));
        }
        Ok(Self(path.to_owned()))
    }

    /// The absolute path, given the home directory. `None` when it needs a home and there is none.
    pub fn resolve(&self, home: Option<&Utf8Path>) -> Option<Utf8PathBuf> {
        match self.0.strip_prefix("~/") {
            Some(below) => home.map(|home| home.join(below)),
            None => Some(Utf8PathBuf::from(&self.0)),
        }
    }

    /// The path as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Spec {
    /// Reads the text of a `slots.toml`.
    ///
    /// # Errors
    /// Every mistake in it, in the order of the file.
    pub fn parse(source: &str) -> Result<Self, Vec<Mistake>> {
        let (document, errors) = DeTable::parse_recoverable(source);
        if !errors.is_empty() {
            let syntax =
                |error: &toml::de::Error| Mistake::new(error.span().unwrap_or(0..0), error.message());
            return Err(in_order(errors.iter().map(syntax).collect()));
        }
        if document.get_ref().is_empty() {
            let help = "a pool needs `version = 1`, [pool], [ports], [[profiles]], [[slots]] and [files]";
            return Err(vec![Mistake::new(0..0, "the file declares nothing").help(help.to_owned())]);
        }
        let mut mistakes = Vec::new();
        let spec = read::file(section::Section::root(&document), &mut mistakes);
        match spec {
            Some(spec) if mistakes.is_empty() => Ok(spec),
            _ => Err(in_order(mistakes)),
        }
    }
}

fn in_order(mut mistakes: Vec<Mistake>) -> Vec<Mistake> {
    mistakes.sort_by_key(|mistake| mistake.span.start);
    mistakes
}
