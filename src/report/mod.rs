//! What people and programs read: plans, tables, summaries, JSON. Colour codes are in the text; the printer
//! strips them where they do not belong.

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

/// The version of the JSON documents. An addition raises the minor number, any other change the major one.
const FORMAT_VERSION: &str = "1.0";

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
