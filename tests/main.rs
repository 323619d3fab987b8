//! The tests of the whole program, by folder: [`verbs`], [`promises`], [`formats`], and what users run
//! ([`acceptance`]).
//!
//! They are one crate, so that they link once and share [`support`] and [`rig`].
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::format_collect,
    clippy::format_push_string,
    clippy::indexing_slicing,
    clippy::needless_for_each,
    clippy::panic,
    reason = "tests set up machines of their own, and stop at the first surprise"
)]

mod acceptance;
mod docs;
mod formats;
mod house;
mod promises;
mod rig;
mod support;
mod verbs;
