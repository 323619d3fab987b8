//! The registry: what kinfra owns and who holds it. Its format, importing an old tool's, and repairing a
//! broken one. Pure.

mod claim;
mod codec;
mod entry;
mod id;
pub mod migrate;
mod quick;
pub mod rebuild;

pub use claim::{Claim, ClaimId, Holder, Lease};
pub use entry::{Entry, ImportedFrom, Pending, Provisioned, Registry, Started, Status};
pub use id::RegistryId;
