//! Hooks: what the tools that make worktrees call, and the files in which they are told so.

pub mod block;
pub mod env_file;
pub mod event;
pub mod install;
mod json_places;
pub mod json_text;
pub mod place;
pub mod recipe;
pub mod skill;
pub mod tables;
pub mod tool;
pub mod worktree;
