//! Variables in the values of Compose files: `$NAME`, `${NAME:-default}` and so on.

use crate::dotenv::Variables;

/// The most defaults of defaults that are followed.
const DEEPEST: usize = 16;

/// The text with the values of its variables. One without a value and a default is empty, as for Compose.
pub fn interpolate(text: &str, variables: &Variables) -> String {
    to_depth(text, variables, DEEPEST)
}

fn to_depth(text: &str, variables: &Variables, depth: usize) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        result.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix('$') {
            result.push('$');
            rest = after;
        } else if let Some(inner) = rest.strip_prefix('{').and_then(braced) {
            if depth > 0 {
                result.push_str(&value(inner, variables, depth - 1));
            }
            rest = rest.get(inner.len() + 2..).unwrap_or_default();
        } else {
            let name = name_at_start(rest);
            if name.is_empty() {
                result.push('$');
            }
            result.push_str(variables.get(name).map_or("", String::as_str));
            rest = rest.get(name.len()..).unwrap_or_default();
        }
    }
    result + rest
}

/// The text up to the brace that ends it.
fn braced(text: &str) -> Option<&str> {
    let mut depth = 1_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return text.get(..at);
        }
    }
    None
}

fn name_at_start(text: &str) -> &str {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    text.get(..end).filter(|name| !name.starts_with(|c: char| c.is_ascii_digit())).unwrap_or_default()
}

/// What stands between braces, such as `NAME:-default`.
fn value(inner: &str, variables: &Variables, depth: usize) -> String {
    let name = name_at_start(inner);
    let rest = inner.get(name.len()..).unwrap_or_default();
    let set = variables.get(name).map(String::as_str);
    let (operator, word) = match rest.strip_prefix(':') {
        Some(rest) => (rest.chars().next(), rest.get(1..)),
        None => (rest.chars().next(), rest.get(1..)),
    };
    // With a colon, an empty value is none.
    let set = set.filter(|value| !rest.starts_with(':') || !value.is_empty());
    let word = || to_depth(word.unwrap_or_default(), variables, depth);
    match (operator, set) {
        (Some('-'), None) | (Some('+'), Some(_)) => word(),
        (Some('+'), None) => String::new(),
        (_, set) => set.unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_have_their_values_or_defaults() {
        let variables: Variables =
            [("A", "1"), ("E", "")].map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        for (text, expected) in [
            ("$A-${A}", "1-1"),
            ("${B:-${A}2}", "12"),
            ("${E:-x}${E-y}", "x"),
            ("${A:+set}${B:+set}", "set"),
            ("${B:?say it}", ""),
            ("$$A $1 ${A", "$A $1 ${A"),
            ("${A:-x}:80", "1:80"),
            ("", ""),
        ] {
            assert_eq!(interpolate(text, &variables), expected, "{text}");
        }
    }
}
