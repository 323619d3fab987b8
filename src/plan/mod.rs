//! Differences → [`Plan`]: what `apply` would do, in which order, and what it refuses and why.
//!
//! Planning is pure. [`crate::apply`] runs the plan that was printed; nothing else changes a pool.

mod action;
mod blocked;
mod options;
mod planner;
mod policy;
mod slot_plan;

pub use action::{Action, FileChange, Kind};
pub use blocked::Blocked;
pub use options::{Flag, Options};
pub use planner::{Plan, plan};
pub use slot_plan::SlotPlan;
