//! The tests of the whole program: scripts, one file a verb or a promise.
//!
//! They are one crate, so that they link once and share [`support`].
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
mod apply;
mod change;
mod claim;
mod completions;
mod compose;
mod corpus;
mod crash;
mod destroy;
mod diff;
mod disk;
mod docs;
mod doctor;
mod env;
mod examples;
mod help;
mod hooks;
mod house;
mod init;
mod interrupt;
mod json;
mod lease;
mod links;
mod migration;
mod plan;
mod pools;
mod ports;
mod power;
mod properties;
mod provisioning;
mod queue;
mod races;
mod reap;
mod registry;
mod repair;
mod rig;
mod saved;
mod schema;
mod secrets;
mod slots;
mod spec;
mod status;
mod stress;
mod support;
mod terraform;
mod validate;
mod wheel;
mod worktree;
