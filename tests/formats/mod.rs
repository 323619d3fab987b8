//! What kinfra reads and writes: `slots.toml`, the registry, JSON, the files of a slot.

pub(crate) mod compose;
mod compose_spec;
mod corpus;
mod json;
mod migration;
mod projects;
mod registry;
mod schema;
pub(crate) mod spec;
