//! The registry as its file or its server has it, read strictly.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use camino::Utf8Path;

use super::database::Loaded;
use super::last_seen::LastSeen;
use crate::fault::Fault;
use crate::host::root::{self, REGISTRY, RegistryText, Root, unreadable};
use crate::registry::Registry;

/// A registry, with what it was read from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Stored {
    /// The registry; empty if there is none yet.
    pub registry: Arc<Registry>,
    /// Its text; `None` if there is none yet, or if it is on a server.
    pub text: Option<RegistryText>,
    /// What the server said; `None` if there is none yet, or if the registry is a file.
    pub loaded: Option<Loaded>,
}

impl Stored {
    /// What a server said.
    pub fn on_server(loaded: Option<Loaded>) -> Self {
        let registry = loaded.as_ref().map(|loaded| Arc::clone(&loaded.registry)).unwrap_or_default();
        Self { registry, text: None, loaded }
    }

    /// Whether the pool was applied in this root.
    pub fn is_there(&self) -> bool {
        self.text.is_some() || self.loaded.as_ref().is_some_and(|loaded| loaded.is_applied_here)
    }

    /// Whether there is a registry, in whichever root it was applied.
    pub fn is_anywhere(&self) -> bool {
        self.text.is_some() || self.loaded.as_ref().is_some_and(|loaded| loaded.registry.id.is_some())
    }
}

/// Reads the registry of a root. A text that is `known` is not parsed again.
///
/// # Errors
/// [`Fault`] when it cannot be trusted.
pub fn read(root: &Root, known: Option<&Stored>) -> Result<Stored> {
    let Some(text) = root.read_registry()? else { return Ok(Stored::default()) };
    let known = known.filter(|known| known.text.as_ref().is_some_and(|known| known.text == text.text));
    let registry = known
        .map_or_else(|| parsed(&root.registry_path(), &text.text), |known| Ok(Arc::clone(&known.registry)))?;
    Ok(Stored { registry, text: Some(text), loaded: None })
}

/// The registry of a pool that the run is not about. `None` if there is none. Of one on a server, that is its
/// last known state.
///
/// # Errors
/// As [`read`].
pub fn glance(root: &Utf8Path) -> Result<Option<Arc<Registry>>> {
    match root::glance(root)? {
        Some(text) => Ok(Some(parsed(&root.join(REGISTRY), &Arc::new(text))?)),
        None => Ok(LastSeen::below(root).and_then(|seen| seen.registry())),
    }
}

/// The text that was parsed last, and its registry. A verb may read the same registry more than once.
static LAST: Mutex<Option<(Arc<String>, Arc<Registry>)>> = Mutex::new(None);

/// [`parse`], but for the text that was parsed last.
fn parsed(path: &Utf8Path, text: &Arc<String>) -> Result<Arc<Registry>, Fault> {
    let last = || LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, registry)) = last().as_ref().filter(|(last, _)| last == text) {
        return Ok(Arc::clone(registry));
    }
    let registry = Arc::new(parse(path, text)?);
    *last() = Some((Arc::clone(text), Arc::clone(&registry)));
    Ok(registry)
}

/// The registry that is the text of a file.
pub(super) fn parse(path: &Utf8Path, text: &str) -> Result<Registry, Fault> {
    Registry::parse(text).map_err(|corrupt| {
        if corrupt.is_newer {
            let newer = Fault::unreadable(format!("`{path}` cannot be read: {corrupt}")).unchanged();
            return newer.advise("upgrade kinfra");
        }
        unreadable(&format!("`{path}` is corrupt: {corrupt}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_not_taken_for_another_one() {
        let text = |id: &str| format!(r#"{{"version": 2, "id": "{id}", "slots": {{}}}}"#);
        let [one, other] = ["0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"].map(text);
        let parse = |text: &str| parsed(Utf8Path::new("/r"), &Arc::new(text.to_owned()));
        let parsed = |text: &str| parse(text).unwrap();
        let first = parsed(&one);
        assert_eq!(parsed(&one).id, first.id);
        assert_ne!(parsed(&other).id, first.id);
        assert_eq!(parsed(&one).id, first.id);
        assert!(parse(&one.replace('2', "")).is_err());
    }
}
