//! What is wrong with a machine or a pool, and what to do about it. Only a repair changes anything.

pub(crate) mod check_age;
mod check_compose_files;
mod check_disk;
mod check_docker;
mod check_engines;
mod check_index;
mod check_isolation;
mod check_leftovers;
mod check_networks;
mod check_owners;
mod check_podman;
mod check_ports;
mod check_root;
mod check_slots;
mod check_worktrees;
pub mod doctor;
mod finding;
mod permissions;
pub(crate) mod repair;
pub(crate) mod validate;

pub use finding::{Finding, Severity, is_well};
