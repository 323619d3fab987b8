//! Stacks, and whose they are.

use std::fmt;

use camino::Utf8Path;

use crate::compose::model::Model;
use crate::shown::printable;
use crate::slot::SlotId;

/// Whose stack it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// The project's main stack.
    Main,
    /// A slot of this pool.
    Slot(SlotId),
    /// A stack of another pool.
    Other {
        /// The pool's name.
        pool: String,
        /// Its slot; without one, its main stack.
        slot: Option<SlotId>,
    },
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Main => f.write_str("the main stack"),
            Self::Slot(id) => write!(f, "slot {id}"),
            Self::Other { pool, slot: Some(id) } => write!(f, "slot {id} of pool `{}`", printable(pool)),
            Self::Other { pool, slot: None } => write!(f, "the main stack of pool `{}`", printable(pool)),
        }
    }
}

/// A stack that runs, or is about to.
#[derive(Debug, Clone)]
pub struct Stack<'a> {
    /// Whose it is.
    pub owner: Owner,
    /// What its files come to; for a slot, the overlay included.
    pub model: &'a Model,
    /// The worktree that it runs from. What lies in it is its own.
    pub worktree: &'a Utf8Path,
}
