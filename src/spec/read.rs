//! The tables of `slots.toml`, one function each. Each notes what is wrong and reads on; `None` means it noted something.

use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use toml::Spanned;
use toml::de::DeValue;

use super::mistake::{Mistake, suggestion};
use super::ports::{self, Ports};
use super::section::{Section, Value, flag, number, text};
use super::{DeclaredPath, FileSpec, Spec, Variable};
use crate::file::{FileMode, RelPath};
use crate::identifier::{ProfileName, WorkerKind};
use crate::slot::{Profile, SlotId, Workers};

pub(super) fn file(mut file: Section<'_>, mistakes: &mut Vec<Mistake>) -> Option<Spec> {
    let version = file.require("version");
    version.inspect(|value| check_version(value, mistakes));
    let pool = file.table("pool", mistakes).and_then(|section| pool(section, mistakes));
    let ports = file.table("ports", mistakes).and_then(|section| ports::read(section, mistakes));
    let profiles = file.tables("profiles", mistakes).and_then(|sections| profiles(sections, mistakes));
    let slots =
        file.tables("slots", mistakes).and_then(|sections| slots(sections, profiles.as_deref(), mistakes));
    let files = file.table("files", mistakes).and_then(|section| {
        let span = section.span();
        let files = files(section, mistakes);
        if files.as_ref().is_some_and(Vec::is_empty) {
            mistakes.push(Mistake::new(span, "[files] is empty: a slot needs at least one file to run"));
        }
        files
    });
    let claim = match file.get("claim").map(|value| Section::of(value, "[claim]", mistakes)) {
        None => Some(Vec::new()),
        Some(section) => section.and_then(|section| self::files(section, mistakes)),
    };
    let env = match file.get("env").map(|value| Section::of(value, "[env]", mistakes)) {
        None => Some(Vec::new()),
        Some(section) => section.and_then(|section| env(section, mistakes)),
    };
    file.finish(mistakes);

    if let (Some(ports), Some(slots)) = (&ports, &slots) {
        ports.prove(&slots.keys().copied().collect(), mistakes);
    }
    if let (Some(files), Some(claim)) = (&files, &claim) {
        refuse_nested_files(files.iter().chain(claim), mistakes);
    }
    if let (Some(pool), Some(ports), Some(profiles), Some(env)) = (&pool, &ports, &profiles, &env) {
        refuse_taken_variables(&pool.env_prefix, ports, profiles, env, mistakes);
    }
    Some(Spec {
        ports: ports?.into_formulas(),
        profiles: profiles?,
        slots: slots?.into_iter().map(|(id, profile)| Some((id, profile?))).collect::<Option<_>>()?,
        files: files?,
        claim: claim?,
        env: env?,
        ..pool?
    })
}

fn check_version(value: Value<'_>, mistakes: &mut Vec<Mistake>) {
    if let Some(version) = number(value, "`version`", 0..=u16::MAX, mistakes).filter(|version| *version != 1)
    {
        let message = format!("this kinfra reads version 1 of slots.toml, not version {version}");
        mistakes.push(Mistake::new(value.span(), message));
    }
}

/// Reads `[pool]` into a spec that declares nothing else yet.
fn pool(mut section: Section<'_>, mistakes: &mut Vec<Mistake>) -> Option<Spec> {
    let name = section.require("name").and_then(|value| text(value, "`name`", mistakes, pool_name));
    let root = section.require("root").and_then(|value| text(value, "`root`", mistakes, DeclaredPath::new));
    let env_prefix = match section.get("env_prefix") {
        None => Some(String::new()),
        Some(value) => text(value, "`env_prefix`", mistakes, env_prefix),
    };
    let import = match section.get("import") {
        None => Some(None),
        Some(value) => text(value, "`import`", mistakes, DeclaredPath::new).map(Some),
    };
    section.finish(mistakes);
    Some(Spec {
        name: name?,
        root: root?,
        env_prefix: env_prefix?,
        import: import?,
        ports: Vec::new(),
        profiles: Vec::new(),
        slots: BTreeMap::new(),
        files: Vec::new(),
        claim: Vec::new(),
        env: Vec::new(),
    })
}

/// A name that Compose takes for a project.
fn pool_name(name: &str) -> Result<String, String> {
    let starts_well = name.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit());
    if starts_well && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-')) {
        return Ok(name.to_owned());
    }
    let name = name.escape_debug();
    Err(format!(
        "`{name}` is no name for a pool: use lowercase letters, digits, `_` and `-`, a letter or digit first"
    ))
}

