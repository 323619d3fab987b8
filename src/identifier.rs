//! The names that `slots.toml` gives to ports, profiles, kinds of workers and verbs; those of branches and
//! owners.

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
name!(
    /// A verb that a project declares, such as `impl`.
    VerbName,
    "name of a verb",
    "-",
    "use lowercase letters, digits, `_` and `-`"
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

/// The name of a machine, as `hostname` prints it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct HostName(String);

impl HostName {
    /// The longest name that a system has.
    const LONGEST: usize = 255;

    /// The name: letters, digits, `.`, `_` and `-`.
    ///
    /// # Errors
    /// The reason, and what a name looks like.
    pub fn new(name: &str) -> Result<Self, String> {
        let is_host = !name.is_empty()
            && name.len() <= Self::LONGEST
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        if is_host {
            return Ok(Self(name.to_owned()));
        }
        let name = name.escape_debug();
        Err(format!("`{name}` is not a valid name of a host: write it as `hostname` prints it"))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for HostName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

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

/// The name of a branch, such as `fix-login` or `impl/search`. Only git knows all that it may not have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Branch(String);

impl Branch {
    /// A name that git can be asked about: it is no flag, and one line.
    ///
    /// # Errors
    /// The reason.
    pub fn new(name: &str) -> Result<Self, String> {
        let why = match () {
            () if name.is_empty() => "it has no character",
            () if name.starts_with('-') => "it begins with `-`, as a flag does",
            () if name.chars().any(char::is_control) => "it has a control character",
            () => return Ok(Self(name.to_owned())),
        };
        Err(format!("`{}` is no name of a branch: {why}", name.escape_debug()))
    }

    /// The branch that a full reference names.
    pub fn of_reference(reference: &str) -> Option<Self> {
        reference.strip_prefix("refs/heads/").map(|name| Self(name.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its full reference.
    pub fn reference(&self) -> String {
        format!("refs/heads/{}", self.0)
    }

    /// Whether another name is the same but for the case of its letters.
    pub fn is_but_for_case(&self, other: &Self) -> bool {
        self != other && self.0.to_lowercase() == other.0.to_lowercase()
    }
}

impl fmt::Display for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
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

    #[test]
    fn only_names_from_the_second_on_are_of_a_row() {
        for (name, row) in [
            ("web_2", Some(("web", 2))),
            ("web_api_10", Some(("web_api", 10))),
            ("web", None),
            ("web_1", None),
            ("web_0", None),
            ("web_02", None),
            ("web_x", None),
            ("web_70000", None),
        ] {
            assert_eq!(PortName::new(name).unwrap().row(), row, "{name}");
        }
    }

    #[test]
    fn a_branch_is_no_flag_and_one_line() {
        for name in ["fix", "impl/search", "ü-ß", "it's", "$HOME", "a\"b", "x-"] {
            assert_eq!(Branch::new(name).map(|branch| branch.to_string()), Ok(name.to_owned()));
        }
        for (name, why) in
            [("", "no character"), ("-x", "a flag"), ("a\nb", "control"), ("a\u{7f}", "control")]
        {
            assert!(Branch::new(name).unwrap_err().contains(why), "{name:?}");
        }
        let of = |reference: &str| Branch::of_reference(reference);
        assert_eq!(of("refs/heads/a/b"), Branch::new("a/b").ok());
        assert_eq!(of("refs/heads/a/b").map(|branch| branch.reference()), Some("refs/heads/a/b".to_owned()));
        assert_eq!(of("refs/remotes/a"), None);
        let is_like = |one: &str, other: &str| of(one).unwrap().is_but_for_case(&of(other).unwrap());
        assert!(is_like("refs/heads/Ab", "refs/heads/aB") && is_like("refs/heads/Ä", "refs/heads/ä"));
        assert!(!is_like("refs/heads/ab", "refs/heads/ab") && !is_like("refs/heads/ab", "refs/heads/ac"));
    }
}
