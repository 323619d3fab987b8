//! Keeps the values of `[env]` and `[services]` out of messages. All values count, because `sensitive` may be
//! missing or misspelt.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::declared::VariableSpec;

/// The tables with values that may be secret.
const SECRET_TABLES: [&str; 2] = ["env", "services"];

/// The tables that end those in a file that does not parse.
const OTHER_TABLES: [&str; 9] = [
    "[pool]",
    "[ports]",
    "[[profiles]]",
    "[[slots]]",
    "[files]",
    "[claim]",
    "[compose]",
    "[compose.per_slot]",
    "[worktree]",
];

/// Replaces every value of `[env]` and `[services]` with stars, but for expressions without text of their
/// own, such as `{{ ports.web }}`. Bytes and lines keep their positions.
pub(super) fn mask(text: &str) -> String {
    let spans = DeTable::parse(text).map_or_else(
        |_| spans_by_line(text),
        |document| {
            let tables = document.get_ref().iter();
            let secret = tables.filter(|(key, _)| SECRET_TABLES.contains(&key.get_ref().as_ref()));
            let mut spans: Vec<Range<usize>> = secret.flat_map(|(_, value)| spans_of(value)).collect();
            spans.sort_by_key(|span| span.start);
            spans
        },
    );
    let mut masked = String::with_capacity(text.len());
    let mut done = 0;
    for span in spans {
        let span = span.start.max(done)..span.end.max(done);
        masked.push_str(&text[done..span.start]);
        let named = expressions(&text[span.clone()]);
        for (at, c) in text[span.clone()].char_indices() {
            if matches!(c, '\n' | '\r') || named.iter().any(|expression| expression.contains(&at)) {
                masked.push(c);
            } else {
                masked.extend(std::iter::repeat_n('*', c.len_utf8()));
            }
        }
        done = span.end;
    }
    masked.push_str(&text[done..]);
    masked
}

/// The places of the expressions in a value, but for those with quotes: what is in them may be secret.
fn expressions(value: &str) -> Vec<Range<usize>> {
    let ends = |(start, _): (usize, &str)| {
        let end = start + value[start..].find("}}")? + "}}".len();
        let is_plain = !value[start..end].contains(['"', '\'']) && !value[start + 2..end].contains("{{");
        is_plain.then_some(start..end)
    };
    value.match_indices("{{").filter_map(ends).collect()
}

/// Replaces the values of `[env]` in another program's output with `***`.
///
/// In a value that is a template, the literal text around the expressions is replaced. A short value that is
/// not sensitive stays, because it could match anywhere by chance.
pub fn redact(output: &str, env: &[VariableSpec]) -> String {
    const SHORT: usize = 4;
    let expressions = [("{{", "}}"), ("{%", "%}"), ("{#", "#}")];
    let mut redacted = output.to_owned();
    for VariableSpec { name: _, value, sensitive } in env {
        let mut rest = value.get_ref().as_str();
        let mut parts = Vec::new();
        while let Some((at, end)) =
            expressions.iter().filter_map(|(open, close)| Some((rest.find(open)?, close))).min()
        {
            parts.push(&rest[..at]);
            rest = rest[at..].split_once(end).map_or("", |(_, after)| after);
        }
        parts.push(rest);
        let parts = parts.into_iter().map(|part| part.strip_prefix("~/").unwrap_or(part).trim());
        for part in parts.filter(|part| part.len() >= SHORT || (*sensitive && !part.is_empty())) {
            redacted = redacted.replace(part, "***");
        }
    }
    redacted
}

/// The places of all scalars in a value, in the order of the file.
fn spans_of(value: &Spanned<DeValue<'_>>) -> Vec<Range<usize>> {
    let mut spans = match value.get_ref() {
        DeValue::Table(entries) => entries.values().flat_map(spans_of).collect(),
        DeValue::Array(items) => items.iter().flat_map(spans_of).collect(),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => vec![value.span()],
    };
    spans.sort_by_key(|span| span.start);
    spans
}

/// Everything that may be a value of those tables in a file that does not parse. In a line with `=`, that is
/// what follows it; in a line without one, the whole line.
fn spans_by_line(text: &str) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let mut in_env = false;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let code = line.trim_start();
        let name = code.trim_start_matches(['[', ' ', '\t', '"', '\'']);
        if OTHER_TABLES.iter().any(|table| code.starts_with(table)) {
            in_env = false;
        } else if SECRET_TABLES.iter().any(|table| name.starts_with(table)) && !name.starts_with("env_prefix")
        {
            in_env = true;
        }
        if in_env && !SECRET_TABLES.iter().any(|table| code.starts_with(&format!("[{table}"))) {
            let value = line.find('=').map_or(0, |equals| equals + 1);
            spans.push(start + value..start + line.len());
        }
        start += line.len();
    }
    spans
}

#[cfg(test)]
mod tests {
    use toml::Spanned;

    use super::*;

    #[test]
    fn only_expressions_without_text_of_their_own_are_shown() {
        for (text, masked) in [
            (
                "[env]\nA = \"x\"\nB = 12\n[pool]\nname = \"a\"",
                "[env]\nA = ***\nB = **\n[pool]\nname = \"a\"",
            ),
            ("env.A = \"a{{ ports.web }}b\"", "env.A = **{{ ports.web }}**"),
            ("env.A = \"{{ a }}{{ b }}\"", "env.A = *{{ a }}{{ b }}*"),
            ("env.A = \"{{ 'word' }}\"", "env.A = **************"),
            ("env.A = \"{{ a {{ b }}\"", "env.A = ******{{ b }}*"),
            ("env.A = \"{{ a\"", "env.A = ******"),
            ("[services.api]\nA = [\"x\", { b = \"ü\" }]", "[services.api]\nA = [***, { b = **** }]"),
            // None of these parses: the first line ends nowhere.
            (
                "[[\nname = \"a\"\nenv_prefix = \"P\"\n[env]\nA = \"x\"\n\"y\"\n[ports]\nb = 1\n",
                "[[\nname = \"a\"\nenv_prefix = \"P\"\n[env]\nA =****\n***\n[ports]\nb = 1\n",
            ),
            ("[[\n  env.A = 1\n  [services.api]\nB = 2", "[[\n  env.A =**\n  [services.api]\nB =**"),
        ] {
            assert_eq!(mask(text), masked, "{text}");
        }
    }

    #[test]
    fn what_is_written_around_expressions_is_kept_out_of_messages() {
        let variable = |value: &str, sensitive| VariableSpec {
            name: Spanned::new(0..0, "A".to_owned()),
            value: Spanned::new(0..0, value.to_owned()),
            sensitive,
        };
        for (value, sensitive, output, redacted) in [
            ("hunter2", false, "password hunter2, twice hunter2", "password ***, twice ***"),
            ("abc", false, "abc may be anything", "abc may be anything"),
            ("abc", true, "abc may be anything", "*** may be anything"),
            ("user-{{ slot.id }}-word", false, "user-3-word {{ slot.id }}", "***3*** {{ slot.id }}"),
            ("~/secrets", false, "/home/me/secrets", "/home/me/***"),
            ("", true, "nothing", "nothing"),
        ] {
            assert_eq!(redact(output, &[variable(value, sensitive)]), redacted, "{value}");
        }
    }
}
