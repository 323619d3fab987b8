//! The nouns of a file: its path below a directory, its permissions, and what can stand in its place.

use std::fmt;

use camino::{Utf8Component, Utf8Path};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The path of a file below a directory: relative, of plain components, without `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct RelPath(String);

impl RelPath {
    /// The path, if it stays below its directory.
    ///
    /// # Errors
    /// A sentence that says why it does not.
    pub fn new(path: &str) -> Result<Self, String> {
        let shown = path.escape_debug();
        if path.chars().any(char::is_control) {
            return Err(format!("`{shown}` has a control character"));
        }
        let mut components = Vec::new();
        for component in Utf8Path::new(path).components() {
            match component {
                Utf8Component::Normal(name) => components.push(name),
                Utf8Component::CurDir => {}
                Utf8Component::ParentDir => {
                    return Err(format!("`{shown}` leaves its directory with `..`"));
                }
                Utf8Component::RootDir | Utf8Component::Prefix(_) => {
                    return Err(format!("`{shown}` is absolute: write it relative to its directory"));
                }
            }
        }
        if components.is_empty() || path.ends_with('/') {
            return Err(format!("`{shown}` does not name a file"));
        }
        Ok(Self(components.join("/")))
    }

    /// The path as text, its components joined by `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path as a path.
    pub fn as_path(&self) -> &Utf8Path {
        Utf8Path::new(&self.0)
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for RelPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// The permission bits of a file. Its owner, kinfra, can always read and write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileMode(u16);

impl FileMode {
    /// What a file has unless the spec says otherwise: for its owner only.
    pub const PRIVATE: Self = Self(0o600);
    /// What files of a project have.
    pub const SHARED: Self = Self(0o644);

    /// The mode written as four octal digits, such as `0644`.
    ///
    /// # Errors
    /// A sentence that says what a mode looks like.
    pub fn parse(octal: &str) -> Result<Self, String> {
        let bits = (octal.len() == 4 && octal.starts_with('0'))
            .then(|| u16::from_str_radix(octal, 8).ok())
            .flatten()
            .ok_or_else(|| {
                format!("`{}` is not a mode: write four octal digits, such as `0644`", octal.escape_debug())
            })?;
        if bits & 0o600 == 0o600 {
            Ok(Self(bits))
        } else {
            Err(format!(
                "`{octal}` would keep kinfra from its own file: the first digit after 0 must be 6 or 7"
            ))
        }
    }

    /// Whether it allows anything to anybody but the owner.
    pub fn is_open_to_others(self) -> bool {
        self.0 & 0o077 != 0
    }

    /// The permission bits.
    pub fn bits(self) -> u16 {
        self.0
    }

    /// The mode of a file that was found on disk.
    pub fn from_bits(bits: u32) -> Self {
        Self(u16::try_from(bits & 0o7777).unwrap_or(0))
    }
}

impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl Serialize for FileMode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FileMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let octal = String::deserialize(deserializer)?;
        let bits = u32::from_str_radix(&octal, 8).map_err(de::Error::custom)?;
        Ok(Self::from_bits(bits))
    }
}

/// Something that is in the way, as messages name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// A symbolic link; never followed.
    Symlink,
    /// A directory where a file belongs.
    Directory,
    /// A file where a directory belongs.
    File,
    /// A FIFO, socket or device.
    Special,
    /// It may not be opened.
    Forbidden,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Symlink => "a symbolic link",
            Self::Directory => "a directory",
            Self::File => "a file",
            Self::Special => "a FIFO, socket or device",
            Self::Forbidden => "not readable",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_their_directory() {
        assert_eq!(RelPath::new("conf/./app.toml").unwrap().as_str(), "conf/app.toml");
        for path in ["", ".", "/etc/passwd", "..", "a/../b", "a/", "a\nb", "a\0b"] {
            assert!(RelPath::new(path).is_err(), "{path:?} was taken");
        }
    }

    #[test]
    fn modes_leave_kinfra_its_own_files() {
        assert_eq!(FileMode::parse("0644").unwrap().bits(), 0o644);
        for mode in ["644", "0044", "0400", "1644", "0689", "+644", ""] {
            assert!(FileMode::parse(mode).is_err(), "{mode:?} was taken");
        }
    }
}
