//! Shows paths and foreign text so that no character in them can steer a terminal.

use camino::{Utf8Path, Utf8PathBuf};

/// Shows paths below the home directory with `~`.
#[derive(Debug, Clone, Copy)]
pub struct Paths<'a> {
    /// The home directory, if there is one.
    pub home: Option<&'a Utf8Path>,
}

impl Paths<'_> {
    /// A path as people write it, with control characters escaped.
    pub fn show(&self, path: &Utf8Path) -> Utf8PathBuf {
        let below = self.home.and_then(|home| path.strip_prefix(home).ok());
        let path = below.map_or_else(|| path.to_owned(), |below| Utf8Path::new("~").join(below));
        printable(path.as_str()).into()
    }
}

/// Foreign text, with every character that could steer a terminal escaped.
pub fn printable(text: &str) -> String {
    // Also the characters that change the direction of the following text (Unicode's bidirectional algorithm,
    // UAX #9).
    let steers = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let write = |c: char| if steers(c) { c.escape_unicode().to_string() } else { c.to_string() };
    text.chars().map(write).collect()
}

/// Text as one word of a shell's command.
pub fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./:@%+,=~".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}
