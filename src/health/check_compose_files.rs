//! What Compose says of the slots' files before they are in the pool. Writes nothing in the pool.

use std::collections::BTreeSet;

use anyhow::Result;
use camino::Utf8Path;

use super::check_docker::compose_version;
use super::finding::{Findings, Severity};
use crate::desired::{Pool, Slot};
use crate::digest::Digest;
use crate::file::FileMode;
use crate::host::compose;
use crate::host::docker::{Answer, is_warning};
use crate::host::fs::Scratch;
use crate::names::{COMPOSE_FILES, ENV_FILE, TEMPLATES};
use crate::slot::SlotId;
use crate::spec::{Spec, redact};

/// The most slots that Compose is asked about. If every slot has another text, the first ones have to do.
const ASKED: usize = 24;

/// Stands for a slot's directory in what is said of several slots.
const ANY_SLOT: &str = "slot-N";

/// Checks the Compose files of slots: one slot for each profile and each text of its files.
pub(super) fn check_compose_files(pool: &Pool, spec: &Spec, findings: &mut Findings) {
    let mut slots = one_of_each_kind(pool);
    if slots.is_empty() {
        return findings.fine("compose", "no slot has a Compose file");
    }
    if let Err(why) = compose_version() {
        let advice = "install Docker Compose 2 or newer to have them checked";
        return findings.warning("compose", format!("the files were not checked: {why}"), advice);
    }
    let kinds = slots.len();
    slots.truncate(ASKED);
    let said = said_of(&slots, spec);
    if said.is_empty() {
        let asked = SlotId::named(&slots.iter().map(|slot| slot.id).collect());
        let each = if kinds > slots.len() { "the first ones" } else { "one of each kind" };
        findings.fine("compose", format!("accepts the files of {asked}, {each}"));
    }
    for ((severity, line), slots) in said {
        let line = match slots.first() {
            Some(slot) if slots.len() == 1 => line.replace(ANY_SLOT, &slot.directory()),
            Some(_) | None => line,
        };
        let advice = if severity == Severity::Error { fix(spec) } else { String::new() };
        findings.add(severity, "compose", format!("{}: {line}", SlotId::named(&slots)), advice);
    }
}

/// The templates that the slots' Compose files are made from, to be fixed.
fn fix(spec: &Spec) -> String {
    let composed = spec.files.iter().filter(|file| COMPOSE_FILES.contains(&file.path.get_ref().as_str()));
    let templates: BTreeSet<String> =
        composed.map(|file| format!("`{TEMPLATES}/{}`", file.template.get_ref())).collect();
    format!("fix {}", templates.into_iter().collect::<Vec<_>>().join(" or "))
}

/// What Compose says, each line once, with the slots that it is said of. Most mistakes are the same in all
/// slots.
fn said_of(slots: &[&Slot], spec: &Spec) -> Vec<(Said, BTreeSet<SlotId>)> {
    let mut said: Vec<(Said, BTreeSet<SlotId>)> = Vec::new();
    for slot in slots {
        let lines = match compose_file(slot, spec) {
            Ok(lines) => lines,
            // It would say nothing of the next one either.
            Err(why) => {
                said.push(((Severity::Warning, format!("not checked: {why}")), BTreeSet::from([slot.id])));
                break;
            }
        };
        for line in lines {
            match said.iter_mut().find(|(other, _)| *other == line) {
                Some((_, slots)) => drop(slots.insert(slot.id)),
                None => said.push((line, BTreeSet::from([slot.id]))),
            }
        }
    }
    said
}

/// The slots with Compose files: the first of all that have the same profile and the same texts.
fn one_of_each_kind(pool: &Pool) -> Vec<&Slot> {
    let mut kinds = BTreeSet::new();
    let is_new = |slot: &&Slot| {
        let composed = slot.files.iter().filter(|(path, _)| COMPOSE_FILES.contains(&path.as_str()));
        let digests: Vec<Digest> = composed.map(|(_, file)| file.digest).collect();
        !digests.is_empty() && kinds.insert((slot.profile.name.clone(), digests))
    };
    pool.slots.values().filter(is_new).collect()
}

/// A line that Compose prints, and how bad it is.
type Said = (Severity, String);

/// What Compose says of a slot's files, without the values of `[env]`.
///
/// # Errors
/// Why it says nothing.
fn compose_file(slot: &Slot, spec: &Spec) -> Result<Vec<Said>, String> {
    let scratch = match copy_of(slot) {
        Ok(scratch) => scratch,
        Err(error) => return Ok(vec![(Severity::Warning, format!("not checked: {error:#}"))]),
    };
    let dir = scratch.dir().path();
    let env_file = slot.files.keys().any(|path| path.as_str() == ENV_FILE).then_some(ENV_FILE);
    let (said, failed) = match compose::check(dir, env_file) {
        Answer::Is(said) => (said, false),
        Answer::Failed(said) => (said, true),
        silent @ (Answer::NoCommand | Answer::NoDaemon | Answer::Silent(_)) => {
            return Err(silent.needed().err().unwrap_or_default());
        }
    };
    // The copy's path means nothing to the user. Without the slot's number, equal lines of several slots are
    // equal.
    let said = redact(&replaced(&said, dir, &slot.dir.with_file_name(ANY_SLOT)), &spec.env);
    let (warnings, errors): (Vec<&str>, Vec<&str>) = said.lines().partition(|line| is_warning(line));
    let mut said: Vec<Said> =
        warnings.into_iter().map(|line| (Severity::Warning, without_time(line))).collect();
    if failed {
        let error = if errors.is_empty() { "it failed without a word".to_owned() } else { errors.join(" ") };
        said.push((Severity::Error, error));
    }
    Ok(said)
}

/// The message of a line of Compose's log.
fn without_time(line: &str) -> String {
    let said = line.split_once("msg=\"").map_or(line, |(_, said)| said.trim_end_matches('"'));
    said.replace("\\\"", "\"")
}

/// A copy of a slot's files outside the pool. Paths in the slot's directory become paths in the copy, because
/// the files of the pool may be missing or older.
fn copy_of(slot: &Slot) -> Result<Scratch> {
    let scratch = Scratch::new()?;
    for (path, file) in &slot.files {
        let path = path.as_path();
        let dir = scratch.dir().make_dir(path.parent().unwrap_or(Utf8Path::new("")))?;
        let text = replaced(&file.text, &slot.dir, scratch.dir().path());
        dir.write_new(path.file_name().unwrap_or_default(), text.as_bytes(), FileMode::PRIVATE)?;
    }
    Ok(scratch)
}

/// The text with one directory replaced by another. A longer name that starts the same way is left alone.
fn replaced(text: &str, from: &Utf8Path, to: &Utf8Path) -> String {
    let mut parts = text.split(from.as_str());
    let mut replaced = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_longer = part.starts_with(|next: char| next.is_alphanumeric() || "-_.".contains(next));
        replaced.push_str(if is_longer { from.as_str() } else { to.as_str() });
        replaced.push_str(part);
    }
    replaced
}
