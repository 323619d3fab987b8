//! A marked block in a text of lines. Taken away, it leaves the text that was there before.
//!
//! A block that was edited, or has lost a marker, is not kinfra's to replace: what is in it may be another's.

/// The first line of a block begins so.
const BEGIN: &str = "# >>> kinfra >>>";
/// The same where the line above had no newline.
const BEGIN_AFTER_CUT: &str = "# >>> kinfra >>> below a line without a newline";
/// The same in a file that would be gone with the block, although it was there before.
const BEGIN_IN_SAME: &str = "# >>> kinfra >>> in a file that was there";
/// The last line of a block.
const END: &str = "# <<< kinfra <<<";

/// Where a block goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spot {
    /// Below the first line, which says how a script is run.
    BelowFirst,
    /// At the end.
    End,
}

/// Why a text is not changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// Its block is broken or was edited.
    Block(String),
    /// It is not what the tool reads.
    Other(String),
}

/// A block in a text.
struct Block<'a> {
    before: &'a str,
    begin: &'a str,
    lines: &'a str,
    after: &'a str,
}

impl<'a> Block<'a> {
    /// The block of a text, if it has one. `is_ours` says whether kinfra wrote these lines.
    fn of(text: &'a str, is_ours: impl Fn(&str) -> bool) -> Result<Option<Self>, Obstacle> {
        let (mut at, mut begun, mut found) = (0, None, None);
        for (number, line) in (1..).zip(text.split_inclusive('\n')) {
            let (start, name) = (at, line.trim_end_matches(['\r', '\n']));
            at += line.len();
            let broken = |what: String| Err(Obstacle::Block(format!("line {number}: {what}")));
            if [BEGIN, BEGIN_AFTER_CUT, BEGIN_IN_SAME].contains(&name) {
                if begun.is_some() || found.is_some() {
                    return broken(format!("a second `{BEGIN}`"));
                }
                begun = Some((number, start, name, at));
            } else if name == END {
                let Some((number, start, begin, inner)) = begun.take() else {
                    return broken(format!("`{END}` has no `{BEGIN}`"));
                };
                let lines = text.get(inner..at - line.len()).unwrap_or_default();
                if !is_ours(lines) {
                    let what = format!("line {number}: kinfra did not write all of the lines of this block");
                    return Err(Obstacle::Block(what));
                }
                let (before, after) = (text.get(..start), text.get(at..));
                let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
                found = Some(Self { before, begin, lines, after });
            }
        }
        match begun {
            Some((number, ..)) => Err(Obstacle::Block(format!("line {number}: `{BEGIN}` has no `{END}`"))),
            None => Ok(found),
        }
    }

    /// The text without the block.
    fn rest(&self) -> String {
        let before = match self.after {
            // What came below it meanwhile stays on a line of its own.
            "" if self.begin == BEGIN_AFTER_CUT => self.before.strip_suffix('\n').unwrap_or(self.before),
            _ => self.before,
        };
        format!("{before}{}", self.after)
    }
}

/// The text with a block of these lines; in place of an older block, if it has one. `made` is what a file has
/// that kinfra makes: it goes with the block. `old` is a text that is there.
///
/// # Errors
/// The [`Obstacle`] of a block that is not kinfra's to replace.
pub fn with(
    old: Option<&str>,
    made: &str,
    lines: &str,
    (spot, is_ours): (Spot, impl Fn(&str) -> bool),
) -> Result<String, Obstacle> {
    let there = old.map(|old| Block::of(old, is_ours)).transpose()?.flatten();
    if let Some(old) = old.filter(|_| there.as_ref().is_some_and(|block| block.lines == lines)) {
        return Ok(old.to_owned());
    }
    let text = there.as_ref().map_or_else(|| old.unwrap_or(made).to_owned(), Block::rest);
    let at = match spot {
        Spot::BelowFirst => text.find('\n').map_or(text.len(), |end| end + 1),
        Spot::End => text.len(),
    };
    let (before, after) = (text.get(..at).unwrap_or_default(), text.get(at..).unwrap_or_default());
    let was_there = match &there {
        Some(block) => block.begin == BEGIN_IN_SAME,
        None => old.is_some(),
    };
    Ok(if !before.is_empty() && !before.ends_with('\n') {
        format!("{before}\n{BEGIN_AFTER_CUT}\n{lines}{END}\n{after}")
    } else {
        let begin = if was_there && text == made { BEGIN_IN_SAME } else { BEGIN };
        format!("{before}{begin}\n{lines}{END}\n{after}")
    })
}

