//! A file or directory that is closed to this user: whose it is, and what to do.

use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{Access, AtFlags, CWD, FileType, RawMode, accessat, stat};
use rustix::io::Errno;

use super::identity::{user_id, user_name};
use super::invocation::home;
use crate::fault::Fault;
use crate::shown::word;

/// What is closed to this user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    path: Utf8PathBuf,
    owner: u32,
    mode: RawMode,
}

/// Whether the mode of a file keeps this user from writing it. A sandbox has other means.
pub(super) fn is_closed_to_writing(path: &Utf8Path) -> bool {
    accessat(CWD, path.as_std_path(), Access::WRITE_OK, AtFlags::EACCESS) == Err(Errno::ACCESS)
}

impl Closed {
    /// Whether another user closed the way to a path.
    pub fn is_by_another(path: &Utf8Path) -> bool {
        Self::on_the_way_to(path).is_some_and(|closed| closed.owner != user_id())
    }

    /// The first on the way from the top to a path that this user may not enter, or the path itself if it
    /// may not be read. `None` if the way is open.
    pub fn on_the_way_to(path: &Utf8Path) -> Option<Self> {
        if accessat(CWD, path.as_std_path(), Access::READ_OK, AtFlags::EACCESS).is_ok() {
            return Self::at(path, true);
        }
        let mut way: Vec<&Utf8Path> = path.ancestors().collect();
        way.reverse();
        way.into_iter().find_map(|step| Self::at(step, step == path))
    }

    /// A directory of this user's whose mode lets it make no files there. `None` for any other.
    pub fn to_new_files(path: &Utf8Path) -> Option<Self> {
        let closed = Self::to(path, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK);
        closed.filter(|closed| closed.owner == user_id())
    }

    /// A file that is there and that this user may not write.
    pub fn to_writing(path: &Utf8Path) -> Option<Self> {
        Self::to(path, Access::READ_OK | Access::WRITE_OK)
    }

    fn at(path: &Utf8Path, is_end: bool) -> Option<Self> {
        let found = stat(path.as_std_path()).ok()?;
        let enter =
            if FileType::from_raw_mode(found.st_mode).is_dir() { Access::EXEC_OK } else { Access::empty() };
        Self::to(path, if is_end { enter | Access::READ_OK } else { enter })
    }

    fn to(path: &Utf8Path, access: Access) -> Option<Self> {
        let found = stat(path.as_std_path()).ok()?;
        let allowed = accessat(CWD, path.as_std_path(), access, AtFlags::EACCESS);
        let mode = found.st_mode & 0o7777;
        (allowed == Err(Errno::ACCESS)).then(|| Self { path: path.to_owned(), owner: found.st_uid, mode })
    }

    /// What to do about it, in a root.
    pub fn advice(&self) -> String {
        self.remedy("name another root with --root")
    }

    /// What to do about it. What is another user's can be opened `elsewhere`.
    pub(super) fn remedy(&self, elsewhere: &str) -> String {
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
                let path = word(path.as_str());
                format!("make it yours with `sudo chown -R {me} {path}`, and run kinfra without sudo")
            }
            None => format!("run kinfra as {}, or {elsewhere}", user_name(self.owner)),
        }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, owner, mode } = self;
        if *owner == user_id() {
            write!(f, "`{path}` is closed to its owner by its mode, {mode:04o}")
        } else {
            write!(f, "`{path}` belongs to {}, and is closed to {}", user_name(*owner), user_name(user_id()))
        }
    }
}

impl From<Closed> for Fault {
    fn from(closed: Closed) -> Self {
        Self::refused(closed.to_string()).advise(closed.advice())
    }
}
