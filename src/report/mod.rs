//! What people and programs read: plans, tables, summaries, JSON. Colour codes are in the text; the printer
//! strips them where they do not belong.

mod attention;
pub mod checkout;
pub mod claim;
pub mod clean;
mod commas;
pub mod completions;
pub mod data;
pub mod demo;
pub mod diff;
pub mod doctor;
mod document;
pub mod env;
pub mod fault;
pub mod history;
mod holder_names;
pub mod hook;
pub mod init;
pub mod leftovers;
pub mod open;
pub mod outcome;
pub mod plan;
mod plan_blocked;
pub mod plan_json;
pub mod ports;
pub mod reap;
pub mod reset;
pub mod run;
pub mod slots;
pub mod stack;
pub mod stack_gate;
pub mod stack_state;
pub mod stale;
pub mod table;
pub mod terse;
pub mod up;
pub mod validate;
pub mod verbs;
mod view;
pub mod worktrees;
mod wrap;

pub use document::document;
pub use view::{Aim, View};
pub use wrap::wrapped;

pub use crate::shown::{Paths, word};
