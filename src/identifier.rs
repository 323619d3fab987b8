//! The names that `slots.toml` gives to ports, profiles and kinds of workers.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

/// Declares a name that matches `[a-z][a-z0-9_]*`.
macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $noun:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub struct $type(String);

        impl $type {
            /// The name, if it matches `[a-z][a-z0-9_]*`.
            ///
            /// # Errors
            /// The reason, and what a name looks like.
            pub fn new(name: &str) -> Result<Self, String> {
                if is_name(name) {
                    Ok(Self(name.to_owned()))
                } else {
                    let name = name.escape_debug();
                    let rule = "use lowercase letters, digits and `_`, a letter first";
                    Err(format!("`{name}` is not a valid {}: {rule}", $noun))
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
    "port name"
);
name!(
    /// A size class of slots, such as `light`.
    ProfileName,
    "profile name"
);
impl ProfileName {
    /// The profile of a slot whose profile is not known.
    pub fn unknown() -> Self {
        Self("unknown".to_owned())
    }
}

name!(
    /// A kind of worker that a profile counts, such as `backtest`.
    WorkerKind,
    "kind of worker"
);

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}
