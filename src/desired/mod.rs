//! Spec and templates → the [`Pool`] as it should be: every slot with its ports and the text of its files.

mod outline;
mod pool;
mod render;

pub use outline::{FileOutline, Outline, SlotOutline};
pub use pool::{File, Pool, Slot};
pub use render::{MASK, RenderInputs, TemplateTexts, render_claim_files, render_pool};
