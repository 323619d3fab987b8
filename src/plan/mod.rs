//! Differences → [`Plan`]: what `apply` would do, in which order, and what it refuses and why.
//!
//! Planning is pure. [`crate::apply`] runs the plan that was printed; nothing else changes a pool.

mod action;
mod blocked;
mod options;
mod planned;
mod planner;
mod policy;

pub use action::{Action, FileChange, Kind};
pub use blocked::Blocked;
pub use options::{Flag, Options};
pub use planned::{Plan, SlotPlan};
pub use planner::plan;
