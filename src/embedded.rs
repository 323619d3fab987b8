//! The spec and templates that are built into kinfra. They are used where there is no `slots.toml`.

/// The text of the embedded `slots.toml`.
pub const SPEC: &str = include_str!("../slots.toml");

/// The embedded templates: name and text.
pub const TEMPLATES: [(&str, &str); 4] = [
    ("docker-compose.yml", include_str!("../templates/docker-compose.yml")),
    ("env.sandbox", include_str!("../templates/env.sandbox")),
    ("override.yml", include_str!("../templates/override.yml")),
    ("prometheus.yml", include_str!("../templates/prometheus.yml")),
];
