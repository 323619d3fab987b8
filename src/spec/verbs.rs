//! `[verbs]`: the verbs of the project. Each is `kinfra start` with a branch and flags of its own.

use std::collections::BTreeMap;
use std::rc::Rc;

use toml::Spanned;

use super::invalid::Invalid;
use super::keys::{Keys, user_key};
use super::mistake::{Mistake, suggestion};
use super::value::{TomlValue, flag, text};
use crate::identifier::{Branch, ProfileName, VerbName};
use crate::slot::Profile;
use crate::time::Span;

/// The verbs of kinfra, hidden ones included. No project has a verb of such a name.
pub const OWN_VERBS: [&str; 35] = [
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
    "slots",
    "start",
    "status",
    "up",
    "validate",
    "worktrees",
];

/// What stands for the name that is typed.
const NAME: &str = "{name}";

/// The most verbs that a project may have.
const MOST: usize = 100;

/// What `[verbs]` declares.
#[derive(Debug, Clone, Default)]
pub struct Verbs {
    /// The verbs of the project.
    pub declared: BTreeMap<VerbName, VerbSpec>,
    /// The verbs that this kinfra has itself: its own are meant. An older one may have read the same file.
    pub taken: BTreeMap<VerbName, Mistake>,
}

/// A verb of the project: `kinfra start` with these.
#[derive(Debug, Clone, Default)]
pub struct VerbSpec {
    /// The branch.
    pub branch: BranchTemplate,
    /// Where a new branch begins.
    pub from: Option<String>,
    /// The smallest profile that the slot may have.
    pub profile: Option<ProfileName>,
    /// The lease of the claim.
    pub lease: Option<Span>,
    /// Whether the stack is not started.
    pub is_without_stack: bool,
}

/// The name of a branch, with a place for the name that is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchTemplate(String);

impl Default for BranchTemplate {
    fn default() -> Self {
        Self(NAME.to_owned())
    }
}

impl BranchTemplate {
    /// Refuses a branch that does not have the name once, or that git would take for a flag.
    fn new(template: &str) -> Result<Self, Invalid> {
        let shown = template.escape_debug();
        let takes = format!("write it once, as in `impl/{NAME}`");
        let count = template.matches(NAME).count();
        if count != 1 {
            return Err(Invalid::new(format!("`{shown}` has `{NAME}` {count} times"), takes));
        }
        if template.replace(NAME, "").contains(['{', '}']) {
            return Err(Invalid::new(format!("`{shown}` has braces that stand for nothing"), takes));
        }
        Branch::new(&template.replace(NAME, "x"))?;
        Ok(Self(template.to_owned()))
    }

    /// The branch for a name.
    ///
    /// # Errors
    /// The reason why it is none.
    pub fn of(&self, name: &str) -> Result<Branch, String> {
        Branch::new(name)?;
        Branch::new(&self.0.replace(NAME, name))
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
            let message = format!("`{name}` is a verb of kinfra itself");
            let help = "choose another name: kinfra's own verb is always the one that runs".to_owned();
            verbs.taken.insert(name, Mistake::new(key.span(), message).help(help));
        } else {
            verbs.declared.extend(verb.map(|verb| (name, verb)));
        }
    }
    if !is_whole {
        mistakes.extend(verbs.taken.into_values());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_has_the_name_once_and_is_no_flag() {
        let of = |template: &str, name: &str| {
            let template = BranchTemplate::new(template).map_err(|invalid| invalid.message)?;
            template.of(name).map(|branch| branch.to_string())
        };
        assert_eq!(of("impl/{name}", "a/b").as_deref(), Ok("impl/a/b"));
        assert_eq!(of("{name}-x", "a{name}").as_deref(), Ok("a{name}-x"));
        assert_eq!(BranchTemplate::default().of("a").map(|branch| branch.to_string()).as_deref(), Ok("a"));
        for template in ["", "impl", "{name}{name}", "{name}/{repo}", "{name}}", "-{name}", "a\n{name}"] {
            assert!(of(template, "a").is_err(), "{template:?}");
        }
        for name in ["", "-x", "a\n"] {
            assert!(of("impl/{name}", name).is_err(), "{name:?}");
        }
    }
}
