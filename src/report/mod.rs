//! What people and programs read: plans, tables, summaries, JSON. Colour codes are in the text; the printer
//! strips them where they do not belong.

use std::fmt::{self, Display};

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use crate::plan::Options;

pub mod claim;
pub mod diff;
pub mod doctor;
pub mod env;
pub mod fault;
pub mod init;
pub mod json;
pub mod outcome;
pub mod plan;
pub mod reap;
pub mod slots;
pub mod stale;
pub mod table;
pub mod validate;

/// The version of the JSON documents. An addition raises the minor number, any other change the major one.
const FORMAT_VERSION: &str = "1.0";

/// Shows paths below the home directory with `~`.
#[derive(Debug, Clone, Copy)]
pub struct Paths<'a> {
    /// The home directory, if there is one.
    pub home: Option<&'a Utf8Path>,
}

impl Paths<'_> {
    /// A path as people write it, without control characters.
    pub fn show(&self, path: &Utf8Path) -> Utf8PathBuf {
        let below = self.home.and_then(|home| path.strip_prefix(home).ok());
        let path = below.map_or_else(|| path.to_owned(), |below| Utf8Path::new("~").join(below));
        printable(path.as_str()).into()
    }
}

/// The purpose of a plan. The wording depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// Bring the whole pool to what slots.toml says.
    Pool,
    /// Bring the named slots there.
    Slots,
    /// Remove the pool.
    Destroy,
}

impl Aim {
    /// The purpose of a plan with these options.
    pub fn of(options: &Options) -> Self {
        if options.is_selective() { Self::Slots } else { Self::Pool }
    }
}

/// How a plan and its outcome are shown.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// How paths are shown.
    pub paths: Paths<'a>,
    /// Whether each slot of a long plan is shown.
    pub verbose: bool,
    /// The purpose of the plan.
    pub aim: Aim,
}

/// A JSON document.
pub fn document(value: &Value) -> String {
    format!("{value:#}\n")
}

/// A list with commas between its items.
struct Commas<I>(I);

impl<I: Iterator<Item = impl Display> + Clone> Display for Commas<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.0.clone().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            item.fmt(f)?;
        }
        Ok(())
    }
}

/// Text from elsewhere, with the characters that could control a terminal escaped.
fn printable(text: &str) -> String {
    // The ranges change the direction of the text that follows (Unicode's bidirectional algorithm, UAX #9).
    let steers = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let write = |c: char| if steers(c) { c.escape_unicode().to_string() } else { c.to_string() };
    text.chars().map(write).collect()
}

/// Text quoted as one word of a shell command.
pub fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./:@%+,=~".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}
