//! `[stack]`: how the stack of a slot is started, checked and kept.

use std::collections::BTreeSet;

use super::declared::StackSpec;
use super::invalid::Invalid;
use super::keys::Keys;
use super::mistake::Mistake;
use super::subnet::SubnetTemplate;
use super::value::{TomlValue, list, text};
use crate::slot::SlotId;
use crate::time::Span;

/// Reads `[stack]` of a pool with these slots. Without it, nothing is set.
pub(super) fn read(file: &mut Keys<'_>, slots: &[SlotId], mistakes: &mut Vec<Mistake>) -> Option<StackSpec> {
    let Some(value) = file.get("stack") else { return Some(StackSpec::default()) };
    let mut keys = Keys::of(value, "[stack]", mistakes)?;
    let verify = keys.get("verify").map_or(Some(Vec::new()), |value| verify(value, mistakes));
    let once = keys.get("once").map_or(Some(BTreeSet::new()), |value| once(value, mistakes));
    let keep_data = keys
        .get("keep_data")
        .map_or(Some(None), |value| text(value, "`keep_data`", mistakes, Span::parse).map(Some));
    let idle_stop = keys
        .get("idle_stop")
        .map_or(Some(None), |value| text(value, "`idle_stop`", mistakes, Span::parse).map(Some));
    let shell = keys
        .get("shell")
        .map_or(Some(None), |value| text(value, "`shell`", mistakes, service_name).map(Some));
    let subnet = |text: &str| SubnetTemplate::new(text, slots);
    let subnet =
        keys.get("subnet").map_or(Some(None), |value| text(value, "`subnet`", mistakes, subnet).map(Some));
    keys.finish(mistakes);
    Some(StackSpec {
        verify: verify?,
        once: once?,
        keep_data: keep_data?,
        idle_stop: idle_stop?,
        shell: shell?,
        subnet: subnet?,
    })
}

fn verify(value: TomlValue<'_>, mistakes: &mut Vec<Mistake>) -> Option<Vec<String>> {
    let words = list(value, "`verify`", "a word of the command", mistakes, |word| {
        if word.contains('\0') {
            Err(Invalid::from("a word has a NUL".to_owned()))
        } else {
            Ok(word.to_owned())
        }
    })?;
    let words: Vec<String> = words.into_iter().map(toml::Spanned::into_inner).collect();
    if words.first().is_none_or(String::is_empty) {
        let help = "write the command and its arguments, such as `[\"make\", \"smoke\"]`".to_owned();
        mistakes.push(Mistake::new(value.span(), "`verify` names no command").help(help));
        return None;
    }
    Some(words)
}

fn once(value: TomlValue<'_>, mistakes: &mut Vec<Mistake>) -> Option<BTreeSet<String>> {
    let mut services = BTreeSet::new();
    for name in list(value, "`once`", "a service", mistakes, service_name)? {
        if !services.insert(name.get_ref().clone()) {
            mistakes.push(Mistake::new(name.span(), format!("service `{}` is listed twice", name.get_ref())));
        }
    }
    Some(services)
}

/// Accepts the names that Compose accepts for a service.
pub(super) fn service_name(name: &str) -> Result<String, Invalid> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !name.is_empty() && name.chars().all(is_name) {
        return Ok(name.to_owned());
    }
    let message = format!("`{}` is not a valid service name", name.escape_debug());
    Err(Invalid::new(message, "use letters, digits, `.`, `_` and `-`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_has_a_name_that_compose_takes() {
        for name in ["web", "1", "my.web_api-2", "-"] {
            assert_eq!(service_name(name).ok().as_deref(), Some(name));
        }
        for name in ["", "my web", "web!", "ü"] {
            assert!(service_name(name).is_err(), "{name:?} was taken");
        }
    }
}
