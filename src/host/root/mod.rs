//! A pool's root: reading it in `open`, which takes no lock and writes nothing; writing it in `locked`, under
//! the lock. `stack_lock` has the locks of the slots' stacks.

mod claim_note;
mod journal;
mod locked;
mod open;
mod resolve;
mod save_registry;
mod stack_lock;

pub use journal::{Journals, not_recorded, tell_not_recorded};
pub use locked::LockedRoot;
pub use open::{BACKUP, JOURNAL, LOCK, OLDER, REGISTRY, RegistryText, Root, TEMPORARY, glance, unreadable};
pub use resolve::resolve;
pub use stack_lock::{StackLock, StartsLock};
