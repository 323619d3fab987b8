//! What is mounted in a directory. Removing the directory would remove the files of another place.

use std::io;
#[cfg(target_os = "linux")]
use std::os::unix::ffi::OsStringExt as _;

use camino::{Utf8Path, Utf8PathBuf};

#[cfg(target_os = "linux")]
use super::named::read_named;
use super::named::{is_mount, real};

/// The largest list of mounts that is read, in bytes.
#[cfg(target_os = "linux")]
const LIMIT: u64 = 4 << 20;

/// The mount points below a directory, in the order of their paths.
///
/// # Errors
/// When the system cannot tell.
pub fn mounts_below(directory: &Utf8Path) -> io::Result<Vec<Utf8PathBuf>> {
    let directory = real(directory);
    #[cfg(target_os = "linux")]
    if let Some(listed) = read_named("/proc/self/mountinfo".into(), LIMIT)? {
        return Ok(listed_below(&listed, &directory));
    }
    // A directory of the same disk that is mounted, as only Linux does it, is not seen so.
    other_disks_below(&directory)
}

/// The mount points below a directory in a list of mounts as `proc_pid_mountinfo(5)` describes it.
#[cfg(target_os = "linux")]
fn listed_below(listed: &[u8], directory: &Utf8Path) -> Vec<Utf8PathBuf> {
    let points =
        listed.split(|byte| *byte == b'\n').filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    // A name that is no text counts as what it looks like.
    let points = points.map(|point| std::ffi::OsString::from_vec(unescaped(point)));
    let points = points.map(|point| Utf8PathBuf::from(point.to_string_lossy().into_owned()));
    let mut below: Vec<_> = points.filter(|it| it.starts_with(directory) && it != directory).collect();
    below.sort();
    below.dedup();
    below
}

/// A path of that list: a space, a tab, a line's end and a backslash are octal numbers there.
#[cfg(target_os = "linux")]
fn unescaped(text: &[u8]) -> Vec<u8> {
    let (mut path, mut rest) = (Vec::new(), text);
    while let Some((first, after)) = rest.split_first() {
        let number = after.get(..3).filter(|_| *first == b'\\');
        let number = number.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        path.push(number.unwrap_or(*first));
        rest = number.and_then(|_| after.get(3..)).unwrap_or(after);
    }
    path
}

/// The directories below one that are on another disk than the directory around them.
fn other_disks_below(directory: &Utf8Path) -> io::Result<Vec<Utf8PathBuf>> {
    let (mut found, mut left) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(dir) = left.pop() {
        // What cannot be listed cannot be removed, either.
        let entries = dir.read_dir_utf8().into_iter().flatten().filter_map(Result::ok);
        for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            let path = entry.path().to_owned();
            let list = if is_mount(&path)? { &mut found } else { &mut left };
            list.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_mount_points_below_a_directory_are_read() {
        let listed = b"22 27 0:21 / /proc rw,relatime - proc proc rw\n\
            40 27 8:1 /ext /home/me/shop-fix/a\\040b\\134c rw shared:1 master:2 - ext4 /dev/sda rw\n\
            41 27 8:1 /ext /home/me/shop-fix rw - ext4 /dev/sda rw\n\
            42 27 8:1 /ext /home/me/shop-fix-2/x rw - ext4 /dev/sda rw\n\
            43 27 8:1 /ext /home/me/shop-fix/\\303\\274 rw - ext4 /dev/sda rw\n";
        let below = listed_below(listed, "/home/me/shop-fix".into());
        assert_eq!(below, ["/home/me/shop-fix/a b\\c", "/home/me/shop-fix/ü"]);
    }

    #[test]
    fn what_is_on_the_same_disk_is_not_mounted() {
        let above = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("src/host");
        assert_eq!(other_disks_below(&above).unwrap(), [""; 0]);
        assert_eq!(mounts_below(&above).unwrap(), [""; 0]);
        assert_eq!(mounts_below(&above.join("missing")).unwrap(), [""; 0]);
    }
}
