//! What an agent is to know of kinfra, as a skill in a file.

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use super::install::{Change, to_text, top};
use crate::host::fs::is_directory;

/// The text of the skill.
pub const TEXT: &str = include_str!("skill.md");

/// Where it goes: where Claude Code looks for the skills of a project.
const DIRECTORY: &str = ".claude/skills/kinfra";

/// The file of a skill.
const FILE: &str = "SKILL.md";

/// Finds what is to change in the file of the skill: in a directory that was named, or in the repository.
///
/// # Errors
/// [`Fault`](crate::fault::Fault) when the file cannot be read, or a link is on the way.
pub fn prepare(named: Option<&Utf8Path>, here: &Utf8Path) -> Result<Change> {
    let Some(named) = named else { return to_text(&top(here)?, &Utf8Path::new(DIRECTORY).join(FILE), TEXT) };
    let dir = here.join(named);
    let base = dir.ancestors().find(|above| is_directory(above)).unwrap_or(here);
    let below: Utf8PathBuf = dir.strip_prefix(base).unwrap_or(named).join(FILE);
    to_text(base, &below, TEXT)
}
