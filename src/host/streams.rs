//! Stdout and stderr, to which a text goes whole or with an error.

use std::borrow::Cow;
use std::io;
use std::os::fd::AsFd;

use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use supports_hyperlinks::Stream as Standard;

use super::invocation::is_plain;

/// Where a text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Data.
    Stdout,
    /// Messages.
    Stderr,
}

impl Stream {
    /// Writes every byte. A reader that closed its end is no error: it wants no more.
    ///
    /// # Errors
    /// When the stream cannot be written, as on a full disk.
    pub fn write(self, bytes: &(impl AsRef<[u8]> + ?Sized)) -> io::Result<()> {
        let written = match self {
            Self::Stdout => whole(io::stdout(), bytes.as_ref()),
            Self::Stderr => whole(io::stderr(), bytes.as_ref()),
        };
        written.or_else(|error| if error == Errno::PIPE { Ok(()) } else { Err(error.into()) })
    }

    /// A text in the colours that the stream is to have: none in a file, where `NO_COLOR` says so, or where
    /// it is to be plain. Where the terminal has links, addresses for browsers are links.
    pub fn dressed(self, text: &str) -> Cow<'_, str> {
        if text.is_empty() {
            return text.into();
        }
        if is_plain() {
            return strip_str(text).to_string().into();
        }
        let (choice, standard) = match self {
            Self::Stdout => (AutoStream::choice(&io::stdout()), Standard::Stdout),
            Self::Stderr => (AutoStream::choice(&io::stderr()), Standard::Stderr),
        };
        let has_links = text.contains("://") && supports_hyperlinks::on(standard);
        let text: Cow<'_, str> =
            if choice == ColorChoice::Never { strip_str(text).to_string().into() } else { text.into() };
        if has_links { linked(&text).into() } else { text }
    }
}

/// The same text, with each address for browsers as a link to itself.
fn linked(text: &str) -> String {
    let (mut linked, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = ["http://", "https://"].iter().filter_map(|scheme| rest.find(scheme)).min() {
        let (before, from) = rest.split_at(at);
        let is_part = |c: char| c.is_ascii_alphanumeric() || ":/.-_?=&%+~".contains(c);
        let end = from.find(|c| !is_part(c)).unwrap_or(from.len());
        let address = from.split_at(end).0.trim_end_matches(['.', ':', '?']);
        linked.extend([before, "\x1b]8;;", address, "\x1b\\", address, "\x1b]8;;\x1b\\"]);
        rest = from.split_at(address.len()).1;
    }
    linked + rest
}

/// Writes every byte, also where the other end set the stream to refuse what does not fit at once, as
/// Node.js does.
fn whole(to: impl AsFd, mut rest: &[u8]) -> Result<(), Errno> {
    while !rest.is_empty() {
        match rustix::io::write(&to, rest) {
            Ok(0) => return Err(Errno::IO),
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let _ = poll(&mut [PollFd::new(&to, PollFlags::OUT)], None);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_links_and_all_else_stays() {
        let link = |address: &str| format!("\x1b]8;;{address}\x1b\\{address}\x1b]8;;\x1b\\");
        let (web, api) = ("http://web.slot-2.localhost:8002", "https://localhost:8444/a?b=c");
        for (text, linked_text) in [
            ("", String::new()),
            ("postgres://localhost:5432 http//x", "postgres://localhost:5432 http//x".to_owned()),
            (&format!("a {web}\n"), format!("a {}\n", link(web))),
            (&format!("`{web}`, {api}. é"), format!("`{}`, {}. é", link(web), link(api))),
            (&format!("\x1b[31m{web}\x1b[0m"), format!("\x1b[31m{}\x1b[0m", link(web))),
        ] {
            assert_eq!(linked(text), linked_text);
        }
    }
}
