//! The registry as its file has it, read strictly.

use std::sync::Arc;

use anyhow::Result;
use camino::Utf8Path;

use crate::fault::Fault;
use crate::host::root::{self, REGISTRY, RegistryText, Root, unreadable};
use crate::registry::Registry;

/// A registry, with the text that it was read from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Stored {
    /// The registry; empty if there is none yet.
    pub registry: Arc<Registry>,
    /// Its text; `None` if there is none yet.
    pub text: Option<RegistryText>,
}

/// Reads the registry of a root. A text that is `known` is not parsed again.
///
/// # Errors
/// [`Fault`] when it cannot be trusted.
pub fn read(root: &Root, known: Option<&Stored>) -> Result<Stored> {
    let Some(text) = root.read_registry()? else { return Ok(Stored::default()) };
    let known = known.filter(|known| known.text.as_ref().is_some_and(|known| known.text == text.text));
    let registry = known.map_or_else(
        || parse(&root.registry_path(), &text.text).map(Arc::new),
        |known| Ok(Arc::clone(&known.registry)),
    )?;
    Ok(Stored { registry, text: Some(text) })
}

/// The registry of a pool that the run is not about. `None` if there is none.
///
/// # Errors
/// As [`read`].
pub fn glance(root: &Utf8Path) -> Result<Option<Arc<Registry>>> {
    let text = root::glance(root)?;
    Ok(text.map(|text| parse(&root.join(REGISTRY), &text).map(Arc::new)).transpose()?)
}

fn parse(path: &Utf8Path, text: &str) -> Result<Registry, Fault> {
    Registry::parse(text).map_err(|corrupt| {
        if corrupt.is_newer {
            let newer = Fault::unreadable(format!("`{path}` cannot be read: {corrupt}")).unchanged();
            return newer.advise("upgrade kinfra");
        }
        unreadable(&format!("`{path}` is corrupt: {corrupt}"))
    })
}
