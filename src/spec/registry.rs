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

/// Reads `[registry]`. Without it, the registry is a file of the root. After a mistake, which stops the spec,
/// there is none either.
pub(super) fn read(file: &mut Keys<'_>, mistakes: &mut Vec<Mistake>) -> Option<ServerUrl> {
    let mut keys = Keys::of(file.get("registry")?, "[registry]", mistakes)?;
    let url = keys.require("url").and_then(|value| text(value, "`url`", mistakes, ServerUrl::parse));
    keys.finish(mistakes);
    url
}
