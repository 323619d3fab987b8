//! A [`Plan`](crate::plan::Plan) saved to a file: its format, what the plan depends on, and the file itself.

mod dependencies;
mod file;
mod format;

pub use dependencies::Changed;
pub use file::{is_plan, read, write};
pub use format::{Named, Saved};
