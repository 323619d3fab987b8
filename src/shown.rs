//! Shows paths and foreign text so that no character in them can steer a terminal.

use camino::{Utf8Path, Utf8PathBuf};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

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

    /// A text for people, with every path below the home directory as they write it. Where quotes or a `=`
    /// keep a shell from reading `~`, the path stays.
    pub fn in_text(&self, text: &str) -> String {
        let home = self.home.map(|home| home.as_str().trim_end_matches('/'));
        let Some(home) = home.filter(|home| !home.is_empty()) else {
            return text.to_owned();
        };
        let is_of_path = |c: char| c.is_alphanumeric() || "/._-~@+='\"".contains(c);
        let (mut shown, mut done) = (String::new(), 0);
        for (at, _) in text.match_indices(home) {
            let end = at + home.len();
            let begins = !text[..at].chars().next_back().is_some_and(is_of_path);
            let ends = !text[end..].chars().next().is_some_and(|c| c != '/' && is_of_path(c));
            if begins && ends {
                shown.push_str(&text[done..at]);
                shown.push('~');
                done = end;
            }
        }
        shown + &text[done..]
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

/// How many columns of a terminal a text takes. Wide characters take two.
pub fn width(text: &str) -> usize {
    text.width()
}

/// A text in so many columns, cut at its end if it is too long.
pub fn shorten(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    within(text.chars(), columns.saturating_sub(1)).into_iter().chain(['…']).collect()
}

/// A text in so many columns, cut in its middle if it is too long: names differ at both ends.
pub fn shorten_middle(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(1);
    let start = within(text.chars(), room.div_ceil(2));
    let end = within(text.chars().rev(), room / 2);
    start.into_iter().chain(['…']).chain(end.into_iter().rev()).collect()
}

/// The first characters, as many as so many columns hold.
fn within(chars: impl Iterator<Item = char>, columns: usize) -> Vec<char> {
    let mut taken = 0;
    let fits = |c: &char| {
        taken += c.width().unwrap_or_default();
        taken <= columns
    };
    chars.take_while(fits).collect()
}

/// A count with its noun: `1 slot`, `3 slots`.
pub fn count(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// Text as one word of a shell's command.
pub fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./:@%+,=~".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A size as Docker words it: `48.2MB`, in steps of 1000.
pub fn size(bytes: u64) -> String {
    let mut unit = 1;
    let mut word = "B";
    for larger in ["kB", "MB", "GB", "TB"] {
        if bytes / unit >= 1000 {
            (unit, word) = (unit * 1000, larger);
        }
    }
    // Rounded down: what is freed is never less than what was said.
    match (bytes / unit, bytes % unit * 10 / unit) {
        (whole, 0) => format!("{whole}{word}"),
        (whole, tenth) => format!("{whole}.{tenth}{word}"),
    }
}

/// A size in Docker's words, such as `48.2MB`, in bytes. Docker counts in thousands.
pub fn bytes(text: &str) -> Option<u64> {
    const UNITS: [(&str, f64); 6] =
        [("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12), ("PB", 1e15), ("B", 1.0)];
    let (number, unit) =
        UNITS.into_iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, bytes)))?;
    let bytes = number.parse::<f64>().ok()? * unit;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in range")]
    (0.0..1e18).contains(&bytes).then(|| bytes.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_by_the_columns_that_it_takes() {
        assert_eq!([width("fix"), width("修正"), width("🚀")], [3, 4, 2]);
        assert_eq!(shorten("fix-login", 9), "fix-login");
        assert_eq!(shorten("fix-login", 5), "fix-…");
        assert_eq!(shorten_middle("feature/long-name-1", 9), "feat…me-1");
        // Half of a wide character cannot be shown.
        assert_eq!(shorten_middle("修正修正修正", 6), "修…正");
        assert_eq!(shorten("修正修正", 6), "修正…");
    }

    #[test]
    fn paths_in_a_text_begin_with_the_home_directory() {
        let paths = Paths { home: Some(Utf8Path::new("/home/me")) };
        for (text, shown) in [
            ("`/home/me/pool` is not there", "`~/pool` is not there"),
            ("in /home/me: /home/me/a, /home/me/b", "in ~: ~/a, ~/b"),
            ("/home/men /home/me.old /backup/home/me/a", "/home/men /home/me.old /backup/home/me/a"),
            ("kinfra apply '/home/me/my pool'", "kinfra apply '/home/me/my pool'"),
        ] {
            assert_eq!(paths.in_text(text), shown);
        }
        assert_eq!(Paths { home: None }.in_text("/home/me/a"), "/home/me/a");
        assert_eq!(Paths { home: Some(Utf8Path::new("/")) }.in_text("/a"), "/a");
    }

    #[test]
    fn only_one_is_no_plural() {
        assert_eq!([0, 1, 2].map(|number| count(number, "slot")), ["0 slots", "1 slot", "2 slots"]);
    }

    #[test]
    fn sizes_have_a_unit_and_at_most_one_decimal() {
        for (bytes, shown) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1kB"),
            (48_290_000, "48.2MB"),
            (7_000_000_000_000_000, "7000TB"),
        ] {
            assert_eq!(size(bytes), shown);
        }
    }

    #[test]
    fn sizes_of_docker_are_read() {
        for (text, expected) in [
            ("0B", Some(0)),
            ("512B", Some(512)),
            ("48.2MB", Some(48_200_000)),
            ("1.09GB", Some(1_090_000_000)),
            ("7kB", Some(7000)),
            ("N/A", None),
            ("-1B", None),
            ("MB", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}
