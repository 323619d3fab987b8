//! Provisions a pool: look and plan, then carry the plan out under the lock.
//!
//! A front end prepares a [`Request`], shows the plan, asks for approval, and calls [`Prepared::carry_out`].
//! Nothing here prints or asks.

pub mod data;
mod request;

pub use request::{ChangedText, Done, NotRun, Prepared, Request, Stale, check_named, emptied, exists};
