//! What tells one version of a file from the next.

use rustix::fs::Stat;

/// What tells one version of a file from the next without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    file: (u64, u64),
    size: u64,
    modified: (u64, u64),
}

impl Stamp {
    /// That of a file.
    pub(super) fn of(stat: &Stat) -> Self {
        Self {
            file: (number(stat.st_dev), number(stat.st_ino)),
            size: number(stat.st_size),
            modified: (number(stat.st_mtime), number(stat.st_mtime_nsec)),
        }
    }
}

/// Systems give these numbers different types.
fn number(number: impl TryInto<u64>) -> u64 {
    number.try_into().unwrap_or_default()
}
