//! Compose files as text: read without Docker Compose, each value with its line.
//!
//! What they come to is a reduced model: services with their ports, mounts, networks, images and environment,
//! volumes and networks, over overrides, included files and services that extend others.

mod apply;
mod entries;
pub mod interpolate;
pub mod model;
pub mod node;
mod short_port;
