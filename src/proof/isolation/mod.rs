//! The isolation proof: stacks on one machine share nothing but what is declared.
//!
//! A machine has one of each published port, container name, volume, network, directory and so on. Two stacks
//! that take the same one conflict, unless `shared` in slots.toml names it. Paths are compared as they are
//! given: the caller resolves symbolic links.

mod bind;
mod cidr;
mod claims;
mod conflict;
mod names;
mod note;
mod prove;
mod remedy;
mod risk;
mod stack;
mod thing;

pub use self::conflict::{Conflict, Isolation, Party};
pub use self::note::{Note, Noted};
pub use self::prove::{prove, shared_by_every_slot};
pub use self::remedy::{Remedy, settlement};
pub use self::stack::{Owner, Stack};
pub use self::thing::HostThing;

#[cfg(test)]
mod tests;
