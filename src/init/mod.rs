//! A project's Compose files → the `slots.toml` and the templates of a pool that runs them.
//!
//! ```text
//! read_project ─ Project ─► compose ─ ComposeFacts ─► formulas ─► draft ─ Draft ─► write_draft
//! ```
//!
//! The templates are the project's own texts. Only the published ports and the paths of included files are
//! replaced. A slot's `docker-compose.yml` includes them with the project as their directory, so every
//! relative path in them means what it always meant. A claim adds an override that includes them again with
//! the worktree as their directory: Compose merges the two, and every relative path means the worktree.
//!
//! `prepare`, `read_project` and `write_draft` touch the machine; everything else is pure.

mod compose;
mod compose_facts;
mod draft;
mod draft_file;
mod draft_pool;
mod escape;
mod formulas;
mod pool_name;
mod port_items;
mod prepare;
mod project;
mod project_templates;
mod published;
mod read_project;
mod slot_templates;
mod slots_toml;
mod write_draft;
mod yaml;

pub use draft::{Basis, Draft};
pub use draft_file::DraftFile;
pub use formulas::Remedies;
pub(crate) use prepare::prepare;
pub use project::{ComposeFile, Project, PublishedPorts};
pub(crate) use write_draft::write;
