//! What `kinfra init` would write: each file, and how a template differs from the file it was made from.

use std::fmt::{self, Write as _};

use owo_colors::OwoColorize as _;
use similar::{ChangeTag, TextDiff};

use super::printable;
use crate::init::{Draft, NewFile};

/// The files that would be written, each template with its differences from the original.
pub fn render(draft: &Draft) -> String {
    let mut text = String::new();
    for file in &draft.files {
        let _ = write_file(&mut text, file);
    }
    text
}

/// What people should know.
pub fn note(note: &str) -> String {
    format!("note: {}\n", printable(note))
}

fn write_file(text: &mut String, file: &NewFile) -> fmt::Result {
    let path = printable(file.path.as_str());
    let Some((original, old)) = &file.original else {
        return writeln!(text, "  {} Would write {path}", "+".green());
    };
    let original = printable(original.as_str());
    if *old == file.text {
        return writeln!(text, "  {} Would write {path}, the same as {original}", "+".green());
    }
    writeln!(text, "  {} Would write {path}, which is {original} but for", "+".green())?;
    let diff = TextDiff::from_lines(old.as_str(), file.text.as_str());
    for hunk in diff.unified_diff().context_radius(1).iter_hunks() {
        writeln!(text, "      {}", hunk.header().to_string().trim_end().cyan())?;
        for change in hunk.iter_changes() {
            let line = printable(change.value().trim_end_matches(['\r', '\n']));
            match change.tag() {
                ChangeTag::Equal => writeln!(text, "       {line}")?,
                ChangeTag::Delete => writeln!(text, "      {}", format!("-{line}").red())?,
                ChangeTag::Insert => writeln!(text, "      {}", format!("+{line}").green())?,
            }
        }
    }
    Ok(())
}
