//! A file or directory that this user may not look at: whose it is, and what to do.

use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{Access, AtFlags, CWD, FileType, RawMode, accessat, stat};
use rustix::io::Errno;

use super::fs::read_named;
use super::identity::user_id;
use super::invocation::home;
use crate::fault::Fault;
use crate::shown::word;

/// The list of users, and the largest that is read, in bytes.
const USERS: (&str, u64) = ("/etc/passwd", 1 << 20);

/// What is closed to this user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    path: Utf8PathBuf,
    owner: u32,
    mode: RawMode,
}

impl Closed {
    /// The first on the way from the top to a path that this user may not enter, or the path itself if it
    /// may not be read. `None` if the way is open.
    pub fn on_the_way_to(path: &Utf8Path) -> Option<Self> {
        let mut way: Vec<&Utf8Path> = path.ancestors().collect();
        way.reverse();
        way.into_iter().find_map(|step| Self::at(step, step == path))
    }

    fn at(path: &Utf8Path, is_end: bool) -> Option<Self> {
        let found = stat(path.as_std_path()).ok()?;
        let enter =
            if FileType::from_raw_mode(found.st_mode).is_dir() { Access::EXEC_OK } else { Access::empty() };
        let access = if is_end { enter | Access::READ_OK } else { enter };
        let allowed = accessat(CWD, path.as_std_path(), access, AtFlags::EACCESS);
        let mode = found.st_mode & 0o7777;
        (allowed == Err(Errno::ACCESS)).then(|| Self { path: path.to_owned(), owner: found.st_uid, mode })
    }

    /// What to do about it.
    pub fn advice(&self) -> String {
        let me = user_id();
        if self.owner == me {
            return format!("open it with `chmod u+rwX {}`", word(self.path.as_str()));
        }
        // What is not below the home of this user is not to be given away.
        let is_to_give = |path: &&Utf8Path| {
            let is_below_home = home().is_some_and(|home| path.starts_with(&home) && **path != home);
            is_below_home && stat(path.as_std_path()).is_ok_and(|stat| stat.st_uid == self.owner)
        };
        match self.path.ancestors().take_while(is_to_give).last() {
            Some(path) => {
                let (me, path) = (name(me).unwrap_or_else(|| me.to_string()), word(path.as_str()));
                format!("make it yours with `sudo chown -R {me} {path}`, and run kinfra without sudo")
            }
            None => format!("run kinfra as {}, or name another root with --root", name_of(self.owner)),
        }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, owner, mode } = self;
        if *owner == user_id() {
            write!(f, "`{path}` is closed to its owner by its mode, {mode:04o}")
        } else {
            write!(f, "`{path}` belongs to {}, and is closed to {}", name_of(*owner), name_of(user_id()))
        }
    }
}

impl From<Closed> for Fault {
    fn from(closed: Closed) -> Self {
        Self::refused(closed.to_string()).advise(closed.advice())
    }
}

/// A user in words: the name, or `user 1000` if there is none.
fn name_of(user: u32) -> String {
    name(user).unwrap_or_else(|| format!("user {user}"))
}

fn name(user: u32) -> Option<String> {
    let (users, limit) = USERS;
    let users = read_named(users.into(), limit).ok().flatten()?;
    named(&String::from_utf8_lossy(&users), user)
}

fn named(users: &str, user: u32) -> Option<String> {
    let is_user = |line: &&str| line.split(':').nth(2).is_some_and(|number| number.parse() == Ok(user));
    let name = users.lines().find(is_user)?.split(':').next()?;
    (!name.is_empty()).then(|| name.to_owned())
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
