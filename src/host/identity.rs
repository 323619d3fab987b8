//! This machine's name, this process's user, and random ids.

use std::fs::File;
use std::io::{self, Read as _};

use rustix::fs::{Mode, OFlags};

/// The machine's host name.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The effective user id of this process.
pub fn user_id() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// 128 random bits from the system: unique, and impossible to guess.
///
/// # Errors
/// When `/dev/urandom` cannot be read.
pub fn random_bits() -> io::Result<[u8; 16]> {
    let source = rustix::fs::open("/dev/urandom", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut bits = [0; 16];
    File::from(source).read_exact(&mut bits)?;
    Ok(bits)
}
