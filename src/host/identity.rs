//! This machine's name, this process's user, and random ids.

use std::fs::File;
use std::io::{self, Read as _};
use std::sync::LazyLock;

use rustix::fs::{Mode, OFlags};

use crate::fault::Fault;
use crate::history::Author;
use crate::names::{KINFRA_HOST, KINFRA_TRUST_OWNER};
use crate::shown::printable;

/// The machine's host name, as it was when this run first asked.
pub fn host_name() -> String {
    static NAME: LazyLock<String> = LazyLock::new(|| {
        named_by_test().unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned())
    });
    NAME.clone()
}

/// This host, as pools on a server know it.
#[expect(clippy::disallowed_methods, reason = "this is where the rest of kinfra learns where it runs")]
pub fn host_of_pools() -> String {
    std::env::var(KINFRA_HOST).ok().filter(|name| !name.is_empty()).unwrap_or_else(host_name)
}

/// The host name according to a test, `KINFRA_TEST_HOST=box-b`. A release build ignores it.
#[expect(clippy::disallowed_methods, reason = "a test plays several hosts")]
fn named_by_test() -> Option<String> {
    std::env::var("KINFRA_TEST_HOST").ok().filter(|_| cfg!(debug_assertions))
}

/// The effective user id of this process.
pub fn user_id() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The user who called kinfra through `sudo`, if another one did.
#[expect(clippy::disallowed_methods, reason = "this is where the rest of kinfra learns who runs it")]
pub fn sudo_user() -> Option<u32> {
    let caller = std::env::var("SUDO_UID").ok()?.parse().ok()?;
    (user_id() == 0 && caller != 0).then_some(caller)
}

/// The user whose pools may be used as if they were this one's own.
///
/// # Errors
/// [`Fault`] when the variable names no user id.
#[expect(clippy::disallowed_methods, reason = "this is where the rest of kinfra learns who runs it")]
pub fn trusted_owner() -> Result<Option<u32>, Fault> {
    let Some(named) = std::env::var_os(KINFRA_TRUST_OWNER).filter(|named| !named.is_empty()) else {
        return Ok(None);
    };
    let named = named.to_string_lossy();
    let unknown =
        || Fault::usage(format!("{KINFRA_TRUST_OWNER} is `{}`, which is no user id", named.escape_debug()));
    Ok(Some(named.parse().map_err(|_| unknown().advise("write a number, such as `id -u` prints"))?))
}

/// A user, for messages: the name if this machine's list has it, and the id.
pub fn user_name(id: u32) -> String {
    name_of_user(id).map_or_else(|| format!("user {id}"), |name| format!("{} (user {id})", printable(&name)))
}

/// The name of a user on this machine's list.
fn name_of_user(id: u32) -> Option<String> {
    named(&String::from_utf8_lossy(&users()), id)
}

fn named(users: &str, user: u32) -> Option<String> {
    let is_user = |line: &&str| line.split(':').nth(2).is_some_and(|number| number.parse() == Ok(user));
    let name = users.lines().find(is_user)?.split(':').next()?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// This process, as the author of a change. `command` is its verb.
#[expect(clippy::disallowed_methods, reason = "where it runs is a fact of the process")]
pub fn author(command: &str) -> Author {
    let user = name_of_user(user_id()).unwrap_or_else(|| format!("uid {}", user_id()));
    let directory = std::env::current_dir().ok().map(|path| path.to_string_lossy().into_owned());
    Author { user, host: host_name(), command: command.to_owned(), directory }
}

/// This machine's list of users, as far as it can be read.
fn users() -> Vec<u8> {
    const LIMIT: u64 = 16 << 20;
    let list = rustix::fs::open("/etc/passwd", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let mut text = Vec::new();
    // What was read before an error is part of the list, too.
    let _ = list.map(|list| File::from(list).take(LIMIT).read_to_end(&mut text));
    text
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_the_name_of_the_list() {
        let users =
            "root:x:0:0:root:/root:/bin/sh\n# a comment\nme:x:1000:1000::/home/me:/bin/sh\n::7:7:::\n";
        assert_eq!(named(users, 1000).as_deref(), Some("me"));
        assert_eq!((named(users, 7), named(users, 100)), (None, None));
    }
}
