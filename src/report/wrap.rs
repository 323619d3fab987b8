//! Long lines, broken where the terminal ends.

use anstream::adapter::strip_str;

use crate::shown::width;

/// How much further the rest of a line stands to the right.
const HANG: usize = 4;

/// A text whose lines are broken between words where they are wider than the terminal. The rest of a line
/// stands below it, further to the right. A command in backticks stays whole, for people to copy. Without a
/// terminal, lines stay whole.
pub fn wrapped(text: &str, columns: Option<usize>) -> String {
    let Some(columns) = columns.filter(|columns| *columns > 0) else { return text.to_owned() };
    text.split_inclusive('\n').map(|line| broken(line, columns)).collect()
}

fn broken(line: &str, columns: usize) -> String {
    let taken = |text: &str| width(&strip_str(text).to_string());
    if taken(line.trim_end_matches('\n')) <= columns {
        return line.to_owned();
    }
    let indent = line.chars().take_while(|c| *c == ' ').count();
    let (mut text, mut at, mut is_command) = (String::new(), 0, false);
    let spaces = line.split(|c| {
        is_command ^= c == '`';
        c == ' ' && !is_command
    });
    for (place, word) in spaces.enumerate() {
        let needed = taken(word.trim_end());
        if place > 0 {
            // A word that is longer than any line stays where it is.
            if at > indent + HANG && at + 1 + needed > columns && indent + HANG + needed <= columns {
                text.truncate(text.trim_end().len());
                text.push('\n');
                text.extend(std::iter::repeat_n(' ', indent + HANG));
                at = indent + HANG;
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
