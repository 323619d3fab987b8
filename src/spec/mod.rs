//! `slots.toml` → [`Spec`]. Every mistake of the file is reported at once, each with its place.
//!
//! Nothing here reads a file. A [`Spec`] is valid by itself, and its ports are proven. Whether its templates
//! exist and render is checked in [`crate::desired`].

pub mod mistake;

mod compose;
mod declared;
mod env;
mod files;
mod invalid;
mod keys;
mod parse;
mod ports;
mod primary;
mod profiles;
mod registry;
mod secret;
mod slots;
mod stack;
mod subnet;
mod value;
mod verb;
mod verbs;
mod worktree;

pub use declared::{
    ComposeSpec, DeclaredPath, FileSpec, PublishSpec, Spec, StackSpec, VariableSpec, WorktreePath,
};
pub use primary::usual_scheme;
pub use secret::redact;
pub use subnet::SubnetTemplate;
pub use verb::{BranchTemplate, VerbSpec, Verbs};
pub use verbs::OWN_VERBS;
