//! What `kinfra init` read and would write: each file, and how a template differs from its original.

use std::fmt::{self, Write as _};

use owo_colors::OwoColorize as _;
use similar::{ChangeTag, TextDiff};

use crate::init::{Basis, Draft, DraftFile};
use crate::shown::printable;

/// What the draft was made from.
pub fn basis(basis: &Basis) -> String {
    match basis {
        Basis::Embedded => String::new(),
        Basis::Sample => "No Compose file is here: this is a sample to start from\n".to_owned(),
        Basis::Compose { files, unasked } => {
            let names: Vec<&str> = files.iter().map(|path| path.as_str()).collect();
            let names = names.join(" and ");
            match unasked {
                None => format!("Read {names} with Docker Compose\n"),
                Some(why) => format!("Read {names} without Docker Compose: {}\n", printable(why)),
            }
        }
    }
}

/// The files that would be written, each template with its differences from the original.
pub fn files(draft: &Draft) -> String {
    let mut text = String::new();
    for file in &draft.files {
        let _ = write_file(&mut text, file);
    }
    text
}

/// What the user should know, one line each.
pub fn notes(draft: &Draft) -> String {
    draft.notes.iter().fold(String::new(), |mut text, note| {
        let _ = writeln!(text, "note: {}", printable(note));
        text
    })
}

fn write_file(text: &mut String, file: &DraftFile) -> fmt::Result {
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
