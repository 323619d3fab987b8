//! The path of a root: without links, and not inside another pool's slot.

use std::io;

use anyhow::{Context as _, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};

use super::open::REGISTRY;
use crate::fault::Fault;
use crate::host::fs;
use crate::slot::SlotId;

/// The path of a root without links, as far as it exists.
///
/// # Errors
/// [`Fault`] when the path, or a part of it, is no directory, or is inside a slot of another pool.
pub fn resolve(path: &Utf8Path) -> Result<Utf8PathBuf> {
    let refuse = |why: String| Err(Fault::refused(format!("root `{path}` cannot be used: {why}")).into());
    let mut missing = Vec::new();
    for ancestor in path.ancestors() {
        match fs::canonical(ancestor) {
            Ok(mut resolved) => {
                resolved.extend(missing.iter().rev());
                refuse_inside_slot(path, &resolved)?;
                return Ok(resolved);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if fs::is_link(ancestor) {
                    return refuse(format!("`{ancestor}` is a symbolic link to nothing"));
                }
                match ancestor.file_name() {
                    Some(name) => missing.push(name),
                    None if ancestor.as_str().is_empty() => {}
                    None => {
                        return refuse(
                            "it goes up with `..` from a directory that does not exist".to_owned(),
                        );
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                let on_the_way =
                    path.ancestors().find(|ancestor| fs::exists(ancestor).unwrap_or(false)).unwrap_or(path);
                return refuse(format!("`{on_the_way}` is a file, not a directory"));
            }
            Err(error) if fs::is_link(ancestor) => return refuse(format!("`{ancestor}`: {error}")),
            Err(error) => return Err(error).with_context(|| format!("could not resolve root `{path}`")),
        }
    }
    Err(anyhow!("could not resolve root `{path}`"))
}

/// A pool inside a slot of another pool would count as that slot's files.
fn refuse_inside_slot(path: &Utf8Path, resolved: &Utf8Path) -> Result<()> {
    for ancestor in resolved.ancestors() {
        let is_slot = ancestor.file_name().and_then(SlotId::of_directory).is_some();
        let Some(owner) = ancestor.parent().filter(|_| is_slot) else { continue };
        let registry = owner.join(REGISTRY);
        if fs::exists(&registry).with_context(|| format!("could not examine `{registry}`"))? {
            let what = format!("root `{path}` is inside a slot of the pool in `{owner}`");
            return Err(Fault::refused(what).advise("choose a root outside it").into());
        }
    }
    Ok(())
}
