//! A Compose file of a project, read as text.

use camino::Utf8PathBuf;

use super::text::node::YamlNode;
use crate::dotenv::Variables;

/// A Compose file, or one that it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComposeFile {
    /// Its path, absolute.
    pub path: Utf8PathBuf,
    /// Its path as messages name it.
    pub shown: String,
    /// The directory that relative paths in it start from, absolute.
    pub directory: Utf8PathBuf,
    /// What it is to the project.
    pub role: Role,
    /// The values of variables in it.
    pub variables: Variables,
    /// What it says.
    pub root: YamlNode,
}

/// What a file is to a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// One of its own files.
    Own,
    /// One that another includes.
    Included,
    /// One with a service that another extends.
    Extended,
}

impl ComposeFile {
    /// A place in it, such as `compose.yaml:7`.
    pub(super) fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.shown)
    }
}
