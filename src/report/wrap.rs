//! Long lines, broken where the terminal ends.

use anstream::adapter::strip_str;

use crate::shown::width;

/// How much further the rest of a line stands to the right.
const HANG: usize = 4;

/// A text whose lines are broken between words where they are wider than the terminal. The rest of a line
/// stands below it, further to the right. Without a terminal, lines stay whole.
pub fn wrapped(text: &str, columns: Option<usize>) -> String {
    let Some(columns) = columns else { return text.to_owned() };
    text.lines().map(|line| broken(line, columns)).collect()
}

fn broken(line: &str, columns: usize) -> String {
    let taken = |text: &str| width(&strip_str(text).to_string());
    if taken(line) <= columns {
        return format!("{line}\n");
    }
    let indent = line.chars().take_while(|c| *c == ' ').count();
    let (mut text, mut at) = (String::new(), 0);
    for word in line.split_inclusive(' ') {
        let needed = taken(word.trim_end());
        // A word that is longer than any line stays where it is.
        if at > indent + HANG && at + needed > columns && indent + HANG + needed <= columns {
            text.truncate(text.trim_end().len());
            text.push('\n');
            text.extend(std::iter::repeat_n(' ', indent + HANG));
            at = indent + HANG;
        }
        text.push_str(word);
        at += taken(word);
    }
    text.push('\n');
    text
}
