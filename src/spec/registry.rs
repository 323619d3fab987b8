//! `[registry]`: where the registry is kept, if not in the root.

use super::invalid::Invalid;
use super::keys::Keys;
use super::mistake::Mistake;
use super::value::text;
use crate::server::{ServerUrl, UrlMistake};

impl From<UrlMistake> for Invalid {
    fn from(UrlMistake { message, help }: UrlMistake) -> Self {
        Self { message, help }
    }
}

/// Reads `[registry]`. Without it, the registry is a file of the root.
pub(super) fn read(file: &mut Keys<'_>, mistakes: &mut Vec<Mistake>) -> Option<Option<ServerUrl>> {
    let Some(value) = file.get("registry") else { return Some(None) };
    let mut keys = Keys::of(value, "[registry]", mistakes)?;
    let url = keys.require("url").and_then(|value| text(value, "`url`", mistakes, ServerUrl::parse));
    keys.finish(mistakes);
    Some(Some(url?))
}
