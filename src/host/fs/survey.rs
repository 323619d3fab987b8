//! Whether anything below a directory changed, without reading its files.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use camino::Utf8Path;
use rustix::fs::{FileType, Stat};

use super::named::read_named;
use crate::digest::Digest;

/// The most files and directories that are looked at. There may be more in what a package manager fetched.
const MOST: usize = 10_000;

/// A hash of the names, sizes and times of all that is below a directory, or of one file. `None` if there is
/// too much of it, or it cannot be looked at.
///
/// What `skip` names is passed over where it is directly in the directory.
pub fn survey(path: &Utf8Path, skip: &BTreeSet<String>) -> Option<Digest> {
    let mut seen = Vec::new();
    let mut next = vec![path.as_std_path().to_path_buf()];
    let mut left = MOST;
    while let Some(path_of_next) = next.pop() {
        left = left.checked_sub(1)?;
        let stat = rustix::fs::lstat(&path_of_next).ok()?;
        seen.extend_from_slice(path_of_next.as_os_str().as_bytes());
        seen.extend_from_slice(described(&stat).as_bytes());
        if FileType::from_raw_mode(stat.st_mode).is_dir() {
            let is_top = path_of_next == path.as_std_path();
            let mut names = names(&path_of_next)?;
            names.retain(|name| !is_top || !name.to_str().is_some_and(|name| skip.contains(name)));
            next.extend(names.into_iter().map(|name| path_of_next.join(name)));
        }
    }
    Some(Digest::of(&seen))
}

fn names(dir: &Path) -> Option<Vec<std::ffi::OsString>> {
    #[expect(clippy::disallowed_methods, reason = "this is where kinfra reads directories by their paths")]
    let entries = std::fs::read_dir(dir).ok()?;
    let mut names: Vec<_> =
        entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<Result<_, _>>().ok()?;
    names.sort();
    Some(names)
}

/// What changes when a file does. A directory's own times change with names that are passed over, too.
fn described(stat: &Stat) -> String {
    if FileType::from_raw_mode(stat.st_mode).is_dir() {
        return format!(" {:o}\n", stat.st_mode);
    }
    let (modified, changed) = ((stat.st_mtime, stat.st_mtime_nsec), (stat.st_ctime, stat.st_ctime_nsec));
    format!(" {:o} {} {} {modified:?} {changed:?}\n", stat.st_mode, stat.st_ino, stat.st_size)
}

/// The plain names that a `.dockerignore` leaves out of the directory. A file with exceptions (`!`) leaves
/// out none.
pub fn left_out(ignore: &Utf8Path) -> BTreeSet<String> {
    let bytes = read_named(ignore, 1 << 20).ok().flatten().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    if lines.clone().any(|line| line.starts_with('!')) {
        return BTreeSet::new();
    }
    let names = lines.map(|line| line.trim_start_matches('/').trim_end_matches('/'));
    names.filter(|name| !name.contains(['/', '*', '?', '[', '\\'])).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_below_is_seen_and_what_is_left_out_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let top = Utf8Path::from_path(dir.path()).unwrap();
        let write = |name: &str, text: &str| std::fs::write(top.join(name), text).unwrap();
        for name in ["src", "node_modules"] {
            std::fs::create_dir(top.join(name)).unwrap();
        }
        write("src/a", "1");
        write(".dockerignore", "# x\n/node_modules/\n*.log\n");
        let skip = left_out(&top.join(".dockerignore"));
        assert_eq!(skip, BTreeSet::from(["node_modules".to_owned()]));
        let first = survey(top, &skip);
        assert!(first.is_some());
        write("node_modules/x", "1");
        assert_eq!(survey(top, &skip), first);
        write("src/a", "22");
        let second = survey(top, &skip);
        assert_ne!(second, first);
        write("src/b", "1");
        assert_ne!(survey(top, &skip), second);
        write(".dockerignore", "node_modules\n!x\n");
        assert!(left_out(&top.join(".dockerignore")).is_empty());
        assert_eq!(survey(&top.join("none"), &skip), None);
    }
}
