//! One JSON value from stdin, as tools give it to their hooks. What comes after it is not waited for.

use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use serde::de::IgnoredAny;
use serde_json::Deserializer;

/// The most that a value may be, in bytes.
const LIMIT: usize = 1 << 20;

/// How long a tool may take to say it.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was on stdin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Nothing, or a terminal.
    Nothing,
    /// The text of one value.
    Value(String),
    /// More than so many bytes.
    TooLong(usize),
    /// No value, or no end of one in time.
    Broken,
}

/// Reads one value from `stdin`.
#[expect(clippy::disallowed_methods, reason = "a tool that says nothing is not waited for")]
pub fn read(stdin: &(impl AsFd + IsTerminal)) -> Input {
    if stdin.is_terminal() {
        return Input::Nothing;
    }
    let deadline = Instant::now() + PATIENCE;
    let (mut bytes, mut chunk) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).ok();
        match poll(&mut [PollFd::new(stdin, PollFlags::IN)], timeout.as_ref()) {
            Err(Errno::INTR) => continue,
            Ok(0) => return if bytes.is_empty() { Input::Nothing } else { Input::Broken },
            // A closed stdin says so when it is read.
            Ok(_) | Err(_) => {}
        }
        match rustix::io::read(stdin, &mut *chunk) {
            Err(Errno::INTR | Errno::AGAIN) => {}
            Ok(0) | Err(_) => return ended(&bytes),
            Ok(count) => {
                bytes.extend(chunk.iter().take(count));
                match value(&bytes) {
                    Some(found) => return found,
                    None if bytes.len() > LIMIT => return Input::TooLong(LIMIT),
                    None => {}
                }
            }
        }
    }
}

/// What some programs write before a text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The first value, once it is whole. A number ends only with what comes after it, but no tool sends one.
fn value(bytes: &[u8]) -> Option<Input> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    if BYTE_ORDER_MARK.starts_with(bytes) {
        return None;
    }
    let mut values = Deserializer::from_slice(bytes).into_iter::<IgnoredAny>();
    match values.next()? {
        Ok(_) => {
            let text = bytes.get(..values.byte_offset()).map(<[u8]>::to_vec);
            Some(text.and_then(|text| String::from_utf8(text).ok()).map_or(Input::Broken, Input::Value))
        }
        Err(error) if error.is_eof() => None,
        Err(_) => Some(Input::Broken),
    }
}

fn ended(bytes: &[u8]) -> Input {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Input::Nothing;
    }
    value(bytes).unwrap_or(Input::Broken)
}
