//! The machine → [`Observed`]: the registry, the files in the slot directories, and the slots' containers.
//! Writes nothing and takes no lock.

mod containers;
mod pool;
pub mod port_user;
pub mod projects;
pub mod whose;

pub use containers::{Containers, InUse, ask, containers};
pub use pool::{FileState, ImportState, Observed, SlotDir, look_at_slots, observe, text};
