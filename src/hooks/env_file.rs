//! The file in which Claude Code takes variables for the commands of a session.

use anyhow::{Context as _, Result};
use camino::Utf8Path;

use crate::fault::Fault;
use crate::host::fs::{Dir, Missing};

/// The variable that names it.
pub const VARIABLE: &str = "CLAUDE_ENV_FILE";

/// Adds lines for a shell to it.
///
/// # Errors
/// When it cannot be written.
pub fn add(file: &str, lines: &str) -> Result<()> {
    let path = Utf8Path::new(file);
    let no_file = || Fault::usage(format!("{VARIABLE} is `{}`, which names no file", file.escape_debug()));
    let parts = path.parent().zip(path.file_name()).filter(|_| path.is_absolute());
    let (above, name) = parts.ok_or_else(no_file)?;
    let dir = Dir::open(above).with_context(|| format!("could not open `{above}`"))?;
    dir.append(name, lines, Missing::Make)
}
