//! The user's choice of a pool: the spec and the root that a flag or the environment names.

use camino::{Utf8Path, Utf8PathBuf};

use crate::fault::Fault;
use crate::host::invocation::Invocation;

/// The spec and the root that were named. Empty names count as none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolChoice {
    spec: Option<Utf8PathBuf>,
    is_embedded: bool,
    root: Option<Utf8PathBuf>,
}

impl PoolChoice {
    /// The choice of a spec and a root, as typed.
    pub fn new(spec: Option<Utf8PathBuf>, root: Option<Utf8PathBuf>) -> Self {
        let named = |path: &Utf8PathBuf| !path.as_str().is_empty();
        Self { spec: spec.filter(named), is_embedded: false, root: root.filter(named) }
    }

    /// The choice of the embedded spec, in this root.
    pub fn embedded(root: Option<Utf8PathBuf>) -> Self {
        Self { is_embedded: true, ..Self::new(None, root) }
    }

    /// Whether the embedded spec was chosen.
    pub fn is_embedded(&self) -> bool {
        self.is_embedded
    }

    /// The spec, as typed.
    pub fn spec(&self) -> Option<&Utf8Path> {
        self.spec.as_deref()
    }

    /// The root, as typed.
    pub fn root(&self) -> Option<&Utf8Path> {
        self.root.as_deref()
    }

    /// Whether a spec or a root was named.
    pub fn is_named(&self) -> bool {
        self.is_embedded || self.spec.is_some() || self.root.is_some()
    }
}

/// The absolute path of one that was typed in a flag or the environment, where no shell expands `~/`.
///
/// # Errors
/// [`Fault`] when it has a control character, or needs a HOME that is not set.
pub fn absolute(path: &Utf8Path, invocation: &Invocation) -> Result<Utf8PathBuf, Fault> {
    if path.as_str().chars().any(char::is_control) {
        let shown = path.as_str().escape_debug();
        return Err(Fault::usage(format!("`{shown}` has a control character")));
    }
    match (path.strip_prefix("~"), &invocation.home) {
        (Err(_), _) => Ok(invocation.here.join(path)),
        (Ok(below), Some(home)) => Ok(home.join(below)),
        (Ok(_), None) => {
            Err(Fault::usage(format!("`{path}` needs HOME, which is not set to an absolute path")))
        }
    }
}
