//! A project's own Compose files: which they are, what they come to, and what kinfra adds for a slot.

pub mod dependency;
pub mod lacking;
pub mod model;
pub mod overlay;
pub mod project;
pub mod resource;
pub mod source;
