//! Who is who: the name of this machine, and random ids.

use std::fs::File;
use std::io::{self, Read as _};

use rustix::fs::{Mode, OFlags};

/// The machine's host name.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The number of the user whose rights kinfra has.
pub fn user_id() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// 128 bits that nobody can guess and nobody else gets.
///
/// # Errors
/// What the system says.
pub fn random_bits() -> io::Result<[u8; 16]> {
    let source = rustix::fs::open("/dev/urandom", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut bits = [0; 16];
    File::from(source).read_exact(&mut bits)?;
    Ok(bits)
}
