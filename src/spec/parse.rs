//! The text of a `slots.toml` → [`Spec`]. Reading goes on after a mistake: a function that returns `None` has
//! noted one.

use std::collections::BTreeMap;

use toml::de::DeTable;

use super::compose;
use super::declared::{DeclaredPath, FileSpec, Spec, StackSpec, WorktreePath};
use super::env;
use super::files;
use super::invalid::Invalid;
use super::keys::Keys;
use super::mistake::Mistake;
use super::ports::{self, Ports};
use super::profiles;
use super::registry;
use super::slots;
use super::stack;
use super::value::{TomlValue, number, text};
use super::verb::Verbs;
use super::verbs;
use super::worktree;
use crate::agent::LEASE;
use crate::identifier::PortName;
use crate::slot::SlotId;
use crate::time::Span;

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;

impl Spec {
    /// Reads the text of a `slots.toml`, for no host: slots that a host has for itself are elsewhere.
    ///
    /// # Errors
    /// Every mistake, in the order of the file.
    pub fn parse(source: &str) -> Result<Self, Vec<Mistake>> {
        Self::parse_on(source, None)
    }

    /// Reads the text of a `slots.toml`, for a host.
    ///
    /// # Errors
    /// Every mistake, in the order of the file.
    pub fn parse_on(source: &str, host: Option<&str>) -> Result<Self, Vec<Mistake>> {
        let (document, errors) = DeTable::parse_recoverable(source);
        if !errors.is_empty() {
            let syntax =
                |error: &toml::de::Error| Mistake::new(error.span().unwrap_or(0..0), error.message());
            return Err(in_order(errors.iter().map(syntax).collect()));
        }
        if document.get_ref().is_empty() {
            let help = "a pool needs `version = 1`, [pool], [ports], [[profiles]], [[slots]], and [files] or [compose]";
            return Err(vec![Mistake::new(0..0, "the file declares nothing").help(help.to_owned())]);
        }
        let mut mistakes = Vec::new();
        let spec = file(Keys::of_file(&document), host, &mut mistakes);
        match spec {
            Some(spec) => Ok(spec),
            None => Err(in_order(mistakes)),
        }
    }
}

fn in_order(mut mistakes: Vec<Mistake>) -> Vec<Mistake> {
    mistakes.sort_by_key(|mistake| mistake.span.start);
    mistakes
}

#[expect(clippy::too_many_lines, reason = "a line or two for each table of the file")]
fn file(mut file: Keys<'_>, host: Option<&str>, mistakes: &mut Vec<Mistake>) -> Option<Spec> {
    let version = file.require("version");
    version.inspect(|value| check_version(value, mistakes));
    let pool_keys = file.table("pool", mistakes);
    let has_compose = file.has("compose");
    let ports = file.table("ports", mistakes).and_then(|keys| ports::read(keys, has_compose, mistakes));
    let pool = pool_keys.and_then(|keys| pool(keys, ports.as_ref(), mistakes));
    let profiles =
        file.tables("profiles", mistakes).and_then(|tables| profiles::read(tables, has_compose, mistakes));
    let classes = profiles.as_ref().map(|read| read.profiles.as_slice());
    let slots = file.tables("slots", mistakes);
    let slots = slots.and_then(|tables| slots::read(tables, classes, host, mistakes));
    let files = files_of_slot(&mut file, has_compose, mistakes);
    let claim = match file.get("claim").map(|value| Keys::of(value, "[claim]", mistakes)) {
        None => Some(Vec::new()),
        Some(keys) => keys.and_then(|keys| files::read(keys, mistakes)),
    };
    let env = match file.get("env").map(|value| Keys::of(value, "[env]", mistakes)) {
        None => Some(Vec::new()),
        Some(keys) => keys.and_then(|keys| env::read(keys, env::slot_variable, mistakes)),
    };
    let (worktree, copy) = worktree::read(&mut file, has_compose, mistakes).unzip();
    let compose = compose::read(&mut file, copy, mistakes);
    let ids: Vec<SlotId> = slots.iter().flat_map(|slots| slots.own.keys()).copied().collect();
    let stack = stack::read(&mut file, &ids, mistakes);
    let registry = registry::read(&mut file, mistakes);
    let verbs = verbs::read(&mut file, classes, mistakes);
    file.finish(mistakes);

    if let (Some(ports), Some(slots)) = (&ports, &slots) {
        let before = mistakes.len();
        // A mistake that several hosts have is one.
        for ids in slots.by_host() {
            if mistakes.len() == before {
                ports.prove(&ids, mistakes);
            }
        }
    }
    if let (Some(files), Some(claim)) = (&files, &claim) {
        files::refuse_clashes(files.iter().chain(claim), mistakes);
        if has_compose {
            compose::refuse_in_place_of_env_file(files, claim, mistakes);
        }
    }
    if let (Some(ports), Some(profiles)) = (&ports, &profiles) {
        ports.refuse_surplus_workers(&profiles.workers, mistakes);
        if let (Some(pool), Some(env)) = (&pool, &env) {
            let reserved = env::reserved(&pool.env_prefix, ports.names(), &profiles.profiles);
            env::refuse_reserved(env, &reserved, mistakes);
        }
    }
    if !mistakes.is_empty() {
        mistakes.extend(verbs.into_iter().flat_map(|verbs| verbs.mistakes()));
        return None;
    }
    let (ports, slots) = (ports?, slots?);
    Some(Spec {
        publish: ports.published(),
        ports: ports.formulas(),
        profiles: profiles?.profiles,
        slots: slots.own.into_iter().map(|(id, profile)| Some((id, profile?))).collect::<Option<_>>()?,
        elsewhere: slots.elsewhere,
        files: files?,
        claim: claim?,
        env: env?,
        compose,
        registry,
        stack: stack?,
        worktree: worktree?,
        verbs: verbs?,
        ..pool?
    })
}

