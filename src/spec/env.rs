//! `[env]`: further variables of a slot.

use std::collections::BTreeMap;
use std::rc::Rc;

use toml::Spanned;
use toml::de::DeValue;

use super::declared::VariableSpec;
use super::invalid::Invalid;
use super::keys::{Keys, user_key};
use super::mistake::Mistake;
use super::value::{flag, text};
use crate::dotenv::is_name;
use crate::guarded_variables;
use crate::identifier::PortName;
use crate::names::{COMPOSE_PROJECT_NAME, SLOT_ID, port_variable, workers_variable};
use crate::slot::Profile;

/// Reads variables whose names `valid` accepts.
pub(super) fn read(
    keys: Keys<'_>,
    valid: impl Fn(&str) -> Result<String, Invalid>,
    mistakes: &mut Vec<Mistake>,
) -> Option<Vec<VariableSpec>> {
    let read = keys.entries().map(|(name, value)| {
        let span = name.span();
        let name = user_key(&name, &valid, mistakes);
        let (value, sensitive) = if let DeValue::Table(_) = value.get_ref() {
            let mut keys = Keys::of(value, "a variable", mistakes)?;
            let inner = keys.require("value");
            let sensitive = match keys.get("sensitive") {
                None => Some(false),
                Some(value) => flag(value, "`sensitive`", mistakes),
            };
            keys.finish(mistakes);
            (inner?, sensitive?)
        } else {
            (value, false)
        };
        let text = text(value, "the value of a variable", mistakes, |text| Ok::<_, String>(text.to_owned()))?;
        let value = Spanned::new(value.span(), text);
        Some(VariableSpec { name: Spanned::new(span, name?), value, sensitive })
    });
    read.collect::<Vec<_>>().into_iter().collect()
}

/// Accepts a variable that a slot may set.
pub(super) fn slot_variable(name: &str) -> Result<String, Invalid> {
    match guarded_variables::readers_of(name) {
        Some(readers) => Err(Invalid::new(guarded_variables::refusal(name, readers), "choose another name")),
        None => variable_name(name),
    }
}

/// Accepts any variable: what a service is told in its container is its own.
pub(super) fn variable_name(name: &str) -> Result<String, Invalid> {
    if is_name(name) {
        return Ok(name.to_owned());
    }
    let message = format!("`{}` is not a valid variable name", name.escape_debug());
    Err(Invalid::new(message, "use letters, digits and `_`, and start with a letter or `_`"))
}

/// The variables that kinfra sets itself, each with what it is for.
pub(super) fn reserved(
    prefix: &str,
    ports: impl Iterator<Item = PortName>,
    profiles: &[Rc<Profile>],
) -> BTreeMap<String, String> {
    let fixed = [SLOT_ID, COMPOSE_PROJECT_NAME].map(|name| (name.to_owned(), "for every slot".to_owned()));
    let ports = ports.map(|name| (port_variable(prefix, name.as_str()), format!("for port `{name}`")));
    let workers = profiles
        .iter()
        .flat_map(|profile| profile.workers.keys())
        .map(|kind| (workers_variable(prefix, kind.as_str()), format!("for workers `{kind}`")));
    fixed.into_iter().chain(ports).chain(workers).collect()
}

pub(super) fn refuse_reserved(
    env: &[VariableSpec],
    reserved: &BTreeMap<String, String>,
    mistakes: &mut Vec<Mistake>,
) {
    for variable in env {
        let name = variable.name.get_ref();
        if let Some(purpose) = reserved.get(name) {
            let message = format!("kinfra sets `{name}` itself, {purpose}");
            mistakes.push(Mistake::new(variable.name.span(), message).help("choose another name".to_owned()));
        }
    }
}
