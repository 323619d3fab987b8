//! `[verbs]`: the verbs of the project. Each is `kinfra start` with a branch and flags of its own.

use std::ops::Range;
use std::rc::Rc;

use toml::Spanned;

use super::invalid::Invalid;
use super::keys::{Keys, user_key};
use super::mistake::{Mistake, suggestion};
use super::value::{TomlValue, flag, text};
use super::verb::{BranchTemplate, VerbSpec, Verbs};
use crate::identifier::{ProfileName, VerbName};
use crate::slot::Profile;
use crate::time::Span;

/// The verbs of kinfra, hidden ones included. No project has a verb of such a name.
pub const OWN_VERBS: [&str; 38] = [
    "agents",
    "apply",
    "claim",
    "clean",
    "completions",
    "compose",
    "demo",
    "destroy",
    "doctor",
    "done",
    "down",
    "env",
    "exec",
    "exit-codes",
    "help",
    "history",
    "hook",
    "init",
    "logs",
    "man",
    "open",
    "plan",
    "ports",
    "reap",
    "release",
    "renew",
    "reset",
    "run",
    "sandbox",
    "shell",
    "show",
    "skill",
    "slots",
    "start",
    "status",
    "up",
    "validate",
    "worktrees",
];

/// The most verbs that a project may have.
const MOST: usize = 100;

impl Verbs {
    /// The verbs that kinfra has itself, as mistakes.
    pub fn mistakes(&self) -> Vec<Mistake> {
        let help = || "choose another name: kinfra's own verb is always the one that runs".to_owned();
        let mistake = |(name, span): (&VerbName, &Range<usize>)| {
            Mistake::new(span.clone(), format!("`{name}` is a verb of kinfra itself")).help(help())
        };
        self.taken.iter().map(mistake).collect()
    }
}

/// Reads the table. Without it, the project has no verbs.
pub(super) fn read(
    file: &mut Keys<'_>,
    profiles: Option<&[Rc<Profile>]>,
    mistakes: &mut Vec<Mistake>,
) -> Option<Verbs> {
    let Some(value) = file.get("verbs") else { return Some(Verbs::default()) };
    let entries: Vec<_> = Keys::of(value, "[verbs]", mistakes)?.entries().collect();
    if entries.len() > MOST {
        let message = format!("[verbs] declares {} verbs, and at most {MOST} are possible", entries.len());
        mistakes.push(Mistake::new(value.span(), message));
        return None;
    }
    let (mut verbs, mut is_whole) = (Verbs::default(), true);
    for (key, value) in entries {
        let name = user_key(&key, VerbName::new, mistakes);
        let verb = verb(&key, value, profiles, mistakes);
        is_whole &= name.is_some() && verb.is_some();
        let Some(name) = name else { continue };
        if OWN_VERBS.contains(&name.as_str()) {
            verbs.taken.insert(name, key.span());
        } else {
            verbs.declared.extend(verb.map(|verb| (name, verb)));
        }
    }
    if !is_whole {
        mistakes.extend(verbs.mistakes());
        return None;
    }
    Some(verbs)
}

fn verb(
    key: &Spanned<&str>,
    value: TomlValue<'_>,
    profiles: Option<&[Rc<Profile>]>,
    mistakes: &mut Vec<Mistake>,
) -> Option<VerbSpec> {
    let mut keys = Keys::of(value, format!("[verbs.{}]", key.get_ref().escape_debug()), mistakes)?;
    let branch = keys.get("branch").map_or(Some(BranchTemplate::default()), |value| {
        text(value, "`branch`", mistakes, BranchTemplate::new)
    });
    let from = keys.get("from").map_or(Some(None), |value| text(value, "`from`", mistakes, start).map(Some));
    let profile = keys.get("profile").map_or(Some(None), |value| {
        text(value, "`profile`", mistakes, |name| profile(name, profiles)).map(Some)
    });
    let lease =
        keys.get("lease").map_or(Some(None), |value| text(value, "`lease`", mistakes, Span::lease).map(Some));
    let up = keys.get("up").map_or(Some(true), |value| flag(value, "`up`", mistakes));
    keys.finish(mistakes);
    Some(VerbSpec { branch: branch?, from: from?, profile: profile?, lease: lease?, is_without_stack: !up? })
}

/// Where a branch begins: what git can be asked about. Only git knows whether it is there.
fn start(text: &str) -> Result<String, Invalid> {
    let is_one = !text.is_empty() && !text.starts_with('-') && !text.chars().any(char::is_control);
    let message = || format!("`{}` is no commit or branch", text.escape_debug());
    is_one.then(|| text.to_owned()).ok_or_else(|| Invalid::new(message(), "write it as for `--from`"))
}

/// Accepts the name of a declared profile. Profiles that could not be read are not held against it.
fn profile(name: &str, profiles: Option<&[Rc<Profile>]>) -> Result<ProfileName, Invalid> {
    let Some(profiles) = profiles else { return ProfileName::new(name).map_err(Invalid::from) };
    let names = || profiles.iter().map(|profile| &profile.name);
    names().find(|profile| profile.as_str() == name).cloned().ok_or_else(|| Invalid {
        message: format!("profile `{}` is not defined", name.escape_debug()),
        help: suggestion(name, names().map(ProfileName::as_str), "the profiles are"),
    })
}
