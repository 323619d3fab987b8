//! A pool's root: reading it in `open`, which takes no lock and writes nothing; writing it in `locked`, under
//! the lock.

mod locked;
mod open;
mod resolve;
mod save_registry;

pub use locked::LockedRoot;
pub use open::{BACKUP, LOCK, REGISTRY, RegistryText, Root, TEMPORARY, unreadable};
pub use resolve::resolve;
