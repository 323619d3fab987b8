//! `slots.toml` without the values of `[env]`, for messages: some are secrets, and a misspelt `sensitive` is no reason to
//! show one.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Variable;

/// The tables after which the lines of a file that does not parse are no longer taken for `[env]`'s.
const OTHER_TABLES: [&str; 6] = ["[pool]", "[ports]", "[[profiles]]", "[[slots]]", "[files]", "[claim]"];

/// The text with every value of `[env]` starred out. Each byte and each line stays where it was.
pub(super) fn mask(text: &str) -> String {
    let spans = DeTable::parse(text).map_or_else(
        |_| spans_by_line(text),
        |document| {
            let env = document.get_ref().iter().find(|(key, _)| key.get_ref() == "env");
            env.map(|(_, value)| spans_of(value)).unwrap_or_default()
        },
    );
    let mut masked = String::with_capacity(text.len());
    let mut done = 0;
    for span in spans {
        let span = span.start.max(done)..span.end.max(done);
        masked.push_str(&text[done..span.start]);
        for c in text[span.clone()].chars() {
            if matches!(c, '\n' | '\r') {
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

/// What others say, without the values of `[env]` as the spec writes them; of a value that is a template, without what
/// stands around its expressions. A short value that is not sensitive may stand anywhere, and stays.
pub fn redact(said: &str, env: &[Variable]) -> String {
    const SHORT: usize = 4;
    let expressions = [("{{", "}}"), ("{%", "%}"), ("{#", "#}")];
    let mut said = said.to_owned();
    for Variable { name: _, value, sensitive } in env {
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
            said = said.replace(part, "***");
        }
    }
    said
}

/// The places of all values in a value, in the order of the file.
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

/// All that may be a value of `[env]` in a file that does not parse: in its lines, what is not the name of a variable.
fn spans_by_line(text: &str) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let mut in_env = false;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let code = line.trim_start();
        let name = code.trim_start_matches(['[', ' ', '\t', '"', '\'']);
        if OTHER_TABLES.iter().any(|table| code.starts_with(table)) {
            in_env = false;
        } else if name.starts_with("env") && !name.starts_with("env_prefix") {
            in_env = true;
        }
        if in_env && !code.starts_with("[env") {
            let value = line.find('=').map_or(0, |equals| equals + 1);
            spans.push(start + value..start + line.len());
        }
        start += line.len();
    }
    spans
}
