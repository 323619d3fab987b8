//! What people read: the plan, tables, summaries. Text with colour codes, for the printer to keep or strip.

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

/// The version of the JSON documents: additions are minor, everything else is major.
const FORMAT_VERSION: &str = "1.0";

/// Shows paths below the home directory with `~`.
#[derive(Debug, Clone, Copy)]
pub struct Paths<'a> {
    /// The home directory, if there is one.
    pub home: Option<&'a Utf8Path>,
}

impl Paths<'_> {
    /// A path as people write it, with nothing in it that could steer a terminal.
    pub fn show(&self, path: &Utf8Path) -> Utf8PathBuf {
        let below = self.home.and_then(|home| path.strip_prefix(home).ok());
        let path = below.map_or_else(|| path.to_owned(), |below| Utf8Path::new("~").join(below));
        printable(path.as_str()).into()
    }
}

/// What a plan is made for. It decides the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// The pool is to be as slots.toml says.
    Pool,
    /// Of the pool, the slots that were named are.
    Slots,
    /// The pool is to be no more.
    Destroy,
}

impl Aim {
    /// What a plan with these options is made for.
    pub fn of(options: &Options) -> Self {
        if options.is_selective() { Self::Slots } else { Self::Pool }
    }
}

/// How a plan, and what became of it, is shown.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// How paths are.
    pub paths: Paths<'a>,
    /// Whether each slot of a long plan is.
    pub verbose: bool,
    /// What it is made for.
    pub aim: Aim,
}

/// A JSON document.
pub fn document(value: &Value) -> String {
    format!("{value:#}\n")
}

/// A list with commas between.
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

/// Text of others, with what could steer a terminal written out.
fn printable(text: &str) -> String {
    // Among them what changes the direction of all that follows (Unicode's bidirectional algorithm, UAX #9).
    let steers = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let write = |c: char| if steers(c) { c.escape_unicode().to_string() } else { c.to_string() };
    text.chars().map(write).collect()
}

/// Text as one word of a shell's command.
pub fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./:@%+,=~".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}
