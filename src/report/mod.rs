//! What people read: the plan, tables, summaries. Text with colour codes, for the printer to keep or strip.

use std::fmt::{self, Display};

use serde_json::Value;

use crate::plan::Options;
use crate::shown::printable;
pub use crate::shown::{Paths, word};

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
