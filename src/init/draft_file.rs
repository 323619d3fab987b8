//! A file that `kinfra init` writes.

use camino::Utf8PathBuf;

/// A file to be written.
#[derive(Debug)]
pub struct DraftFile {
    /// Its path, from the project's directory.
    pub path: Utf8PathBuf,
    /// Its text.
    pub text: String,
    /// The path and the text of the project's file that it was made from, if it was.
    pub original: Option<(Utf8PathBuf, String)>,
}

impl DraftFile {
    pub(super) fn new(path: impl Into<Utf8PathBuf>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into(), original: None }
    }
}
