//! The names that `slots.toml` gives to ports, profiles and kinds of workers, and those of owners.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

/// Declares a name that matches `[a-z][a-z0-9_]*`, with these further characters.
macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $noun:literal, $further:literal, $rule:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub struct $type(String);

        impl $type {
            /// The name: a lowercase letter first, then those, digits, `_` and what else it may have.
            ///
            /// # Errors
            /// The reason, and what a name looks like.
            pub fn new(name: &str) -> Result<Self, String> {
                if is_name(name, $further) {
                    Ok(Self(name.to_owned()))
                } else {
                    let name = name.escape_debug();
                    Err(format!("`{name}` is not a valid {}: {}, a letter first", $noun, $rule))
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(&String::deserialize(deserializer)?).map_err(de::Error::custom)
            }
        }
    };
}

name!(
    /// What a port is for, such as `api` or `otlp_grpc`.
    PortName,
    "port name",
    "",
    "use lowercase letters, digits and `_`"
);
name!(
    /// A size class of slots, such as `light`.
    ProfileName,
    "profile name",
    "",
    "use lowercase letters, digits and `_`"
);
impl PortName {
    /// The name of the n-th of several ports in a row, from 1: `web`, `web_2`, `web_3`, …
    #[must_use]
    pub fn nth(&self, n: u16) -> Self {
        if n <= 1 { self.clone() } else { Self(format!("{}_{n}", self.0)) }
    }

    /// The name of the first port, and which in the row this one is, if it can be one from the second on.
    pub fn row(&self) -> Option<(&str, u16)> {
        let (first, n) = self.0.rsplit_once('_')?;
        let number = n.parse().ok().filter(|number: &u16| *number > 1 && number.to_string() == n)?;
        Some((first, number))
    }
}

impl ProfileName {
    /// The profile of a slot whose profile is not known.
    pub fn unknown() -> Self {
        Self("unknown".to_owned())
    }
}

name!(
    /// A kind of worker that a profile counts, such as `backtest`. In a pool for a project's own Compose
    /// files, it is the name of a service, which may have a `-`.
    WorkerKind,
    "kind of worker",
    "-",
    "use lowercase letters, digits, `_` and `-`"
);

/// The name of one of several claims of one directory, such as that of a job in CI. A directory and an owner
/// are another holder than the directory alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Owner(String);

impl Owner {
    /// The longest name.
    const LONGEST: usize = 100;

    /// The name: letters, digits, `.`, `_` and `-`, a letter or a digit first.
    ///
    /// # Errors
    /// The reason, and what a name looks like.
    pub fn new(name: &str) -> Result<Self, String> {
        let is_owner = name.len() <= Self::LONGEST
            && name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        if is_owner {
            return Ok(Self(name.to_owned()));
        }
        let name = name.escape_debug();
        let rule = "use letters, digits, `.`, `_` and `-`, a letter or digit first, 100 at most";
        Err(format!("`{name}` is not a valid name of an owner: {rule}"))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for Owner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

fn is_name(name: &str, further: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_') || further.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_a_word_that_a_file_and_a_shell_take() {
        for name in ["ci", "1", "build-4.2_x64", &"a".repeat(100)] {
            assert_eq!(Owner::new(name).map(|owner| owner.to_string()).as_deref(), Ok(name));
        }
        for name in ["", "-x", ".x", "a b", "a\nb", "a/b", "ä", &"a".repeat(101)] {
            assert!(Owner::new(name).is_err(), "{name:?}");
        }
    }
}
