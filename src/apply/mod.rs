//! The only stage that changes a pool: runs a [`Plan`](crate::plan::Plan), one action at a time.

mod outcome;
mod run;

pub use outcome::Outcome;
pub use run::apply;
