//! The id of a registry.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The id of a registry: 128 random bits, as 32 hexadecimal digits. The first save sets it, and no later one
/// changes it. The label `kinfra.id` has it, so it says whose a container, a volume or a network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegistryId(u128);

impl RegistryId {
    /// The id of these bits, which must be random.
    pub fn from_random(bits: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bits))
    }
}

impl fmt::Display for RegistryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Serialize for RegistryId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RegistryId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let id = u128::from_str_radix(&text, 16).ok().map(Self);
        let shown = text.escape_debug();
        id.filter(|id| id.to_string() == text)
            .ok_or_else(|| de::Error::custom(format!("`{shown}` does not have 32 hex digits")))
    }
}
