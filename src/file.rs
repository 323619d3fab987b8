//! A file's relative path and permissions, and what can block its name.

use std::fmt;

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A path without `.` and a slash at its end, and without each `..` that takes back the component before it.
/// It need not exist: links are not looked at.
pub fn normal(path: &Utf8Path) -> Utf8PathBuf {
    let mut normal = Utf8PathBuf::with_capacity(path.as_str().len());
    for component in path.components() {
        match component {
            Utf8Component::CurDir => {}
            Utf8Component::ParentDir if normal.file_name().is_some() => drop(normal.pop()),
            // Nothing is above the root.
            Utf8Component::ParentDir if normal.has_root() => {}
            Utf8Component::ParentDir
            | Utf8Component::Normal(_)
            | Utf8Component::RootDir
            | Utf8Component::Prefix(_) => normal.push(component),
        }
    }
    normal
}

/// The longest name that a file system takes, in bytes.
const LONGEST_NAME: usize = 255;

/// The longest path that an operating system takes, in bytes.
const LONGEST_PATH: usize = 4095;

/// Refuses a path that no file system takes.
///
/// # Errors
/// What is too long.
pub fn refuse_long(path: &str) -> Result<(), String> {
    let shown = |text: &str| text.chars().take(40).flat_map(char::escape_debug).collect::<String>();
    if let Some(name) = path.split('/').find(|name| name.len() > LONGEST_NAME) {
        let (name, length) = (shown(name), name.len());
        return Err(format!("the name `{name}…` has {length} bytes: a file system takes {LONGEST_NAME}"));
    }
    if path.len() > LONGEST_PATH {
        let (path, length) = (shown(path), path.len());
        return Err(format!("the path `{path}…` has {length} bytes: a system takes {LONGEST_PATH}"));
    }
    Ok(())
}

/// The path of a file below a directory: relative, and without `.` and `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct RelPath(String);

impl RelPath {
    /// The path, with its components joined by single slashes.
    ///
    /// # Errors
    /// The reason why it does not name a file below its directory.
    pub fn new(path: &str) -> Result<Self, String> {
        refuse_long(path)?;
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

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path as a [`Utf8Path`].
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

/// The permission bits of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileMode(u16);

impl FileMode {
    /// 0600, for a slot's files unless the spec says otherwise.
    pub const PRIVATE: Self = Self(0o600);
    /// 0644, for a project's files.
    pub const SHARED: Self = Self(0o644);

    /// Reads four octal digits, such as `0644`.
    ///
    /// # Errors
    /// The reason, if it is not a mode or does not let the owner, kinfra, read and write.
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
            let reason = "would not let kinfra read and write its own file";
            Err(format!("mode `{octal}` {reason}: the first digit after 0 must be 6 or 7"))
        }
    }

    /// Whether users other than the owner have any permission.
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

/// The kind of thing that has a name where kinfra needs something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// A symbolic link, which kinfra does not follow.
    Symlink,
    /// A directory where a file belongs.
    Directory,
    /// A file where a directory belongs.
    File,
    /// A FIFO, socket or device.
    Special,
    /// Something that kinfra has no permission to open.
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
    fn a_normal_path_is_the_same_place_without_detours() {
        for (path, expected) in [
            ("/w/db/../certs/./dev.pem", "/w/certs/dev.pem"),
            ("/w/", "/w"),
            ("/../../x", "/x"),
            ("a/../../b", "../b"),
            ("../../b", "../../b"),
            (".", ""),
        ] {
            assert_eq!(normal(Utf8Path::new(path)).as_str(), expected, "{path}");
        }
    }

    #[test]
    fn paths_stay_below_their_directory() {
        assert_eq!(RelPath::new("conf/./app.toml").unwrap().as_str(), "conf/app.toml");
        for path in ["", ".", "/etc/passwd", "..", "a/../b", "a/", "a\nb", "a\0b"] {
            assert!(RelPath::new(path).is_err(), "{path:?} was accepted");
        }
    }

    #[test]
    fn a_name_has_255_bytes_and_a_path_4095_at_most() {
        let (name, long_name) = ("n".repeat(255), "n".repeat(256));
        let path = |length: usize| format!("{}{}", "d/".repeat(2000), "n".repeat(length - 4000));
        for (path, is_taken) in [
            (name.clone(), true),
            (format!("d/{name}"), true),
            (long_name.clone(), false),
            (format!("{long_name}/d"), false),
            (path(4095), true),
            (path(4096), false),
        ] {
            assert_eq!(refuse_long(&path).is_ok(), is_taken, "{} bytes", path.len());
        }
    }

    #[test]
    fn modes_without_owner_access_are_refused() {
        assert_eq!(FileMode::parse("0644").unwrap().bits(), 0o644);
        for mode in ["644", "0044", "0400", "1644", "0689", "+644", ""] {
            assert!(FileMode::parse(mode).is_err(), "{mode:?} was accepted");
        }
        for (mode, is_open) in
            [("0600", false), ("0700", false), ("0604", true), ("0620", true), ("0611", true)]
        {
            assert_eq!(FileMode::parse(mode).unwrap().is_open_to_others(), is_open, "{mode}");
        }
        // The kind of the file is not part of its mode.
        assert_eq!(FileMode::from_bits(0o100_640).to_string(), "0640");
    }
}
