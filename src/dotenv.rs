//! Env files, by the rules of the parser in Compose v2: writing a value so that it reads back as it is, and reading a file.
//!
//! The reader takes only what means the same to everybody who reads it: a value that refers to another variable would
//! depend on the shell that kinfra was called from, and is refused.

use std::collections::BTreeMap;
use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

/// Variables with their values, by name.
pub type Variables = BTreeMap<String, String>;

/// What the parser in Compose skips before a value; behind one, it skips all white space.
const SPACES: [char; 7] = ['\t', '\u{b}', '\u{c}', '\r', ' ', '\u{85}', '\u{a0}'];

/// A name and a value.
type Variable = (String, String);

/// A line of an env file that cannot be taken for a variable, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

/// Whether every shell can hold a variable of this name: letters, digits and `_`, no digit first.
pub fn is_name(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Quotes a value so that Compose reads the same value back, always on one line.
///
/// Single quotes keep everything but `\'` as it is, double quotes know a few escapes, and unquoted text is expanded.
///
/// # Errors
/// A sentence that says why the value cannot be written.
pub fn quote(value: &str) -> Result<String, String> {
    let written_out = |c: char| matches!(c, '\n' | '\r' | '\t');
    if let Some(control) = value.chars().find(|c| c.is_ascii_control() && !written_out(*c)) {
        let control = control.escape_unicode();
        return Err(format!("the value has the control character {control}, which an env file cannot hold"));
    }
    let safe = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,=".contains(c);
    if value.chars().all(safe) {
        return Ok(value.to_owned());
    }
    let needs_escapes = value.contains('\'') || value.contains(r"\\") || value.ends_with('\\');
    if !needs_escapes && !value.contains(written_out) {
        return Ok(format!("'{value}'"));
    }
    let mut quoted = String::from("\"");
    for c in value.chars() {
        match c {
            '\\' | '"' | '$' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str(r"\n"),
            '\r' => quoted.push_str(r"\r"),
            '\t' => quoted.push_str(r"\t"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    Ok(quoted)
}

/// Reads an env file: `NAME=value`, with or without quotes and `export`, comments and empty lines. Of two values for one
/// name the last counts.
///
/// # Errors
/// The first line that is anything else, or whose value depends on other variables.
pub fn read(text: &str) -> Result<Variables, Mistake> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut variables = Variables::new();
    let mut rest = text;
    while !rest.is_empty() {
        let line =
            1 + text.len().checked_sub(rest.len()).and_then(|read| text.get(..read)).map_or(0, newlines);
        let (variable, after) = statement(rest).map_err(|reason| Mistake { line, reason })?;
        variables.extend(variable);
        rest = after;
    }
    Ok(variables)
}

fn newlines(text: &str) -> usize {
    text.matches('\n').count()
}

/// Reads a line, or more where a quoted value goes on: the variable in it, if there is one, and what follows.
fn statement(text: &str) -> Result<(Option<Variable>, &str), String> {
    let (line, after) = text.split_once('\n').unwrap_or((text, ""));
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok((None, after));
    }
    let exported = line.strip_prefix("export").filter(|rest| rest.starts_with(char::is_whitespace));
    let shown = line.split('=').next().unwrap_or_default().trim().escape_debug().to_string();
    let (name, _) = exported.unwrap_or(line).split_once('=').ok_or_else(|| {
        format!("`{shown}` has no `=`, and would be whatever the shell that calls has: write `{shown}=…`")
    })?;
    let name = name.trim();
    if !is_name(name) {
        return Err(format!(
            "`{shown}` is no name for a variable: use letters, digits and `_`, no digit first"
        ));
    }
    let value = text.split_once('=').map_or("", |(_, value)| value);
    let value = value.trim_start_matches(SPACES);
    let (value, after) = match value.chars().next() {
        Some(quote @ ('\'' | '"')) => quoted(value, quote)?,
        Some('#') => return Err(format!("the value of `{name}` begins with `#`: put it in quotes")),
        _ => (unquoted(value)?, after),
    };
    if value.contains('\0') {
        return Err(format!("the value of `{name}` has a NUL, which no variable can hold"));
    }
    Ok((Some((name.to_owned(), value)), after))
}

/// Reads a value up to the end of its line or a comment.
fn unquoted(text: &str) -> Result<String, String> {
    let line = text.split('\n').next().unwrap_or_default();
    let line = line.split(" #").next().unwrap_or_default().trim_end();
    let (mut value, mut chars) = (String::new(), line.chars().peekable());
    while let Some(c) = chars.next() {
        value.push(if c == '$' { dollar(&mut chars)? } else { c });
    }
    Ok(value)
}

/// Reads a value up to the quote that ends it, and the rest of that line, which must be empty but for a comment.
fn quoted(text: &str, quote: char) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut chars = text.chars().peekable();
    chars.next();
    while let Some(c) = chars.next() {
        match c {
            c if c == quote => {
                let rest: String = chars.clone().take_while(|c| *c != '\n').collect();
                if !rest.trim().is_empty() && !rest.trim_start().starts_with('#') {
                    return Err(format!("`{}` follows the value", rest.trim().escape_debug()));
                }
                let after =
                    text.len().saturating_sub(chars.map(char::len_utf8).sum::<usize>()) + rest.len() + 1;
                return Ok((value, text.get(after..).unwrap_or_default()));
            }
            '\\' if quote == '"' => value.extend(escape(&mut chars)?),
            '\\' => value.extend(backslash(&mut chars, quote)),
            '$' if quote == '"' => value.push(dollar(&mut chars)?),
            c => value.push(c),
        }
    }
    Err(format!("the quote `{quote}` is never closed"))
}

/// What a backslash means in single quotes: nothing, but before a quote.
fn backslash(chars: &mut Peekable<Chars<'_>>, quote: char) -> Vec<char> {
    match chars.next_if(|next| *next == quote || *next == '\\') {
        Some('\\') => vec!['\\', '\\'],
        Some(quote) => vec![quote],
        None => vec!['\\'],
    }
}

/// What a backslash means in double quotes.
fn escape(chars: &mut Peekable<Chars<'_>>) -> Result<Vec<char>, String> {
    Ok(match chars.next() {
        Some('n') => vec!['\n'],
        Some('r') => vec!['\r'],
        Some('t') => vec!['\t'],
        Some(c @ ('\\' | '"' | '$')) => vec![c],
        Some(c @ ('a' | 'b' | 'c' | 'f' | 'v' | '0'..='9')) => {
            return Err(format!("the escape `\\{c}` is not read alike by all programs"));
        }
        Some(c) => vec!['\\', c],
        None => vec!['\\'],
    })
}

/// What a dollar means where variables are expanded: two are one.
fn dollar(chars: &mut Peekable<Chars<'_>>) -> Result<char, String> {
    chars.next_if_eq(&'$').ok_or_else(|| {
        let name: String = chars.clone().take_while(|c| !c.is_whitespace() && *c != '"').collect();
        let name = name.escape_debug();
        format!("`${name}` would be whatever the shell that calls has: write the value itself, or put it in single quotes")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_on_one_line() {
        for (value, written) in [
            ("", ""),
            ("localhost:8000/a,b=c", "localhost:8000/a,b=c"),
            ("two words", "'two words'"),
            ("# no comment ${HOME} \"x\"", "'# no comment ${HOME} \"x\"'"),
            ("it's $5", r#""it's \$5""#),
            ("two\nlines", r#""two\nlines""#),
            ("ends with \\", r#""ends with \\""#),
            ("größe", "'größe'"),
        ] {
            assert_eq!(quote(value).unwrap(), written, "{value:?}");
        }
        assert!(quote("a\0b").unwrap_err().contains("u{0}"));
        assert!(quote("\x1b[31m").is_err());
    }

    #[test]
    fn env_files_are_read_as_compose_reads_them() {
        let text = "\u{feff}# head\r\n\r\nA=1\nexport B = two words # not this\n  C='it\\'s $X # all \\n'  # not this\n\
                    D=\"a\\tb\\$c \\\"q\\\" \\\\ $$\"\nE=\nF=x=y#z\nG='two\nlines'\nA=last\nH=it's";
        let read = read(text).unwrap();
        let expected = [
            ("A", "last"),
            ("B", "two words"),
            ("C", "it's $X # all \\n"),
            ("D", "a\tb$c \"q\" \\ $"),
            ("E", ""),
            ("F", "x=y#z"),
            ("G", "two\nlines"),
            ("H", "it's"),
        ];
        let expected: Variables =
            expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
        assert_eq!(read, expected);
    }

    #[test]
    fn what_depends_on_the_caller_is_refused_with_its_line() {
        for (text, reason) in [
            ("A=1\n\nB=$HOME/x y\n", "line 3: `$HOME/x` would be whatever the shell that calls has"),
            ("B=\"${X}\"", "line 1: `${X}` would be"),
            ("A='1\n2'\nB=a$", "line 3: `$` would be"),
            ("A", "line 1: `A` has no `=`"),
            ("export A", "line 1: `export A` has no `=`"),
            ("A-B=1", "line 1: `A-B` is no name"),
            ("1A=1", "line 1: `1A` is no name"),
            ("A: 1=2", "line 1: `A: 1` is no name"),
            ("=1", "line 1: `` is no name"),
            ("A='1", "line 1: the quote `'` is never closed"),
            ("A='1' B=2", "line 1: `B=2` follows the value"),
            ("A= # empty?", "line 1: the value of `A` begins with `#`"),
            ("A=\"\\a\"", "line 1: the escape `\\a`"),
            ("A=a\0b", "line 1: the value of `A` has a NUL"),
        ] {
            let mistake = read(text).unwrap_err().to_string();
            assert!(mistake.starts_with(reason), "{text:?}: {mistake}");
        }
    }
}
