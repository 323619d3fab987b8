//! What of this user's index of pools cannot be read, and what to do about it.

use camino::Utf8Path;

use super::index::IndexEntry;
use crate::fault::Fault;
use crate::host::index::Index;
use crate::host::invocation::Invocation;

/// Why an entry of the index cannot be read.
pub(super) struct Unread {
    /// What is wrong with its file.
    pub(super) why: String,
    /// Whether a newer kinfra wrote it.
    pub(super) is_newer: bool,
}

/// The entry in a file of the index, of which there is the text or why it has none.
pub(super) fn parse(name: &str, text: Result<String, String>) -> Result<IndexEntry, Unread> {
    let text = text.map_err(|why| Unread { why, is_newer: false })?;
    IndexEntry::parse(name, &text).map_err(|why| Unread { why: why.to_string(), is_newer: why.is_newer })
}

/// The entry of the pool in a root. `None` if there is none.
///
/// # Errors
/// [`Fault`] names what cannot be read.
pub(super) fn entry_of(root: &Utf8Path, invocation: &Invocation) -> Result<Option<IndexEntry>, Fault> {
    let Some(index) = invocation.state.as_deref().map(Index::below) else { return Ok(None) };
    let name = IndexEntry::file_name(root);
    let text = index.text(&name)?;
    let entry = |text| parse(&name, Ok(text)).map_err(|unread| unread.fault(&index, &name));
    text.map(entry).transpose()
}

impl Unread {
    /// The error for an entry that has to be read.
    pub(super) fn fault(&self, index: &Index, name: &str) -> Fault {
        let fault = index.unreadable(Some(name), &self.why);
        if self.is_newer { fault.advise("upgrade kinfra") } else { fault }
    }
}
