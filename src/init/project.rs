//! A project as `kinfra init` reads it: its Compose files and what is around them.

use std::collections::BTreeSet;
use std::ops::Range;

use camino::Utf8PathBuf;

/// Published ports: the service, and the host port as Compose writes it.
pub type PublishedPorts = BTreeSet<(String, String)>;

/// A Compose file of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComposeFile {
    /// Its path, from the project's directory. It may lead out of it with `..`.
    pub path: Utf8PathBuf,
    /// The directory that relative paths in it start from, from the project's directory.
    pub base: Utf8PathBuf,
    /// Its text.
    pub text: String,
}

/// A project to make a pool of.
#[derive(Debug)]
pub struct Project {
    /// The pool's name.
    pub name: String,
    /// The project's directory, absolute or `~/…`.
    pub directory: String,
    /// The project's directory from the top of its git worktree; empty if it is the top.
    pub below: String,
    /// Its Compose files: the main file, its override, then every file they include.
    pub files: Vec<ComposeFile>,
    /// How many of `files` are the main file and its override.
    pub layers: usize,
    /// Included files that do not exist, each with the file that includes it.
    pub missing: Vec<(Utf8PathBuf, Utf8PathBuf)>,
    /// Whether there is a `.env`, which Compose reads by itself where it stands.
    pub has_env_file: bool,
    /// The ports that Docker Compose says the project publishes, or why it could not be asked.
    pub published: Result<PublishedPorts, String>,
}

impl ComposeFile {
    /// The number of the line that a byte is on.
    pub(super) fn line(&self, at: usize) -> usize {
        self.part(&(0..at)).matches('\n').count() + 1
    }

    /// As many spaces as there are characters before a byte on its line.
    pub(super) fn indent(&self, at: usize) -> String {
        let line = self.part(&(0..at)).rsplit('\n').next().unwrap_or_default();
        " ".repeat(line.chars().count())
    }

    /// Some bytes of the text.
    pub(super) fn part(&self, span: &Range<usize>) -> &str {
        self.text.get(span.clone()).unwrap_or_default()
    }
}
