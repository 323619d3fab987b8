//! Reading TOML tables without stopping at the first mistake.

use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mistake::{Mistake, closest, suggestion};

/// A value with its place in the file.
pub(super) type Value<'a> = &'a Spanned<DeValue<'a>>;

/// One table of the file. Remembers which keys were asked for; [`Section::finish`] reports the others, and what is missing.
pub(super) struct Section<'a> {
    /// How messages name it, such as `[pool]`.
    title: String,
    span: Range<usize>,
    entries: &'a DeTable<'a>,
    known: Vec<&'static str>,
    /// Keys that must be there and are not, each with how messages name it.
    missing: Vec<(&'static str, String)>,
}

impl<'a> Section<'a> {
    pub(super) fn root(table: &'a Spanned<DeTable<'a>>) -> Self {
        Self::new("the file".to_owned(), 0..0, table.get_ref())
    }

    fn new(title: String, span: Range<usize>, entries: &'a DeTable<'a>) -> Self {
        Self { title, span, entries, known: Vec::new(), missing: Vec::new() }
    }

    /// A value as a table, or a mistake.
    pub(super) fn of(
        value: Value<'a>,
        title: impl Into<String>,
        mistakes: &mut Vec<Mistake>,
    ) -> Option<Self> {
        let title = title.into();
        if let DeValue::Table(entries) = value.get_ref() {
            return Some(Self::new(title, value.span(), entries));
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
    pub(super) fn require(&mut self, key: &'static str) -> Option<Value<'a>> {
        self.require_as(key, format!("`{key}`"))
    }

    fn require_as(&mut self, key: &'static str, shown: String) -> Option<Value<'a>> {
        let value = self.get(key);
        if value.is_none() {
            self.missing.push((key, shown));
        }
        value
    }

    /// A key that must be there, as a table.
    pub(super) fn table(&mut self, key: &'static str, mistakes: &mut Vec<Mistake>) -> Option<Section<'a>> {
        let title = format!("[{key}]");
        let value = self.require_as(key, title.clone())?;
        Section::of(value, title, mistakes)
    }

    /// A key that must be there, as an array of tables.
    pub(super) fn tables(
        &mut self,
        key: &'static str,
        mistakes: &mut Vec<Mistake>,
    ) -> Option<Vec<Section<'a>>> {
        let title = format!("[[{key}]]");
        let value = self.require_as(key, title.clone())?;
        let DeValue::Array(items) = value.get_ref() else {
            mistakes.push(wrong_type(value, &title, "an array of tables"));
            return None;
        };
        let tables = items.iter().map(|item| Section::of(item, title.clone(), mistakes));
        tables.collect::<Vec<_>>().into_iter().collect()
    }

    /// All entries of a table whose keys are the user's own names, in the order of the file.
    pub(super) fn entries(self) -> impl Iterator<Item = (Spanned<&'a str>, Value<'a>)> {
        self.entries.iter().map(|(key, value)| (Spanned::new(key.span(), key.get_ref().as_ref()), value))
    }

    /// Reports every key that was never asked for, and every missing one, unless the first is the second misspelt.
    pub(super) fn finish(mut self, mistakes: &mut Vec<Mistake>) {
        for key in self.entries.keys().filter(|key| !self.known.contains(&key.get_ref().as_ref())) {
            let name = key.get_ref().escape_debug().to_string();
            let meant = closest(&name, self.known.iter().copied());
            self.missing.retain(|(missing, _)| Some(*missing) != meant);
            let help = suggestion(&name, self.known.iter().copied(), &format!("{} takes", self.title));
            mistakes.push(Mistake::new(key.span(), format!("{} has no key `{name}`", self.title)).help(help));
        }
        for (_, shown) in self.missing {
            mistakes.push(Mistake::new(self.span.clone(), format!("{} has no {shown}", self.title)));
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
        let is_scalar = !matches!(value.get_ref(), DeValue::Array(_) | DeValue::Table(_));
        let help = is_scalar.then(|| "put it in quotes".to_owned());
        mistakes.push(wrong_type(value, what, "a string").help(help));
        return None;
    };
    read(text).map_err(|message| mistakes.push(Mistake::new(value.span(), message))).ok()
}

/// A value as a whole number within a range, or a mistake.
pub(super) fn number(
    value: Value<'_>,
    what: &str,
    within: RangeInclusive<u16>,
    mistakes: &mut Vec<Mistake>,
) -> Option<u16> {
    let DeValue::Integer(digits) = value.get_ref() else {
        mistakes.push(wrong_type(value, what, "a whole number"));
        return None;
    };
    let number = u16::from_str_radix(digits.as_str(), digits.radix()).ok();
    let number = number.filter(|number| within.contains(number));
    if number.is_none() {
        let message = format!("{what} must be within {} to {}, not {digits}", within.start(), within.end());
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
