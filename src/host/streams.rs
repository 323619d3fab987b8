//! Stdout and stderr, to which a text goes whole or with an error.

use std::borrow::Cow;
use std::io;
use std::os::fd::AsFd;

use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

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
    pub fn write(self, text: &str) -> io::Result<()> {
        let written = match self {
            Self::Stdout => whole(io::stdout(), text.as_bytes()),
            Self::Stderr => whole(io::stderr(), text.as_bytes()),
        };
        written.or_else(|error| if error == Errno::PIPE { Ok(()) } else { Err(error.into()) })
    }

    /// A text in the colours that the stream is to have: none in a file, or where `NO_COLOR` says so.
    pub fn colors(self, text: &str) -> Cow<'_, str> {
        let choice = match self {
            Self::Stdout => AutoStream::choice(&io::stdout()),
            Self::Stderr => AutoStream::choice(&io::stderr()),
        };
        if choice == ColorChoice::Never { strip_str(text).to_string().into() } else { text.into() }
    }
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
