//! Which files git tracks in a worktree, by its index (gitformat-index(5)). Starts no process.

use camino::Utf8Path;

use super::fs::read_named;
use super::git::top_of;

/// The largest index that is read, in bytes.
const LIMIT: u64 = 256 << 20;
/// The length of an entry up to its name, where names have SHA-1 hashes.
const FIXED: usize = 62;
/// The flag of an entry with two more bytes of flags.
const EXTENDED: u16 = 0x4000;

/// Whether git tracks the file at this path below a directory of a main worktree. `false` also if its index
/// cannot be read, or is of a kind that kinfra does not read.
pub fn is_tracked(dir: &Utf8Path, path: &Utf8Path) -> bool {
    let Ok(Some(top)) = top_of(dir) else { return false };
    let path = dir.strip_prefix(top).unwrap_or(Utf8Path::new("")).join(path);
    let index = read_named(&top.join(".git/index"), LIMIT).ok().flatten();
    index.is_some_and(|index| has_entry(&index, path.as_str().as_bytes()).unwrap_or(false))
}

/// Whether an index has an entry with this name. `None` if it is not of version 2 or 3.
fn has_entry(index: &[u8], wanted: &[u8]) -> Option<bool> {
    let number = |at: usize| Some(u32::from_be_bytes(index.get(at..at + 4)?.try_into().ok()?));
    if index.get(..4)? != b"DIRC" || !matches!(number(4)?, 2 | 3) {
        return None;
    }
    let mut at = 12;
    for _ in 0..number(8)? {
        let flags = u16::from_be_bytes(index.get(at + FIXED - 2..at + FIXED)?.try_into().ok()?);
        let start = at + FIXED + if flags & EXTENDED == 0 { 0 } else { 2 };
        let name = index.get(start..)?.split(|byte| *byte == 0).next()?;
        if name == wanted {
            return Some(true);
        }
        // From one to eight zeros make the entry's length a multiple of eight.
        at += (start - at + name.len() + 8) & !7;
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_by_their_whole_names() {
        let mut index = b"DIRC\0\0\0\x03\0\0\0\x02".to_vec();
        for (name, extended) in [("a/.env", true), ("compose.yaml", false)] {
            let start = index.len();
            index.extend([0; FIXED - 2]);
            index.extend(if extended { &[0x40, 6, 0, 0][..] } else { &[0, 12] });
            index.extend(name.as_bytes());
            index.resize(start + ((index.len() - start + 8) & !7), 0);
        }
        for (name, is_there) in
            [("a/.env", true), ("compose.yaml", true), (".env", false), ("compose", false)]
        {
            assert_eq!(has_entry(&index, name.as_bytes()), Some(is_there), "{name}");
        }
        index[7] = 4;
        assert_eq!(has_entry(&index, b"compose.yaml"), None);
        assert_eq!(has_entry(b"DIRC\0\0\0\x02\0\0\0\x02", b"x"), None, "cut short");
    }
}