fn env_prefix(prefix: &str) -> Result<String, String> {
    let starts_well = prefix.starts_with(|first: char| first.is_ascii_uppercase() || first == '_');
    if starts_well && prefix.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_')) {
        return Ok(prefix.to_owned());
    }
    let prefix = prefix.escape_debug();
    Err(format!("`{prefix}` cannot start a variable: use uppercase letters, digits and `_`, no digit first"))
}

fn profiles(sections: Vec<Section<'_>>, mistakes: &mut Vec<Mistake>) -> Option<Vec<Rc<Profile>>> {
    let mut profiles: Vec<Spanned<Rc<Profile>>> = Vec::new();
    let mut complete = true;
    for mut section in sections {
        let name = section.require("name");
        let span = name.map_or(section.span(), Spanned::span);
        let name = name.and_then(|value| text(value, "`name`", mistakes, ProfileName::new));
        let workers = match section.get("workers") {
            None => Some(Workers::new()),
            Some(value) => {
                Section::of(value, "`workers`", mistakes).and_then(|section| workers(section, mistakes))
            }
        };
        section.finish(mistakes);
        let (Some(name), Some(workers)) = (name, workers) else {
            complete = false;
            continue;
        };
        if let Some(earlier) = profiles.iter().find(|earlier| earlier.get_ref().name == name) {
            let mistake = Mistake::new(span.clone(), format!("profile `{name}` is declared twice"));
            mistakes.push(mistake.related(earlier.span(), "first declared here"));
        }
        profiles.push(Spanned::new(span, Rc::new(Profile { name, workers })));
    }
    complete.then(|| profiles.into_iter().map(Spanned::into_inner).collect())
}

fn workers(section: Section<'_>, mistakes: &mut Vec<Mistake>) -> Option<Workers> {
    let read = section.entries().map(|(kind, value)| {
        let count = number(value, "a number of workers", 0..=u16::MAX, mistakes);
        let kind = named(&kind, WorkerKind::new, mistakes);
        Some((kind?, count?))
    });
    read.collect::<Vec<_>>().into_iter().collect()
}

/// A key that is a name of the user's own, or a mistake.
pub(super) fn named<T>(
    key: &Spanned<&str>,
    read: impl FnOnce(&str) -> Result<T, String>,
    mistakes: &mut Vec<Mistake>,
) -> Option<T> {
    read(key.get_ref()).map_err(|message| mistakes.push(Mistake::new(key.span(), message))).ok()
}

/// Reads `[[slots]]`, if all ids are right: the ports are proven for them even if a profile is wrong.
fn slots(
    sections: Vec<Section<'_>>,
    profiles: Option<&[Rc<Profile>]>,
    mistakes: &mut Vec<Mistake>,
) -> Option<BTreeMap<SlotId, Option<Rc<Profile>>>> {
    let mut slots = BTreeMap::new();
    let mut places: BTreeMap<SlotId, Range<usize>> = BTreeMap::new();
    let mut complete = true;
    for mut section in sections {
        let ids_value = section.require("ids");
        let ids = ids_value.and_then(|value| text(value, "`ids`", mistakes, SlotId::parse_list));
        let profile = section.require("profile").and_then(|value| profile(value, profiles?, mistakes));
        section.finish(mistakes);
        let (Some(ids), Some(span)) = (ids, ids_value.map(Spanned::span)) else {
            complete = false;
            continue;
        };
        if let Some((id, earlier)) = ids.iter().find_map(|id| Some((id, places.get(id)?.clone()))) {
            let mistake = Mistake::new(span.clone(), format!("slot {id} is declared twice"));
            mistakes.push(mistake.related(earlier, "first declared here"));
        }
        for id in ids {
            places.entry(id).or_insert_with(|| span.clone());
            slots.entry(id).or_insert_with(|| profile.clone());
        }
    }
    complete.then_some(slots)
}

fn profile(value: Value<'_>, profiles: &[Rc<Profile>], mistakes: &mut Vec<Mistake>) -> Option<Rc<Profile>> {
    let name = text(value, "`profile`", mistakes, |name| Ok(name.to_owned()))?;
    let found = profiles.iter().find(|profile| profile.name.as_str() == name);
    if found.is_none() {
        let defined = profiles.iter().map(|profile| profile.name.as_str());
        let help = suggestion(&name, defined, "the profiles are");
        let name = name.escape_debug();
        mistakes.push(Mistake::new(value.span(), format!("profile `{name}` is not defined")).help(help));
    }
    found.cloned()
}