fn check_version(value: TomlValue<'_>, mistakes: &mut Vec<Mistake>) {
    if let Some(version) = number(value, "`version`", 0..=u16::MAX, mistakes).filter(|version| *version != 1)
    {
        let message = format!("this kinfra reads version 1 of slots.toml, not version {version}");
        mistakes.push(Mistake::new(value.span(), message));
    }
}

/// Reads `[pool]` into a spec that declares nothing else yet.
fn pool(mut keys: Keys<'_>, ports: Option<&Ports>, mistakes: &mut Vec<Mistake>) -> Option<Spec> {
    let name = keys.require("name").and_then(|value| text(value, "`name`", mistakes, pool_name));
    let root = keys.require("root").and_then(|value| text(value, "`root`", mistakes, DeclaredPath::new));
    let env_prefix = match keys.get("env_prefix") {
        None => Some(String::new()),
        Some(value) => text(value, "`env_prefix`", mistakes, env_prefix),
    };
    let import = match keys.get("import") {
        None => Some(None),
        Some(value) => text(value, "`import`", mistakes, DeclaredPath::new).map(Some),
    };
    let primary = match keys.get("primary") {
        None => Some(None),
        Some(value) => text(value, "`primary`", mistakes, |name| primary_port(name, ports)).map(Some),
    };
    let agent_lease = keys
        .get("agent_lease")
        .map_or(Some(LEASE), |value| text(value, "`agent_lease`", mistakes, agent_lease));
    keys.finish(mistakes);
    Some(Spec {
        name: name?,
        root: root?,
        env_prefix: env_prefix?,
        import: import?,
        primary: primary?,
        agent_lease: agent_lease?,
        ports: Vec::new(),
        profiles: Vec::new(),
        slots: BTreeMap::new(),
        elsewhere: BTreeMap::new(),
        files: Vec::new(),
        claim: Vec::new(),
        env: Vec::new(),
        publish: BTreeMap::new(),
        compose: None,
        registry: None,
        stack: StackSpec::default(),
        worktree: WorktreePath::default(),
        verbs: Verbs::default(),
    })
}

/// Accepts the names that Compose accepts for a project.
fn pool_name(name: &str) -> Result<String, Invalid> {
    let starts_well = name.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit());
    if starts_well && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-')) {
        return Ok(name.to_owned());
    }
    let message = format!("`{}` is not a valid pool name", name.escape_debug());
    let help = "use lowercase letters, digits, `_` and `-`, and start with a letter or a digit";
    Err(Invalid::new(message, help))
}

/// Accepts the name of a declared port. Ports that could not be read are not held against it.
fn primary_port(name: &str, ports: Option<&Ports>) -> Result<PortName, Invalid> {
    let Some(ports) = ports else { return PortName::new(name).map_err(Invalid::from) };
    ports.names().find(|port| port.as_str() == name).ok_or_else(|| {
        let names: Vec<String> = ports.names().map(|port| port.to_string()).collect();
        let message = format!("`primary` names no port of [ports]: `{}`", name.escape_debug());
        Invalid::new(message, format!("write one of {}", names.join(", ")))
    })
}

/// Accepts a lease, which does not end at once.
fn agent_lease(text: &str) -> Result<Span, Invalid> {
    let span = Span::parse(text).map_err(Invalid::from)?;
    if span.is_zero() { Err(format!("a lease of `{text}` has run out at once").into()) } else { Ok(span) }
}

fn env_prefix(prefix: &str) -> Result<String, Invalid> {
    let starts_well = prefix.starts_with(|first: char| first.is_ascii_uppercase() || first == '_');
    if starts_well && prefix.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_')) {
        return Ok(prefix.to_owned());
    }
    let message = format!("`{}` is not a valid prefix for variables", prefix.escape_debug());
    let help = "use uppercase letters, digits and `_`, and start with a letter or `_`";
    Err(Invalid::new(message, help))
}

/// Reads `[files]`, which a pool needs that does not run the worktree's own Compose files.
fn files_of_slot(
    file: &mut Keys<'_>,
    has_compose: bool,
    mistakes: &mut Vec<Mistake>,
) -> Option<Vec<FileSpec>> {
    if has_compose {
        let Some(value) = file.get("files") else { return Some(Vec::new()) };
        return Keys::of(value, "[files]", mistakes).and_then(|keys| files::read(keys, mistakes));
    }
    let keys = file.table("files", mistakes)?;
    let span = keys.span();
    let files = files::read(keys, mistakes);
    if files.as_ref().is_some_and(Vec::is_empty) {
        let help = "declare at least one file, such as `\".env.sandbox\" = \"env.sandbox\"`".to_owned();
        mistakes.push(Mistake::new(span, "[files] is empty").help(help));
    }
    files
}
