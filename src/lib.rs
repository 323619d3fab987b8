//! kinfra provisions a declared pool of sandbox slots on a developer's machine.
//!
//! ```text
//! slots.toml ─ spec ─► desired ─┐
//! registry.json ─ registry ─► observe ─┴► diff ─► plan ─► apply ─► host
//!                                          └────► report (the same Plan, printed)
//! ```
//!
//! The code is organised by stage, and each arrow is one function. Everything up to [`plan`] is pure: the
//! same spec, templates and observations give the same plan, byte for byte. What touches the machine lives in
//! [`host`]; only [`apply`] changes a pool. The modules import in one direction only, which a test holds:
//! fault, digest, slot, proof, dotenv, template, init · spec, registry · desired, pools · observe · diff ·
//! plan, saved · apply · report · commands.

pub mod apply;
pub mod claims;
pub mod cli;
pub mod commands;
pub mod compose;
pub mod desired;
pub mod diff;
pub mod digest;
pub mod dotenv;
pub mod embedded;
pub mod fault;
pub mod file;
pub mod health;
pub mod host;
pub mod identifier;
pub mod init;
pub mod json;
pub mod ledger;
pub mod names;
pub mod observe;
pub mod plan;
pub mod port;
pub mod proof;
pub mod provision;
pub mod registry;
pub mod report;
pub mod saved;
pub mod shown;
pub mod slot;
pub mod spec;
pub mod template;
pub mod time;
pub mod which;
