//! What people read: the plan, tables, summaries. Text with colour codes, for the printer to keep or strip.

use std::fmt::{self, Display};

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

pub mod claim;
pub mod diff;
pub mod doctor;
pub mod env;
pub mod init;
pub mod json;
pub mod outcome;
pub mod plan;
pub mod reap;
pub mod slots;
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
    /// A path as people write it.
    pub fn show(&self, path: &Utf8Path) -> Utf8PathBuf {
        let below = self.home.and_then(|home| path.strip_prefix(home).ok());
        below.map_or_else(|| path.to_owned(), |below| Utf8Path::new("~").join(below))
    }
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
    let write = |c: char| if c.is_control() { c.escape_unicode().to_string() } else { c.to_string() };
    text.chars().map(write).collect()
}
