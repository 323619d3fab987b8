//! A line in each of some tables of a TOML text. Taken away, the lines leave the text that was there before.

use toml_edit::DocumentMut;

use super::block::{self, Obstacle, Spot};

/// A line in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// The table.
    pub table: &'static str,
    /// The line, as kinfra writes it.
    pub line: &'static str,
    /// The command that it runs. Where the table has it already, it stays as it is.
    pub command: &'static str,
}

/// The text with a line in each table: below its heading, or in a block of its own where it is not there yet.
///
/// # Errors
/// The [`Obstacle`], if it is no TOML, or has one of the tables in another form.
pub fn with(old: Option<&str>, lines: &[Line]) -> Result<String, Obstacle> {
    let other = |why: String| Obstacle::Other(why);
    let text = old.map(|old| without(old, lines)).transpose()?.flatten();
    let read = |text: &str| {
        let document = text.parse::<DocumentMut>();
        document.map_err(|error| other(error.message().to_owned()))
    };
    let is_there = text.is_some();
    let mut text = text.unwrap_or_default();
    let document = read(&text)?;
    let has = |document: &DocumentMut, line: &Line| {
        document.get(line.table).is_some_and(|there| there.to_string().contains(line.command))
    };
    if let Some(old) = old {
        let there = read(old)?;
        if lines.iter().all(|line| has(&there, line)) {
            return Ok(old.to_owned());
        }
    }
    let mut missing = String::new();
    for wanted in lines {
        let Line { table, line, .. } = wanted;
        if has(&document, wanted) {
            continue;
        }
        if let Some(at) = heading(&text, table) {
            let (above, below) = text.split_at_checked(at).unwrap_or((&text, ""));
            text = if above.ends_with('\n') {
                format!("{above}{line}\n{below}")
            } else {
                format!("{above}\n{line}{below}")
            };
        } else if document.contains_key(table) {
            return Err(other(format!("`{table}` is there in another form than `[{table}]`")));
        } else {
            missing.extend(["[", table, "]\n", line, "\n"]);
        }
    }
    if !missing.is_empty() {
        let there = is_there.then_some(text.as_str());
        text = block::with(there, "", &missing, (Spot::End, |_: &str| false))?;
    }
    read(&text).map(|_| text)
}

/// The text without these lines. `None` if nothing else is in it.
///
/// # Errors
/// The [`Obstacle`] of a block that was edited.
pub fn without(text: &str, lines: &[Line]) -> Result<Option<String>, Obstacle> {
    let Some(mut text) = block::without(text, "", |it| is_ours(it, lines))? else { return Ok(None) };
    for Line { table, line, .. } in lines {
        let Some(at) = heading(&text, table) else { continue };
        let (above, below) = text.split_at_checked(at).unwrap_or((&text, ""));
        let left = match below.strip_prefix(&format!("{line}\n")) {
            Some(rest) => Some(format!("{above}{rest}")),
            None if below == *line => above.strip_suffix('\n').map(str::to_owned),
            None => None,
        };
        text = left.unwrap_or(text);
    }
    Ok(Some(text))
}

/// Whether a block has nothing but some of the tables, each with its line.
fn is_ours(block: &str, lines: &[Line]) -> bool {
    let rest = lines.iter().fold(block, |rest, Line { table, line, .. }| {
        rest.strip_prefix(&format!("[{table}]\n{line}\n")).unwrap_or(rest)
    });
    rest.is_empty()
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

    const LINES: [Line; 2] = [
        Line { table: "pre-start", line: "kinfra = \"one\" # ours", command: "one" },
        Line { table: "pre-remove", line: "kinfra = \"two\" # ours", command: "two" },
    ];

    #[test]
    fn lines_come_once_and_go_without_a_trace() {
        for text in [
            "",
            "# mine\n[list]\nurl = \"x\"",
            "[pre-start] # deps\nnpm = \"npm ci\"\n\n[other]\n",
            "[pre-start]\na = \"b\"\n[pre-remove]",
            "[ pre-start ]\n[pre-remove]\n",
        ] {
            let with_them = with(Some(text), &LINES).unwrap();
            let read: DocumentMut = with_them.parse().unwrap();
            assert_eq!(read["pre-start"]["kinfra"].as_str(), Some("one"), "{with_them}");
            assert_eq!(read["pre-remove"]["kinfra"].as_str(), Some("two"), "{with_them}");
            assert_eq!(with(Some(&with_them), &LINES).as_ref(), Ok(&with_them));
            assert_eq!(without(&with_them, &LINES), Ok(Some(text.to_owned())), "from {with_them:?}");
        }
        let made = with(None, &LINES).unwrap();
        let more = format!("{made}[mine]\n");
        assert_eq!(with(Some(&more), &LINES), Ok(more));
        assert_eq!(with(Some(&made), &LINES).as_ref(), Ok(&made));
        assert_eq!(without(&made, &LINES), Ok(None));
        for text in ["pre-start = \"npm ci\"\n", "[[pre-start]]\na = \"b\"\n", "pre-remove.a = \"b\"", "[a"] {
            assert!(with(Some(text), &LINES).is_err(), "{text}");
        }
        // A line with this name is another's.
        assert!(with(Some("[pre-start]\nkinfra = \"mine\"\n"), &LINES).is_err());
    }

    #[test]
    fn what_a_person_wrote_counts_and_stays() {
        let theirs = "pre-start = \"npm ci && one\"\n[pre-remove]\nkinfra = \"two\"\n";
        assert_eq!(with(Some(theirs), &LINES).as_deref(), Ok(theirs));
        assert_eq!(without(theirs, &LINES), Ok(Some(theirs.to_owned())));
        let edited =
            "# >>> kinfra >>>\n[pre-start]\nkinfra = \"one\" # ours\nmine = \"x\"\n# <<< kinfra <<<\n";
        assert!(matches!(without(edited, &LINES), Err(Obstacle::Block(_))));
        assert!(matches!(with(Some(edited), &LINES), Err(Obstacle::Block(_))));
    }
}
