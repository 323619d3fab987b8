//! Reading TOML tables without stopping at the first mistake.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mistake::{Mistake, suggestion};

/// A value with its place in the file.
pub(super) type Value<'a> = &'a Spanned<DeValue<'a>>;

/// One table of the file. Remembers which keys were asked for; [`Section::finish`] reports the others.
pub(super) struct Section<'a> {
    /// How messages name it, such as `[pool]`.
    title: String,
    span: Range<usize>,
    entries: &'a DeTable<'a>,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    pub(super) fn root(table: &'a Spanned<DeTable<'a>>) -> Self {
        Self { title: "the file".to_owned(), span: 0..0, entries: table.get_ref(), known: Vec::new() }
    }

    /// A value as a table, or a mistake.
    pub(super) fn of(
        value: Value<'a>,
        title: impl Into<String>,
        mistakes: &mut Vec<Mistake>,
    ) -> Option<Self> {
        let title = title.into();
        if let DeValue::Table(entries) = value.get_ref() {
            return Some(Self { title, span: value.span(), entries, known: Vec::new() });
        }
        mistakes.push(wrong_type(value, &title, "a table"));
        None
    }

    /// Where the table is.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The value of an optional key.
    pub(super) fn get(&mut self, key: &'static str) -> Option<Value<'a>> {
        self.known.push(key);
        self.entries.get(key)
    }

    /// The value of a key that must be there.
    pub(super) fn require(&mut self, key: &'static str, mistakes: &mut Vec<Mistake>) -> Option<Value<'a>> {
        let value = self.get(key);
        if value.is_none() {
            let message = format!("{} has no `{key}`", self.title);
            mistakes.push(Mistake::new(self.span.clone(), message));
        }
        value
    }

    /// A key that must be there, as a table.
    pub(super) fn table(&mut self, key: &'static str, mistakes: &mut Vec<Mistake>) -> Option<Section<'a>> {
        let value = self.require(key, mistakes)?;
        Section::of(value, format!("[{key}]"), mistakes)
    }

    /// A key that must be there, as an array of tables.
    pub(super) fn tables(
        &mut self,
        key: &'static str,
        mistakes: &mut Vec<Mistake>,
    ) -> Option<Vec<Section<'a>>> {
        let value = self.require(key, mistakes)?;
        let title = format!("[[{key}]]");
        let DeValue::Array(items) = value.get_ref() else {
            mistakes.push(wrong_type(value, &title, "an array of tables"));
            return None;
        };
        items.iter().map(|item| Section::of(item, title.clone(), mistakes)).collect()
    }

    /// All entries of a table whose keys are the user's own names, in the order of the file.
    pub(super) fn entries(self) -> impl Iterator<Item = (Spanned<&'a str>, Value<'a>)> {
        self.entries.iter().map(|(key, value)| (Spanned::new(key.span(), key.get_ref().as_ref()), value))
    }

    /// Reports every key that was never asked for.
    pub(super) fn finish(self, mistakes: &mut Vec<Mistake>) {
        for key in self.entries.keys().filter(|key| !self.known.contains(&key.get_ref().as_ref())) {
            let name = key.get_ref().escape_debug().to_string();
            let help = suggestion(&name, self.known.iter().copied())
                .unwrap_or_else(|| format!("{} takes {}", self.title, listed(&self.known)));
            mistakes.push(Mistake::new(key.span(), format!("{} has no key `{name}`", self.title)).help(help));
        }
    }
}

/// A value as text, read by `read`; a mistake at its place otherwise.
pub(super) fn text<T>(
    value: Value<'_>,
    what: &str,
    mistakes: &mut Vec<Mistake>,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Option<T> {
    let DeValue::String(text) = value.get_ref() else {
        mistakes.push(wrong_type(value, what, "a string"));
        return None;
    };
    read(text).map_err(|message| mistakes.push(Mistake::new(value.span(), message))).ok()
}

/// A value as a whole number that a `u16` holds, or a mistake.
pub(super) fn number(value: Value<'_>, what: &str, mistakes: &mut Vec<Mistake>) -> Option<u16> {
    let DeValue::Integer(digits) = value.get_ref() else {
        mistakes.push(wrong_type(value, what, "a whole number"));
        return None;
    };
    let number = u16::from_str_radix(digits.as_str(), digits.radix()).ok();
    if number.is_none() {
        let message = format!("{what} is {digits}, which is not within 0 to {}", u16::MAX);
        mistakes.push(Mistake::new(value.span(), message));
    }
    number
}

/// A value as `true` or `false`, or a mistake.
pub(super) fn flag(value: Value<'_>, what: &str, mistakes: &mut Vec<Mistake>) -> Option<bool> {
    if let DeValue::Boolean(flag) = value.get_ref() {
        return Some(*flag);
    }
    mistakes.push(wrong_type(value, what, "`true` or `false`"));
    None
}

pub(super) fn wrong_type(value: Value<'_>, what: &str, wanted: &str) -> Mistake {
    let message = format!("{what} must be {wanted}, not of type {}", value.get_ref().type_str());
    Mistake::new(value.span(), message)
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
