//! What `kinfra init` read and would write.

use std::fmt::Write as _;

use camino::Utf8PathBuf;
use owo_colors::OwoColorize as _;
use similar::{ChangeTag, TextDiff};

use crate::init::{Basis, Draft, Update};
use crate::shown::printable;

/// What the draft was made from.
pub fn basis(basis: &Basis) -> String {
    match basis {
        Basis::Embedded => String::new(),
        Basis::Sample => "No Compose file is here: this is a sample to start from\n".to_owned(),
        Basis::Compose { files, unasked } => read(files, unasked.as_deref()),
    }
}

/// Which files were read, and how.
pub fn read(files: &[Utf8PathBuf], unasked: Option<&str>) -> String {
    let names: Vec<String> = files.iter().map(|path| printable(path.as_str())).collect();
    let names = names.join(" and ");
    match unasked {
        None => format!("Read {names} with Docker Compose\n"),
        Some(why) => format!("Read {names} without Docker Compose: {}\n", printable(why)),
    }
}

/// The text of slots.toml; where there are further files, the names of all.
pub fn files(draft: &Draft) -> String {
    if let [file] = draft.files.as_slice() {
        return file.text.clone();
    }
    draft.files.iter().fold(String::new(), |mut text, file| {
        let _ = writeln!(text, "  {} Would write {}", "+".green(), printable(file.path.as_str()));
        text
    })
}

/// What the user should know, one line each.
pub fn notes(notes: &[String]) -> String {
    notes.iter().fold(String::new(), |mut text, note| {
        let _ = writeln!(text, "note: {}", printable(note));
        text
    })
}

/// What was written, if a file `was_missing`.
pub fn written(draft: &Draft, was_missing: bool) -> String {
    let what = if draft.files.len() > 1 { "slots.toml and its templates" } else { "slots.toml" };
    let wrote = if was_missing { "Wrote" } else { "Nothing to write: there is already" };
    format!("{wrote} {what}. Next: `kinfra plan`\n")
}

/// What would change in slots.toml.
pub fn changes(update: &Update) -> String {
    let mut text = String::new();
    let diff = TextDiff::from_lines(update.old.as_str(), update.new.as_str());
    for hunk in diff.unified_diff().context_radius(2).iter_hunks() {
        let _ = writeln!(text, "{}", hunk.header().to_string().trim_end().cyan());
        for change in hunk.iter_changes() {
            let line = printable(change.value().trim_end_matches(['\r', '\n']));
            let _ = match change.tag() {
                ChangeTag::Equal => writeln!(text, " {line}"),
                ChangeTag::Delete => writeln!(text, "{}", format!("-{line}").red()),
                ChangeTag::Insert => writeln!(text, "{}", format!("+{line}").green()),
            };
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::init::DraftFile;

    #[test]
    fn what_was_written_is_one_file_or_several() {
        let file = |path: &str| DraftFile { path: path.into(), text: "text\n".to_owned() };
        let draft = |files: &[&str]| Draft {
            basis: Basis::Sample,
            files: files.iter().map(|path| file(path)).collect(),
            notes: Vec::new(),
        };
        let (one, two) = (draft(&["slots.toml"]), draft(&["slots.toml", "a.j2"]));
        assert_eq!(written(&one, true), "Wrote slots.toml. Next: `kinfra plan`\n");
        assert_eq!(written(&two, true), "Wrote slots.toml and its templates. Next: `kinfra plan`\n");
        assert!(written(&two, false).starts_with("Nothing to write: there is already slots.toml and"));
        assert_eq!((files(&one).as_str(), files(&two).lines().count()), ("text\n", 2));
    }

    #[test]
    fn what_a_draft_was_made_from_is_said() {
        let files = ["a.yaml".into(), "b.yaml".into()].to_vec();
        let compose = |unasked: Option<&str>| Basis::Compose {
            files: files.clone(),
            unasked: unasked.map(str::to_owned),
        };
        for (from, said) in [
            (Basis::Embedded, ""),
            (Basis::Sample, "No Compose file is here: this is a sample to start from\n"),
            (compose(None), "Read a.yaml and b.yaml with Docker Compose\n"),
            (compose(Some("no docker")), "Read a.yaml and b.yaml without Docker Compose: no docker\n"),
        ] {
            assert_eq!(basis(&from), said);
        }
        assert_eq!(notes(&["a".to_owned(), "b\u{1b}".to_owned()]), "note: a\nnote: b\\u{1b}\n");
    }

    #[test]
    fn what_would_change_is_shown_with_two_lines_around_it() {
        let lines = |changed: &str| {
            let line = |at| if at == 5 { changed.to_owned() } else { format!("{at}\n") };
            (1..=9).map(line).collect::<String>()
        };
        let update = Update {
            path: "slots.toml".into(),
            old: lines("old\n"),
            new: lines("new\n"),
            files: Vec::new(),
            unasked: None,
            notes: Vec::new(),
        };
        let shown = anstream::adapter::strip_str(&changes(&update)).to_string();
        assert_eq!(shown, "@@ -3,5 +3,5 @@\n 3\n 4\n-old\n+new\n 6\n 7\n");
    }
}
