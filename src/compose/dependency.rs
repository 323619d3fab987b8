//! What a service waits for before it starts.

use serde::{Deserialize, Serialize};

/// A service that another one depends on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Dependency {
    /// What is waited for: `service_started`, `service_healthy`, `service_completed_successfully`.
    pub condition: String,
}

impl Dependency {
    /// Whether it is waited for until it has ended well: it is meant to end.
    pub fn is_completion(&self) -> bool {
        self.condition == "service_completed_successfully"
    }
}
