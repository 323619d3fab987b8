//! What the stacks of slots do, as `slots` and `status` show it.

pub mod examine;
pub mod following;
pub mod sight;
pub mod stacks;

mod was_up;
