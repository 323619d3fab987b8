//! Long texts for those who read few lines.

use std::borrow::Cow;

use crate::names::KINFRA_PLAIN;

/// How many of its last lines a text keeps: there are totals, and what to do next.
const LAST: usize = 4;

/// A text of at most so many lines. In place of what is left out, a line says how much that is.
pub fn capped(text: &str, most: usize) -> Cow<'_, str> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    if lines.len() <= most {
        return text.into();
    }
    let Some(shown) = most.checked_sub(1) else { return "".into() };
    let first = shown - LAST.min(shown / 4);
    let last = lines.len() - (shown - first);
    let notice = format!("… {} lines are left out: `{KINFRA_PLAIN}=0` shows them\n", last - first);
    let (before, after) = (lines.iter().take(first), lines.iter().skip(last));
    before.copied().chain([notice.as_str()]).chain(after.copied()).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_keeps_its_beginning_and_its_end() {
        let text = |count: usize| {
            (1..=count).flat_map(|line| [line.to_string(), "\n".to_owned()]).collect::<String>()
        };
        for count in [0, 1, 5] {
            assert_eq!(capped(&text(count), 5), text(count));
        }
        let notice = |count: usize| format!("… {count} lines are left out: `KINFRA_PLAIN=0` shows them\n");
        assert_eq!(capped(&text(9), 5), format!("1\n2\n3\n{}9\n", notice(5)));
        assert_eq!(capped(&text(2), 1), notice(2));
        assert_eq!(capped(&text(2), 0), "");
        let long = capped(&text(100), 45).into_owned();
        assert_eq!(long.lines().count(), 45);
        assert!(long.ends_with("97\n98\n99\n100\n") && long.contains(&notice(56)), "{long}");
    }
}
