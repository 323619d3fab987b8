//! The keys of a TOML table: which are known, unknown and missing.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::invalid::Invalid;
use super::mistake::{Mistake, closest, suggestion};
use super::value::{TomlValue, wrong_type};

/// For so many unknown keys of a table, the known one is looked for that was meant.
pub(super) const GUESSED: usize = 50;

/// The keys of one table. Each key that is read counts as known. [`Keys::finish`] reports the unknown and
/// missing ones, so one mistake does not hide the next.
pub(super) struct Keys<'a> {
    /// How messages name the table, such as `[pool]`.
    title: String,
    span: Range<usize>,
    entries: &'a DeTable<'a>,
    known: Vec<&'static str>,
    /// Required keys that the table lacks, each with how messages name it.
    missing: Vec<(&'static str, String)>,
}

impl<'a> Keys<'a> {
    pub(super) fn of_file(table: &'a Spanned<DeTable<'a>>) -> Self {
        Self::new("the file".to_owned(), 0..0, table.get_ref())
    }

    fn new(title: String, span: Range<usize>, entries: &'a DeTable<'a>) -> Self {
        Self { title, span, entries, known: Vec::new(), missing: Vec::new() }
    }

    /// The keys of a value, which must be a table.
    pub(super) fn of(
        value: TomlValue<'a>,
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

    /// The place of the table.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Whether the table has a key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// The value of an optional key.
    pub(super) fn get(&mut self, key: &'static str) -> Option<TomlValue<'a>> {
        self.known.push(key);
        self.entries.get(key)
    }

    /// The value of a required key.
    pub(super) fn require(&mut self, key: &'static str) -> Option<TomlValue<'a>> {
        self.require_as(key, format!("`{key}`"))
    }

    fn require_as(&mut self, key: &'static str, shown: String) -> Option<TomlValue<'a>> {
        let value = self.get(key);
        if value.is_none() {
            self.missing.push((key, shown));
        }
        value
    }

    /// The table of a required key.
    pub(super) fn table(&mut self, key: &'static str, mistakes: &mut Vec<Mistake>) -> Option<Keys<'a>> {
        let title = format!("[{key}]");
        let value = self.require_as(key, title.clone())?;
        Keys::of(value, title, mistakes)
    }

    /// The array of tables of a required key.
    pub(super) fn tables(&mut self, key: &'static str, mistakes: &mut Vec<Mistake>) -> Option<Vec<Keys<'a>>> {
        let title = format!("[[{key}]]");
        let value = self.require_as(key, title.clone())?;
        let DeValue::Array(items) = value.get_ref() else {
            mistakes.push(wrong_type(value, &title, "an array of tables"));
            return None;
        };
        let tables = items.iter().map(|item| Keys::of(item, title.clone(), mistakes));
        tables.collect::<Vec<_>>().into_iter().collect()
    }

    /// All entries, in the order of the file, of a table whose keys the user chooses.
    pub(super) fn entries(self) -> impl Iterator<Item = (Spanned<&'a str>, TomlValue<'a>)> {
        self.entries.iter().map(|(key, value)| (Spanned::new(key.span(), key.get_ref().as_ref()), value))
    }

    /// Reports every unknown key and every missing one. A missing key that an unknown one likely means is not
    /// reported.
    pub(super) fn finish(mut self, mistakes: &mut Vec<Mistake>) {
        let known = |key: &str| self.known.contains(&key);
        let unknown = self.entries.keys().filter(|key| !known(key.get_ref().as_ref()));
        for (count, key) in unknown.enumerate() {
            let name = key.get_ref().escape_debug().to_string();
            let unknown = Mistake::new(key.span(), format!("{} has no key `{name}`", self.title));
            if count >= GUESSED {
                mistakes.push(unknown);
                continue;
            }
            let meant = closest(&name, self.known.iter().copied());
            self.missing.retain(|(missing, _)| Some(*missing) != meant);
            let help = suggestion(&name, self.known.iter().copied(), &format!("{} takes", self.title));
            mistakes.push(unknown.help(help));
        }
        for (_, shown) in self.missing {
            mistakes.push(Mistake::new(self.span.clone(), format!("{} has no {shown}", self.title)));
        }
    }
}

/// Checks a key that the user chose.
pub(super) fn user_key<T, E: Into<Invalid>>(
    key: &Spanned<&str>,
    read: impl FnOnce(&str) -> Result<T, E>,
    mistakes: &mut Vec<Mistake>,
) -> Option<T> {
    read(key.get_ref()).map_err(|invalid| mistakes.push(Mistake::invalid(key.span(), invalid))).ok()
}
