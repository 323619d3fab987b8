//! Differences of files, as `diff -u` shows them, with the changed part of a line underlined. Sensitive
//! values are masked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use owo_colors::OwoColorize as _;
use similar::{ChangeTag, TextDiff};

use crate::desired::{File, MASK};
use crate::provision::ChangedText;
use crate::shown::printable;
use crate::slot::SlotId;

/// How many lines are shown around a change.
const CONTEXT: usize = 3;
/// The start of each line of a diff.
const INDENT: &str = "      ";

/// The differences of files, by slot.
pub fn by_slot(changed: &[ChangedText<'_>], secrets: &BTreeSet<String>) -> BTreeMap<SlotId, String> {
    let mut diffs: BTreeMap<SlotId, String> = BTreeMap::new();
    for ChangedText { slot, path, old, new } in changed {
        let diff = unified(path.as_path().as_str(), old, new, secrets);
        diffs.entry(*slot).or_default().push_str(&diff);
    }
    diffs
}

/// The difference between two texts of a file of the project, which has no sensitive values of the pool.
pub fn of_project(path: &str, old: &str, new: &str) -> String {
    of_texts(path, (old, new), None, &BTreeSet::new())
}

/// The difference between a file's text and what it should be.
fn unified(path: &str, old: &str, new: &File, secrets: &BTreeSet<String>) -> String {
    of_texts(path, (old, &new.text), new.masked.as_deref(), secrets)
}

fn of_texts(
    path: &str,
    (old, new): (&str, &str),
    masked: Option<&str>,
    secrets: &BTreeSet<String>,
) -> String {
    let diff = TextDiff::from_lines(old, new);
    let masked: Option<Vec<&str>> = masked.map(|text| text.lines().collect());
    if masked.as_ref().is_some_and(|lines| lines.len() != new.lines().count()) {
        return format!("{INDENT}{path}: {MASK}\n");
    }
    let mut text = format!("{INDENT}{}\n", printable(path).bold());
    for (index, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if index > 0 {
            let _ = writeln!(text, "{INDENT}…");
        }
        for change in group.iter().flat_map(|op| diff.iter_inline_changes(op)) {
            let shown = match (change.tag(), change.new_index(), &masked) {
                // The old line may hold an older secret, which is unknown by now.
                (ChangeTag::Delete, _, Some(_)) => Some(MASK.to_owned()),
                (_, Some(line), Some(masked)) => masked.get(line).map(|line| (*line).to_owned()),
                _ => None,
            };
            let hides = |part: &str| secrets.iter().any(|secret| part.contains(secret.as_str()));
            let whole: String = change.iter_strings_lossy().map(|(_, part)| part).collect();
            let shown = shown.or_else(|| hides(&whole).then(|| MASK.to_owned()));
            let line = shown.map_or_else(
                || {
                    let parts = change.iter_strings_lossy().map(|(emphasised, part)| {
                        let part = printable(part.trim_end_matches('\n'));
                        if emphasised { part.underline().to_string() } else { part }
                    });
                    parts.collect::<String>()
                },
                |masked| printable(&masked),
            );
            let _ = match change.tag() {
                ChangeTag::Equal => writeln!(text, "{INDENT}  {line}"),
                ChangeTag::Delete => writeln!(text, "{INDENT}{} {}", "-".red(), line.red()),
                ChangeTag::Insert => writeln!(text, "{INDENT}{} {}", "+".green(), line.green()),
            };
        }
    }
    text
}
