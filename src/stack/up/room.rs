//! Whether the disks have room for a start.

use anyhow::Result;
use camino::Utf8Path;

use crate::fault::Fault;
use crate::host::fs::{free_space, is_low};

/// Refuses a start where the disk of the root, or of Docker's data, is nearly full: what is written then is
/// often half.
///
/// # Errors
/// [`Fault`] names the disk.
pub(in crate::stack) fn check(root: &Utf8Path, docker: Option<&Utf8Path>) -> Result<()> {
    let places = [(Some(root), "the pool"), (docker, "Docker's data")];
    for (path, of) in places.into_iter().filter_map(|(path, of)| Some((path?, of))) {
        // The data of an engine in a virtual machine is not on this disk.
        let Some(space) = free_space(path) else { continue };
        if is_low(space) {
            let (mib, files) = space;
            let what =
                format!("nothing is started: {mib} MiB and {files} files left on the disk of {of}, `{path}`");
            return Err(Fault::refused(what)
                .advise("make room; `docker system df` says what Docker keeps")
                .into());
        }
    }
    Ok(())
}
