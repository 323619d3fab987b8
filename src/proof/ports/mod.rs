//! The port proof: no two services of a pool ever use the same port. It is decided before anything is
//! written.
//!
//! The main stack, slot 0, is part of the proof. The number of ports bounds the work, whatever the spec says:
//! a pool that does not fit into them soon collides or leaves the range. TCP and UDP ports never collide.

mod prove;
mod range;
mod remedy;
mod strides;
mod taken;

pub use prove::{Flaw, prove};
pub use range::PortRange;
pub use remedy::Remedy;
pub use strides::smallest_strides;
pub(crate) use taken::TakenPorts;
