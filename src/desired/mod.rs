//! Spec and templates → the [`Pool`] as it should be: every slot with its ports and the text of its files.

mod env_file;
mod guarded;
mod outline;
mod pool;
mod render;
mod renderer;
mod tables;

pub use outline::{FileOutline, Outline, SlotOutline};
pub use pool::{File, Pool, Slot};
pub use render::{render_claim_files, render_environments, render_pool};
pub use renderer::{Environments, MASK, RenderInputs, TemplateTexts};

#[cfg(test)]
pub(crate) use render::tests;
