//! The machine → [`Observed`]: the registry, the files in the slot directories, and the slots' containers.
//! Writes nothing and takes no lock.

mod pool;
pub mod whose;

pub use pool::{
    Containers, FileState, ImportState, Observed, SlotDir, containers, look_at_slots, observe, observe_from,
    text,
};
