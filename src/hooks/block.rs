//! A marked block in a text of lines. Taken away, it leaves the text that was there before.

/// The first line of a block.
const BEGIN: &str = "# >>> kinfra >>>";
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

/// The text with a block of these lines; in place of an older block, if it has one.
pub fn with(text: &str, lines: &str, spot: Spot) -> String {
    let text = &without(text);
    let at = match spot {
        Spot::BelowFirst => text.find('\n').map_or(text.len(), |end| end + 1),
        Spot::End => text.len(),
    };
    let (before, after) = (text.get(..at).unwrap_or_default(), text.get(at..).unwrap_or_default());
    if before.is_empty() || before.ends_with('\n') {
        format!("{before}{BEGIN}\n{lines}{END}\n{after}")
    } else {
        format!("{before}\n{BEGIN}\n{lines}{END}{after}")
    }
}

/// The text without its block.
pub fn without(text: &str) -> String {
    let is_at_line =
        |at: usize| text.get(..at).is_some_and(|before| before.is_empty() || before.ends_with('\n'));
    let begin = text.match_indices(BEGIN).map(|(at, _)| at).find(|at| is_at_line(*at));
    let end = begin.and_then(|begin| {
        let ends = text.match_indices(END).map(|(at, _)| at);
        ends.filter(|at| *at > begin && is_at_line(*at)).map(|at| at + END.len()).next()
    });
    let Some((begin, end)) = begin.zip(end) else { return text.to_owned() };
    let (before, after) = (text.get(..begin).unwrap_or_default(), text.get(end..).unwrap_or_default());
    match after.strip_prefix('\n') {
        Some(after) => format!("{before}{after}"),
        // The text did not end with a newline: the one before the block came with it.
        None => format!("{}{after}", before.strip_suffix('\n').unwrap_or(before)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_comes_once_and_goes_without_a_trace() {
        for text in
            ["", "#!/bin/sh", "#!/bin/sh\n", "#!/bin/sh\necho \"# >>> kinfra >>>\"\nexit 0", "a\n\nb\n"]
        {
            for spot in [Spot::BelowFirst, Spot::End] {
                let with_it = with(text, "one\n", spot);
                assert!(with_it.contains("# >>> kinfra >>>\none\n# <<< kinfra <<<"), "{with_it}");
                assert_eq!(without(&with_it), text, "from {with_it:?}");
                assert_eq!(with(&with_it, "one\n", spot), with_it);
                assert_eq!(with(&with(text, "older\n", spot), "one\n", spot), with_it);
                assert_eq!(without(text), text);
            }
        }
        let script = with("#!/bin/sh\nexit 0\n", "one\n", Spot::BelowFirst);
        assert_eq!(script, "#!/bin/sh\n# >>> kinfra >>>\none\n# <<< kinfra <<<\nexit 0\n");
    }
}
