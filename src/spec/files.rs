//! `[files]` and `[claim]`: the files of a slot directory and their templates.

use std::collections::BTreeMap;

use camino::Utf8Path;
use toml::Spanned;
use toml::de::DeValue;

use super::declared::FileSpec;
use super::keys::{Keys, user_key};
use super::mistake::Mistake;
use super::value::text;
use crate::file::{FileMode, RelPath};
use crate::names::is_kept;

pub(super) fn read(keys: Keys<'_>, mistakes: &mut Vec<Mistake>) -> Option<Vec<FileSpec>> {
    let read = keys.entries().map(|(path, value)| {
        let span = path.span();
        let path = user_key(&path, not_kept, mistakes);
        let (template, mode) = if let DeValue::Table(_) = value.get_ref() {
            let mut keys = Keys::of(value, "a file", mistakes)?;
            let template = keys.require("template");
            let mode = match keys.get("mode") {
                None => Some(FileMode::PRIVATE),
                Some(value) => text(value, "`mode`", mistakes, FileMode::parse),
            };
            keys.finish(mistakes);
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

/// The path of a file, if kinfra has none of its own there.
fn not_kept(path: &str) -> Result<RelPath, String> {
    let path = RelPath::new(path)?;
    match path.as_path().components().next() {
        Some(first) if is_kept(first.as_str()) => {
            Err(format!("`{first}` is the name of a file of kinfra's own in each slot"))
        }
        Some(_) | None => Ok(path),
    }
}

/// Refuses a path that is declared twice, and a file where another file needs a directory.
pub(super) fn refuse_clashes<'a>(files: impl Iterator<Item = &'a FileSpec>, mistakes: &mut Vec<Mistake>) {
    let mut sorted: Vec<&Spanned<RelPath>> = files.map(|file| &file.path).collect();
    sorted.sort_by_key(|path| path.span().start);
    // Paths in their order: what is below a path comes right after it.
    let mut earlier: BTreeMap<&Utf8Path, &Spanned<RelPath>> = BTreeMap::new();
    for path in sorted {
        let own = path.get_ref().as_path();
        let above = own.ancestors().find_map(|above| earlier.get(above));
        let below =
            || Some(earlier.range(own..).next()?.1).filter(|next| next.get_ref().as_path().starts_with(own));
        let clash = above.or_else(below).copied();
        earlier.entry(own).or_insert(path);
        if let Some(earlier) = clash {
            let message = if path.get_ref() == earlier.get_ref() {
                format!("file `{}` is declared twice", path.get_ref())
            } else {
                format!("`{}` and `{}` cannot both be files", earlier.get_ref(), path.get_ref())
            };
            mistakes.push(Mistake::new(path.span(), message).related(earlier.span(), "first declared here"));
        }
    }
}