/// The text without its block. `None` if nothing is left but what a file has that kinfra makes.
///
/// # Errors
/// The [`Obstacle`] of a block that is not kinfra's to take away.
pub fn without(text: &str, made: &str, is_ours: impl Fn(&str) -> bool) -> Result<Option<String>, Obstacle> {
    let Some(block) = Block::of(text, is_ours)? else { return Ok(Some(text.to_owned())) };
    let rest = block.rest();
    Ok(Some(rest).filter(|rest| block.begin == BEGIN_IN_SAME || rest != made))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MADE: &str = "#!/bin/sh\n";

    fn is_ours(lines: &str) -> bool {
        ["one\n", "older\n"].contains(&lines)
    }

    fn with_lines(text: &str, lines: &str, spot: Spot) -> String {
        with(Some(text), MADE, lines, (spot, is_ours)).unwrap()
    }

    #[test]
    fn a_block_comes_once_and_goes_without_a_trace() {
        for text in [
            "",
            "#!/bin/sh",
            "#!/bin/sh\n",
            "#!/bin/sh\necho \"# >>> kinfra >>>\"\nexit 0",
            "a\n\nb\n",
            "a\r\nb",
        ] {
            for spot in [Spot::BelowFirst, Spot::End] {
                let with_it = with_lines(text, "one\n", spot);
                assert!(with_it.contains("\none\n# <<< kinfra <<<\n"), "{with_it}");
                assert_eq!(without(&with_it, MADE, is_ours), Ok(Some(text.to_owned())), "from {with_it:?}");
                assert_eq!(with_lines(&with_it, "one\n", spot), with_it);
                assert_eq!(with_lines(&with_lines(text, "older\n", spot), "one\n", spot), with_it);
                assert_eq!(without(text, MADE, is_ours), Ok(Some(text.to_owned())));
                // What is added below stays below, on lines of its own.
                if with_it.ends_with("<<<\n") {
                    let more = without(&format!("{with_it}more\n"), MADE, is_ours);
                    let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
                    assert_eq!(more, Ok(Some(format!("{text}{gap}more\n"))), "from {with_it:?}");
                    assert_eq!(
                        with_lines(&format!("{with_it}more\n"), "one\n", spot),
                        format!("{with_it}more\n")
                    );
                }
            }
        }
        let script = with_lines("#!/bin/sh\nexit 0\n", "one\n", Spot::BelowFirst);
        assert_eq!(script, "#!/bin/sh\n# >>> kinfra >>>\none\n# <<< kinfra <<<\nexit 0\n");
        let made = with(None, MADE, "one\n", (Spot::BelowFirst, is_ours)).unwrap();
        assert_eq!(made, "#!/bin/sh\n# >>> kinfra >>>\none\n# <<< kinfra <<<\n");
        assert_eq!(with_lines(&made, "one\n", Spot::BelowFirst), made);
        assert_eq!(without(&made, MADE, is_ours), Ok(None));
    }

    #[test]
    fn a_block_that_is_not_whole_or_was_edited_stays() {
        for (text, why) in [
            ("a\n# >>> kinfra >>>\none\n", "line 2: `# >>> kinfra >>>` has no"),
            ("a\n# <<< kinfra <<<\n", "line 2: `# <<< kinfra <<<` has no"),
            ("# >>> kinfra >>>\none\nmine\n# <<< kinfra <<<\n", "line 1: kinfra did not write all"),
            ("# >>> kinfra >>>\none\n# <<< kinfra <<<mine\n", "line 1: `# >>> kinfra >>>` has no"),
            ("# >>> kinfra >>>\none\n# >>> kinfra >>>\none\n# <<< kinfra <<<\n", "line 3: a second"),
            (
                "# >>> kinfra >>>\none\n# <<< kinfra <<<\n# >>> kinfra >>>\none\n# <<< kinfra <<<\n",
                "line 4: a second",
            ),
        ] {
            for obstacle in [
                without(text, MADE, is_ours).err(),
                with(Some(text), MADE, "one\n", (Spot::End, is_ours)).err(),
            ] {
                let Some(Obstacle::Block(what)) = obstacle else { panic!("{text}: {obstacle:?}") };
                assert!(what.starts_with(why), "{text}: {what}");
            }
        }
    }
}
