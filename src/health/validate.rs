//! What is wrong with a pool before it is applied: what Compose says of its files, and which of its ports are in use.
//! Writes nothing in the pool.

use std::collections::BTreeSet;

use anyhow::Result;
use camino::Utf8Path;

use crate::desired::{Pool, Slot};
use crate::digest::Digest;
use crate::file::FileMode;
use crate::health::doctor::{Finding, Severity, in_use};
use crate::host::docker;
use crate::host::docker::Answer;
use crate::host::fs::Scratch;
use crate::host::net;
use crate::port::Port;
use crate::registry::Registry;
use crate::slot::SlotId;
use crate::spec::{Spec, redact};

/// The names under which Compose looks for its file.
const COMPOSE_FILES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];

/// Of how many slots Compose is asked: where every slot's file is another, the first ones tell.
const ASKED: usize = 24;

/// The name of a slot's directory where it is said of several.
const ANY_SLOT: &str = "slot-N";

/// The file of a slot that Compose is told its variables are in.
const ENV_FILE: &str = ".env.sandbox";

/// Ports of declared slots that are in use. Those that the registry holds are not looked at: whoever uses them may be the
/// slot's own stack, and the doctor looks at the others.
pub fn ports_in_use(spec: &Spec, registry: &Registry) -> Vec<Finding> {
    let entries = registry.slots.values();
    let held: BTreeSet<Port> = entries.flat_map(|entry| entry.provisioned.ports.values()).copied().collect();
    let mut findings = Vec::new();
    for slot in spec.slots.keys() {
        let ports = spec.ports.iter().filter_map(|(name, formula)| Some((name, formula.port(slot.get())?)));
        for (name, port) in ports.filter(|(_, port)| !held.contains(port) && net::is_in_use(*port)) {
            let advice = "stop it before the slot is used, or change the base or stride";
            findings.push(Finding::new(Severity::Warning, "in use", in_use(port, name, *slot), advice));
        }
    }
    if findings.is_empty() {
        findings.push(Finding::new(Severity::Fine, "in use", "no port of a new slot is", ""));
    }
    findings
}

/// What Compose says of the files of slots, asked once for each profile and each text that its file has.
pub fn compose_files(pool: &Pool, spec: &Spec) -> Vec<Finding> {
    let finding = |severity, found: String, advice: &str| Finding::new(severity, "compose", found, advice);
    let mut slots = one_of_each_kind(pool);
    if slots.is_empty() {
        return vec![finding(Severity::Fine, "no file of a slot is Compose's".to_owned(), "")];
    }
    if let Some(why) = no_compose() {
        let advice = "install Docker Compose 2 or newer to have them checked";
        return vec![finding(Severity::Warning, format!("the files were not checked: {why}"), advice)];
    }
    let kinds = slots.len();
    slots.truncate(ASKED);
    // Most of what is wrong is wrong in all of them.
    let mut said: Vec<(Said, BTreeSet<SlotId>)> = Vec::new();
    for slot in &slots {
        for line in compose_file(slot, spec) {
            match said.iter_mut().find(|(other, _)| *other == line) {
                Some((_, slots)) => drop(slots.insert(slot.id)),
                None => said.push((line, BTreeSet::from([slot.id]))),
            }
        }
    }
    if said.is_empty() {
        let asked = SlotId::list(&slots.iter().map(|slot| slot.id).collect());
        let each = if kinds > slots.len() { "the first ones" } else { "one of each kind" };
        return vec![finding(Severity::Fine, format!("accepts the files of slot(s) {asked}, {each}"), "")];
    }
    let findings = said.into_iter().map(|((severity, line), slots)| {
        let line = match slots.first() {
            Some(slot) if slots.len() == 1 => line.replace(ANY_SLOT, &slot.directory()),
            Some(_) | None => line,
        };
        let advice =
            if severity == Severity::Error { "mend the template that the file is made from" } else { "" };
        finding(severity, format!("slot(s) {}: {line}", SlotId::list(&slots)), advice)
    });
    findings.collect()
}

/// The slots that have a file of Compose's, the first of those whose profile and text of it are the same.
fn one_of_each_kind(pool: &Pool) -> Vec<&Slot> {
    let mut kinds = BTreeSet::new();
    let is_new = |slot: &&Slot| {
        let composed = slot.files.iter().filter(|(path, _)| COMPOSE_FILES.contains(&path.as_str()));
        let digests: Vec<Digest> = composed.map(|(_, file)| file.digest).collect();
        !digests.is_empty() && kinds.insert((slot.profile.name.clone(), digests))
    };
    pool.slots.values().filter(is_new).collect()
}

/// Why Compose cannot be asked, if it cannot.
fn no_compose() -> Option<String> {
    match docker::compose_version() {
        Answer::Is(version) if version.trim_start_matches('v').starts_with("1.") => {
            Some(format!("version {version} is too old"))
        }
        Answer::Is(_) => None,
        Answer::NoCommand | Answer::NoDaemon => Some("there is no `docker compose`".to_owned()),
        Answer::Failed(said) => Some(format!("`docker compose version` fails: {said}")),
    }
}

/// One thing that Compose says, and how bad it is.
type Said = (Severity, String);

/// What Compose says of a slot's files, without the values of `[env]`.
fn compose_file(slot: &Slot, spec: &Spec) -> Vec<Said> {
    let scratch = match copy_of(slot) {
        Ok(scratch) => scratch,
        Err(error) => return vec![(Severity::Warning, format!("not checked: {error:#}"))],
    };
    let dir = scratch.dir().path();
    let env_file = slot.files.keys().any(|path| path.as_str() == ENV_FILE).then_some(ENV_FILE);
    let (said, failed) = match docker::check(dir, env_file) {
        Answer::Is(said) => (said, false),
        Answer::Failed(said) => (said, true),
        Answer::NoCommand | Answer::NoDaemon => ("docker is gone".to_owned(), true),
    };
    // The copy is at a path that means nothing to anybody, and slots of which the same is said are told of together.
    let said = redact(&replaced(&said, dir, &slot.dir.with_file_name(ANY_SLOT)), &spec.env);
    let (warnings, errors): (Vec<&str>, Vec<&str>) =
        said.lines().partition(|line| line.contains("level=warning"));
    let mut said: Vec<Said> =
        warnings.into_iter().map(|line| (Severity::Warning, without_time(line))).collect();
    if failed {
        let error = if errors.is_empty() { "it failed without a word".to_owned() } else { errors.join(" ") };
        said.push((Severity::Error, error));
    }
    said
}

/// What a line of Compose's log says.
fn without_time(line: &str) -> String {
    let said = line.split_once("msg=\"").map_or(line, |(_, said)| said.trim_end_matches('"'));
    said.replace("\\\"", "\"")
}

/// The files of a slot, outside the pool. Where they speak of the slot's directory they speak of the copy's: what they name
/// there need not be in the pool yet, or may be older.
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

/// Text that speaks of another directory. One whose name only begins in the same way is another already.
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
