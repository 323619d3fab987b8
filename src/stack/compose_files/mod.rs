//! The Compose files that a slot's stack is made of, what they resolve to, and the overlay that kinfra adds.

pub mod compose_args;
pub mod derive;
pub mod inputs;
pub mod look;
pub mod main_stack;
pub mod place;
pub mod real_paths;
pub mod resolve;
pub mod shared;
pub mod variables;
