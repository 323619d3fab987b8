//! The path of a root: without links, and no place that is another pool's, the system's or a whole home.

use std::io;

use anyhow::{Context as _, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};

use super::open::{LOCK, REGISTRY};
use crate::fault::Fault;
use crate::host::closed::Closed;
use crate::host::fs;
use crate::slot::SlotId;

/// The path of a root without links, as far as it exists.
///
/// # Errors
/// [`Fault`] when the path, or a part of it, is no directory, is inside another pool, or is the system's.
pub fn resolve(path: &Utf8Path) -> Result<Utf8PathBuf> {
    let refuse = |why: String| Err(Fault::refused(format!("root `{path}` cannot be used: {why}")).into());
    let mut missing = Vec::new();
    for ancestor in path.ancestors() {
        match fs::canonical(ancestor) {
            Ok(mut resolved) => {
                resolved.extend(missing.iter().rev());
                refuse_inside_pool(path, &resolved)?;
                refuse_system(path, &resolved)?;
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
            Err(error) => {
                let failed = || Err(error).with_context(|| format!("could not resolve root `{path}`"));
                return Closed::on_the_way_to(ancestor)
                    .map_or_else(failed, |closed| Err(Fault::from(closed).into()));
            }
        }
    }
    Err(anyhow!("could not resolve root `{path}`"))
}

/// A pool inside a slot of another pool would count as that slot's files; elsewhere in its root, kinfra may
/// empty the directory.
fn refuse_inside_pool(path: &Utf8Path, resolved: &Utf8Path) -> Result<()> {
    let has = |dir: &Utf8Path, name: &str| {
        let file = dir.join(name);
        fs::exists(&file).or_else(|error| {
            let failed = || Err(error).with_context(|| format!("could not examine `{file}`"));
            Closed::on_the_way_to(dir).map_or_else(failed, |closed| Err(Fault::from(closed).into()))
        })
    };
    // A pool that is there already can be emptied, at least.
    let is_pool = has(resolved, REGISTRY)?;
    let mut below = resolved;
    for ancestor in resolved.ancestors().skip(1) {
        let is_slot = below.file_name().and_then(SlotId::of_directory).is_some();
        below = ancestor;
        // Another program may have a file of the registry's name, but not the lock beside it.
        if has(ancestor, REGISTRY)? && (is_slot || (!is_pool && has(ancestor, LOCK)?)) {
            let inside = if is_slot { "a slot of " } else { "" };
            let what = format!("root `{path}` is inside {inside}the pool in `{ancestor}`");
            return Err(Fault::refused(what).advise("choose a root outside it").into());
        }
    }
    Ok(())
}

/// The directories that the system fills itself, or empties at each start.
const OF_SYSTEM: [&str; 5] = ["/proc", "/dev", "/sys", "/run", "/etc"];
/// What in them is there for any program's files.
const FOR_ALL: [&str; 2] = ["/dev/shm", "/run/media"];

fn refuse_system(path: &Utf8Path, resolved: &Utf8Path) -> Result<()> {
    let system = OF_SYSTEM.into_iter().find(|system| resolved.starts_with(system));
    let Some(system) = system.filter(|_| !FOR_ALL.iter().any(|all| resolved.starts_with(all))) else {
        return Ok(());
    };
    let what = format!("root `{path}` cannot be used: `{system}` is the system's");
    Err(Fault::refused(what).advise("choose a root below your home directory").into())
}