fn files(section: Section<'_>, mistakes: &mut Vec<Mistake>) -> Option<Vec<FileSpec>> {
    let read = section.entries().map(|(path, value)| {
        let span = path.span();
        let path = named(&path, RelPath::new, mistakes);
        let (template, mode) = if let DeValue::Table(_) = value.get_ref() {
            let mut section = Section::of(value, "a file", mistakes)?;
            let template = section.require("template");
            let mode = match section.get("mode") {
                None => Some(FileMode::PRIVATE),
                Some(value) => text(value, "`mode`", mistakes, FileMode::parse),
            };
            section.finish(mistakes);
            (template?, mode?)
        } else {
            (value, FileMode::PRIVATE)
        };
        let read_template = text(template, "a template", mistakes, RelPath::new)?;
        let template = Spanned::new(template.span(), read_template);
        Some(FileSpec { path: Spanned::new(span, path?), template, mode })
    });
    read.collect::<Vec<_>>().into_iter().collect()
}

/// Refuses a file that stands where another one needs a directory, and one that is written twice.
fn refuse_nested_files<'a>(files: impl Iterator<Item = &'a FileSpec>, mistakes: &mut Vec<Mistake>) {
    let mut sorted: Vec<&Spanned<RelPath>> = files.map(|file| &file.path).collect();
    sorted.sort_by_key(|path| path.span().start);
    for (index, path) in sorted.iter().enumerate() {
        let clash = sorted.iter().take(index).find(|earlier| {
            let (path, earlier) = (path.get_ref().as_path(), earlier.get_ref().as_path());
            path.starts_with(earlier) || earlier.starts_with(path)
        });
        if let Some(earlier) = clash {
            let message = if path.get_ref() == earlier.get_ref() {
                format!("`{}` is written twice", path.get_ref())
            } else {
                format!("`{}` and `{}` cannot both be files", earlier.get_ref(), path.get_ref())
            };
            mistakes.push(Mistake::new(path.span(), message).related(earlier.span(), "declared here"));
        }
    }
}

fn env(section: Section<'_>, mistakes: &mut Vec<Mistake>) -> Option<Vec<Variable>> {
    let read = section.entries().map(|(name, value)| {
        let span = name.span();
        let name = named(&name, variable_name, mistakes);
        let (value, sensitive) = if let DeValue::Table(_) = value.get_ref() {
            let mut section = Section::of(value, "a variable", mistakes)?;
            let inner = section.require("value");
            let sensitive = match section.get("sensitive") {
                None => Some(false),
                Some(value) => flag(value, "`sensitive`", mistakes),
            };
            section.finish(mistakes);
            (inner?, sensitive?)
        } else {
            (value, false)
        };
        let text = text(value, "the value of a variable", mistakes, |text| Ok(text.to_owned()))?;
        let value = Spanned::new(value.span(), text);
        Some(Variable { name: Spanned::new(span, name?), value, sensitive })
    });
    read.collect::<Vec<_>>().into_iter().collect()
}

fn variable_name(name: &str) -> Result<String, String> {
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    if starts_well && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Ok(name.to_owned());
    }
    let name = name.escape_debug();
    Err(format!("`{name}` is no name for a variable: use letters, digits and `_`, no digit first"))
}

/// Refuses variables of `[env]` that kinfra sets itself.
fn refuse_taken_variables(
    prefix: &str,
    ports: &Ports,
    profiles: &[Rc<Profile>],
    env: &[Variable],
    mistakes: &mut Vec<Mistake>,
) {
    let own = ["SLOT_ID", "COMPOSE_PROJECT_NAME"].map(|name| (name.to_owned(), "the slot itself".to_owned()));
    let ports = ports
        .names()
        .map(|name| (format!("{prefix}{}_PORT", name.as_str().to_uppercase()), format!("port `{name}`")));
    let workers = profiles.iter().flat_map(|profile| profile.workers.keys()).map(|kind| {
        (format!("{prefix}{}_WORKERS", kind.as_str().to_uppercase()), format!("the workers `{kind}`"))
    });
    let taken: BTreeMap<String, String> = own.into_iter().chain(ports).chain(workers).collect();
    for variable in env {
        if let Some(owner) = taken.get(variable.name.get_ref()) {
            let message = format!("`{}` is already the variable of {owner}", variable.name.get_ref());
            mistakes.push(Mistake::new(variable.name.span(), message).help("choose another name".to_owned()));
        }
    }
}
