//! The name that `kinfra init` gives a pool.

/// The name of the pool of a directory: lowercase letters, digits, `_` and `-`.
pub(super) fn pool_name(directory: &str) -> String {
    let name: String = directory
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' })
        .collect();
    let name = name.trim_matches(['-', '_']);
    if name.is_empty() { "pool".to_owned() } else { name.to_owned() }
}

/// The name, then the name with a number.
pub(super) fn candidates(name: &str) -> impl Iterator<Item = String> {
    let numbered = (2..).map(move |number| format!("{name}-{number}"));
    std::iter::once(name.to_owned()).chain(numbered)
}
