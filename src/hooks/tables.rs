//! A line in each of some tables of a TOML text. Taken away, the lines leave the text that was there before.

use toml_edit::DocumentMut;

use super::block::{self, Spot};

/// The text with a line in each table: below its heading, or in a block of its own where it is not there yet.
///
/// # Errors
/// The reason, if it is no TOML, or has one of the tables in another form.
pub fn with(text: &str, tables: &[(&str, &str)]) -> Result<String, String> {
    let mut text = without(text, tables);
    let read = |text: &str| text.parse::<DocumentMut>().map_err(|error| error.message().to_owned());
    let document = read(&text)?;
    let mut missing = String::new();
    for (table, line) in tables {
        if let Some(at) = heading(&text, table) {
            let (above, below) = text.split_at_checked(at).unwrap_or((&text, ""));
            text = if above.ends_with('\n') {
                format!("{above}{line}\n{below}")
            } else {
                format!("{above}\n{line}{below}")
            };
        } else if document.contains_key(table) {
            return Err(format!("`{table}` is there in another form than `[{table}]`"));
        } else {
            missing.extend(["[", table, "]\n", line, "\n"]);
        }
    }
    let text = if missing.is_empty() { text } else { block::with(&text, &missing, Spot::End) };
    read(&text).map(|_| text)
}

/// The text without these lines.
pub fn without(text: &str, tables: &[(&str, &str)]) -> String {
    let mut text = block::without(text);
    for (table, line) in tables {
        let Some(at) = heading(&text, table) else { continue };
        let (above, below) = text.split_at_checked(at).unwrap_or((&text, ""));
        let left = match below.strip_prefix(&format!("{line}\n")) {
            Some(rest) => Some(format!("{above}{rest}")),
            None if below == *line => above.strip_suffix('\n').map(str::to_owned),
            None => None,
        };
        text = left.unwrap_or(text);
    }
    text
}

/// Where the line below the heading of a table begins.
fn heading(text: &str, table: &str) -> Option<usize> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        at += line.len();
        let words = line.split('#').next().unwrap_or_default().trim();
        let name = words.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if name.map(str::trim) == Some(table) {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLES: [(&str, &str); 2] = [("pre-start", "kinfra = \"one\""), ("pre-remove", "kinfra = \"two\"")];

    #[test]
    fn lines_come_once_and_go_without_a_trace() {
        for text in [
            "",
            "# mine\n[list]\nurl = \"x\"",
            "[pre-start] # deps\nnpm = \"npm ci\"\n\n[other]\n",
            "[pre-start]\na = \"b\"\n[pre-remove]",
            "[ pre-start ]\n[pre-remove]\n",
        ] {
            let with_them = with(text, &TABLES).unwrap();
            let read: DocumentMut = with_them.parse().unwrap();
            assert_eq!(read["pre-start"]["kinfra"].as_str(), Some("one"), "{with_them}");
            assert_eq!(read["pre-remove"]["kinfra"].as_str(), Some("two"), "{with_them}");
            assert_eq!(with(&with_them, &TABLES).as_ref(), Ok(&with_them));
            assert_eq!(without(&with_them, &TABLES), text, "from {with_them:?}");
        }
        for text in ["pre-start = \"npm ci\"\n", "[[pre-start]]\na = \"b\"\n", "pre-remove.a = \"b\"", "[a"] {
            assert!(with(text, &TABLES).is_err(), "{text}");
        }
        // A line with this name is another's.
        assert!(with("[pre-start]\nkinfra = \"mine\"\n", &TABLES).is_err());
    }
}
