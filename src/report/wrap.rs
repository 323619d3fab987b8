//! Long lines, broken where the terminal ends.

use anstream::adapter::strip_str;

use crate::shown::width;

/// How much further the rest of a line stands to the right.
const HANG: usize = 4;

/// A text whose lines are broken between words where they are wider than the terminal. The rest of a line
/// stands below it, further to the right. A command in backticks stays whole, for people to copy. Without a
/// terminal, lines stay whole.
pub fn wrapped(text: &str, columns: Option<usize>) -> String {
    let Some(columns) = columns else { return text.to_owned() };
    text.split_inclusive('\n').map(|line| broken(line, columns)).collect()
}

fn broken(line: &str, columns: usize) -> String {
    let taken = |text: &str| width(&strip_str(text).to_string());
    if taken(line.trim_end_matches('\n')) <= columns {
        return line.to_owned();
    }
    let start = hang(line, columns);
    let (mut text, mut at, mut is_command) = (String::new(), 0, false);
    let spaces = line.split(|c| {
        is_command ^= c == '`';
        c == ' ' && !is_command
    });
    for (place, word) in spaces.enumerate() {
        let needed = taken(word.trim_end());
        if place > 0 {
            // A word that is longer than any line stays where it is.
            if at + 1 + needed > columns && start + needed <= columns {
                text.truncate(text.trim_end().len());
                text.push('\n');
                text.extend(std::iter::repeat_n(' ', start));
                at = start;
            } else {
                text.push(' ');
                at += 1;
            }
        }
        text.push_str(word);
        at += taken(word);
    }
    text
}

/// Where the rest of a line begins: below the value of a name that has a column of its own.
fn hang(line: &str, columns: usize) -> usize {
    let plain = strip_str(line).to_string();
    let indent = plain.chars().take_while(|c| *c == ' ').count();
    let named = plain.get(indent..).and_then(|rest| {
        let (name, value) = rest.split_once("  ")?;
        Some(indent + width(name) + 2 + value.chars().take_while(|c| *c == ' ').count())
    });
    named.filter(|value| indent > 0 && *value <= columns / 2).unwrap_or(indent + HANG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_commands_stay_whole() {
        for (text, shown) in [
            (
                "note: to go on, run `kinfra claim --slot 2` again\n",
                "note: to go on, run\n    `kinfra claim --slot 2`\n    again\n",
            ),
            ("  note    a long run of the api\n", "  note    a long run of the\n          api\n"),
            ("  note  a long run of the apis x\n", "  note  a long run of the apis\n        x\n"),
            ("  a list of words that is too long", "  a list of words that is too\n      long"),
            ("a-word-that-is-longer-than-any-line is", "a-word-that-is-longer-than-any-line\n    is"),
            // The rest starts one column further to the left than it would stand here.
            ("note abcdefghijklmnopqrstuvwxyz", "note\n    abcdefghijklmnopqrstuvwxyz"),
            // A question ends where the answer begins.
            ("Only 'yes' will be accepted: ", "Only 'yes' will be accepted: "),
            ("", ""),
        ] {
            assert_eq!(wrapped(text, Some(30)), shown);
            assert_eq!([None, Some(0)].map(|columns| wrapped(text, columns)), [text, text]);
        }
    }
}
