//! Shows paths and foreign text so that no character in them can steer a terminal.

use std::fmt::Write as _;

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

/// Foreign text as part of a line: every character that could steer a terminal, or mislead its reader, is
/// escaped.
pub fn printable(text: &str) -> String {
    escaped(text, |_| false)
}

/// [`printable`] of a text that nothing else needs: nearly each one stays as it is.
pub fn made_printable(text: String) -> String {
    if text.chars().all(is_plain) { text } else { printable(&text) }
}

/// Foreign text of several lines: the same, but its lines and columns stay.
pub fn printable_lines(text: &str) -> String {
    escaped(&text.replace("\r\n", "\n"), |c| matches!(c, '\n' | '\t'))
}

/// A whole output: the same, but the colours that kinfra itself uses stay. It is the last look at a text.
/// What went through [`printable`] already does not change.
pub fn printable_output(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        let (before, sequence) = rest.split_at(at);
        let colour = color(sequence).unwrap_or("\u{1b}");
        shown += &printable_lines(before);
        shown += &if colour.len() > 1 { colour.to_owned() } else { printable(colour) };
        rest = &sequence[colour.len()..];
    }
    shown + &printable_lines(rest)
}

/// JSON whose values are the same, with every such character written by its number.
pub fn printable_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        if misleads(c) && c != '\n' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Text as a string of TOML, in one line whatever is in it.
pub fn toml_string(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if misleads(c) => {
                let _ = write!(quoted, "\\U{:08x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// The colour that a text begins with, if it is one that kinfra uses: none hides a text, or moves the cursor.
fn color(text: &str) -> Option<&str> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let parameters = &parameters[..parameters.find('m')?];
    let is_ours = |code: &str| {
        matches!(code, "" | "0" | "1" | "2" | "4" | "22" | "24" | "39")
            || matches!(code.as_bytes(), [b'3' | b'9', b'1'..=b'6'])
    };
    parameters.split(';').all(is_ours).then(|| &text[..parameters.len() + "\u{1b}[m".len()])
}

fn escaped(text: &str, stays: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for part in text.split_inclusive(|c| !is_plain(c)) {
        let mut chars = part.chars();
        match chars.next_back() {
            Some(c) if misleads(c) && !stays(c) => {
                shown += chars.as_str();
                shown.extend(c.escape_unicode());
            }
            Some(_) | None => shown += part,
        }
    }
    shown
}

/// Whether a character is one of ASCII that is seen. Most texts have only such ones, in a column each.
const fn is_plain(c: char) -> bool {
    matches!(c, ' '..='~')
}

/// Whether a character steers a terminal, changes the direction of the text after it, or cannot be seen.
fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Directions: Unicode's bidirectional algorithm, UAX #9.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Lines and paragraphs that only some programs end.
            | '\u{2028}' | '\u{2029}'
            // No width: joiners, fillers, marks and tags that nothing shows.
            | '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// How many columns of a terminal a text takes. Wide characters take two.
pub fn width(text: &str) -> usize {
    if text.chars().all(is_plain) { text.len() } else { text.width() }
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
    match noun.strip_suffix("ory") {
        _ if count == 1 => format!("1 {noun}"),
        Some(stem) => format!("{count} {stem}ories"),
        None => format!("{count} {noun}s"),
    }
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

/// A number of bytes, in the largest unit of which it is a whole number.
pub fn size_of(bytes: u64) -> String {
    let units = [(20, "MiB"), (10, "KiB"), (0, "bytes")];
    let unit = units.into_iter().find(|(shift, _)| bytes >> shift > 0 && (bytes >> shift) << shift == bytes);
    let (shift, unit) = unit.unwrap_or((0, "bytes"));
    format!("{} {unit}", bytes >> shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_in_the_largest_unit() {
        assert_eq!(
            [64, 64 << 10, 1500, 3 << 20, 0].map(size_of),
            ["64 bytes", "64 KiB", "1500 bytes", "3 MiB", "0 bytes"]
        );
    }

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
    fn what_steers_a_terminal_or_cannot_be_seen_is_escaped() {
        for c in [
            '\u{0}', '\u{7}', '\r', '\u{1b}', '\u{7f}', '\u{9b}', '\u{202e}', '\u{2066}', '\u{200b}',
            '\u{feff}',
        ] {
            let escaped = c.escape_unicode().to_string();
            for shown in [printable, printable_lines, printable_output].map(|show| show(&format!("a{c}b"))) {
                assert_eq!(shown, format!("a{escaped}b"));
            }
        }
        assert_eq!(printable("a\n\tb"), r"a\u{a}\u{9}b");
        assert_eq!(printable_lines("a\r\n\tb\n"), "a\n\tb\n");
        // What people write stays: accents that are combined, and signs of an emoji.
        for text in ["fix-修正", "e\u{301}", "❤\u{fe0f}", "🚀"] {
            assert_eq!(printable(text), text);
        }
    }

    #[test]
    fn json_and_toml_have_the_text_itself() {
        let text = "a\"b\\c\n'\t\u{7f}\u{9b}\u{202e}\u{e0041}修";
        let json = printable_json(&serde_json::json!(text).to_string());
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        let toml = toml_string(text);
        assert_eq!(toml::from_str::<toml::Table>(&format!("a = {toml}")).unwrap()["a"].as_str(), Some(text));
        for shown in [json, toml] {
            assert!(!shown.chars().any(misleads), "{shown:?}");
        }
    }

    #[test]
    fn only_the_colours_of_kinfra_get_through() {
        for text in ["\u{1b}[31mred\u{1b}[39m", "\u{1b}[1m\u{1b}[91merror\u{1b}[0m", "\u{1b}[1;94m|\u{1b}[m"]
        {
            assert_eq!(printable_output(text), text);
            assert!(!printable_lines(text).contains('\u{1b}'));
        }
        for steers in ["[8m", "[30m", "[40m", "[38;5;1m", "[2J", "[1A", "]0;title\u{7}", "[31", "c", ""] {
            let shown = printable_output(&format!("a\u{1b}{steers}b"));
            assert!(shown.starts_with(r"a\u{1b}") && !shown.contains(['\u{1b}', '\u{7}']), "{shown}");
        }
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

    #[test]
    fn a_word_of_a_shell_is_quoted_where_it_must_be() {
        for (text, word_of_it) in [
            ("a", "a"),
            ("/w/a_b-c.d:@%+,=~1", "/w/a_b-c.d:@%+,=~1"),
            ("ü", "ü"),
            ("", "''"),
            ("a b", "'a b'"),
            ("$a", "'$a'"),
            ("it's", r"'it'\''s'"),
        ] {
            assert_eq!(word(text), word_of_it);
        }
    }
}
