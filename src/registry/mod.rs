//! What kinfra owns and who holds it: the registry, its format, and how an old or a broken one becomes a registry. Pure.

mod claim;
mod codec;
mod entry;
pub mod migrate;
pub mod repair;

pub use claim::{Claim, ClaimId, Holder, Lease};
pub use entry::{Entry, ImportedFrom, Pending, Provisioned, Registry, Status};
