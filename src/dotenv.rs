//! Env files, by the rules of Compose v2's parser: quoting a value, and reading a file.
//!
//! The reader refuses a value that refers to another variable, because its meaning would depend on the
//! caller's environment.

use std::collections::BTreeMap;
use std::fmt;
use std::str::Chars;

/// The values of variables, by name.
pub type Variables = BTreeMap<String, String>;

/// What Compose's parser skips before a value. After a value it skips all white space.
const SPACES: [char; 7] = ['\t', '\u{b}', '\u{c}', '\r', ' ', '\u{85}', '\u{a0}'];

/// A variable's name and value.
type NamedValue = (String, String);

/// A line of an env file that is not a variable, a comment or empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
    /// What to do about it.
    pub advice: Option<&'static str>,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

/// What is wrong with a line, before its number is known.
struct Problem {
    reason: String,
    advice: Option<&'static str>,
}

impl Problem {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), advice: None }
    }

    fn advise(self, advice: &'static str) -> Self {
        Self { advice: Some(advice), ..self }
    }
}

/// Whether this is a variable's name in every shell: letters, digits and `_`, no digit first.
pub fn is_name(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(is_part_of_name)
}

/// Whether a variable's name can have this character.
pub fn is_part_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Quotes a value, on one line, so that Compose reads the same value back.
///
/// In single quotes only `\'` has a meaning. In double quotes a few escapes have one. Compose expands
/// variables in double quotes and without quotes.
///
/// # Errors
/// The reason why an env file cannot hold the value.
pub fn quote(value: &str) -> Result<String, String> {
    let has_escape = |c: char| matches!(c, '\n' | '\r' | '\t');
    if let Some(control) = value.chars().find(|c| c.is_ascii_control() && !has_escape(*c)) {
        let control = control.escape_unicode();
        return Err(format!("the value has the control character {control}, which an env file cannot hold"));
    }
    let safe = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,=".contains(c);
    if value.chars().all(safe) {
        return Ok(value.to_owned());
    }
    let needs_escapes = value.contains('\'') || value.contains(r"\\") || value.ends_with('\\');
    if !needs_escapes && !value.contains(has_escape) {
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

/// Reads an env file. It may have lines `NAME=value`, with or without quotes and `export`, comments and empty
/// lines. The last of several values for a name counts.
///
/// # Errors
/// The first line that is anything else, or whose value depends on other variables.
pub fn read(text: &str) -> Result<Variables, BadLine> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut variables = Variables::new();
    let (mut rest, mut line) = (text, 1);
    while !rest.is_empty() {
        let (variable, after) =
            statement(rest).map_err(|Problem { reason, advice }| BadLine { line, reason, advice })?;
        variables.extend(variable);
        let read = rest.len().saturating_sub(after.len());
        line += rest.get(..read).map_or(0, newlines);
        rest = after;
    }
    Ok(variables)
}

/// A variable, comment or empty line of an env file, or a line that cannot be read.
struct Statement<'a> {
    /// The number of its first line, from 1.
    line: usize,
    /// The name that it gives a value.
    name: Option<String>,
    text: &'a str,
}

/// Each statement of an env file, also where [`read`] would stop: other programs read more than it does.
fn statements(text: &str) -> impl Iterator<Item = Statement<'_>> {
    let (mut rest, mut line) = (text.strip_prefix('\u{feff}').unwrap_or(text), 1);
    std::iter::from_fn(move || {
        let next = rest.split_once('\n').map_or("", |(_, after)| after);
        let (name, after) = match statement(rest) {
            Ok((variable, after)) => (variable.map(|(name, _)| name), after),
            Err(_) => (rest.lines().next().and_then(name_of).map(str::to_owned), next),
        };
        let (text, after) = rest.split_at_checked(rest.len().checked_sub(after.len())?)?;
        let found = Statement { line, name, text };
        line += newlines(text);
        rest = after;
        (!text.is_empty()).then_some(found)
    })
}

/// The names that an env file gives a value, each with the number of its line, also those beside lines that
/// [`read`] refuses.
pub fn assigned(text: &str) -> impl Iterator<Item = (usize, String)> {
    statements(text).filter_map(|statement| Some((statement.line, statement.name?)))
}

/// An env file without the variables whose name `goes`. A comment stands for each.
pub fn without(text: &str, goes: impl Fn(&str) -> bool) -> String {
    let kept = |Statement { name, text, .. }: Statement<'_>| match name.filter(|name| goes(name)) {
        Some(name) => format!("# {name} is left out: no slot may set it\n"),
        None => text.to_owned(),
    };
    statements(text).map(kept).collect()
}

/// The names of [`assigned`], and more: also what looks like one inside a value of several lines. Faster, for
/// it reads no value.
pub fn seemingly_assigned(text: &str) -> impl Iterator<Item = &str> {
    text.strip_prefix('\u{feff}').unwrap_or(text).lines().filter_map(name_of)
}

/// What has the place of the name in a line.
fn name_of(line: &str) -> Option<&str> {
    let line = line.trim();
    let line =
        line.strip_prefix("export").filter(|rest| rest.starts_with(char::is_whitespace)).unwrap_or(line);
    let name = line.split(['=', ':']).next()?.trim();
    is_name(name).then_some(name)
}

fn newlines(text: &str) -> usize {
    text.matches('\n').count()
}

/// Reads a line, or several if a quoted value spans them. Returns the name and value, if there are any, and
/// the rest of the text.
fn statement(text: &str) -> Result<(Option<NamedValue>, &str), Problem> {
    let (line, after) = text.split_once('\n').unwrap_or((text, ""));
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok((None, after));
    }
    let exported = line.strip_prefix("export").filter(|rest| rest.starts_with(char::is_whitespace));
    let shown = || line.split('=').next().unwrap_or_default().trim().escape_debug();
    let (name, _) = exported.unwrap_or(line).split_once('=').ok_or_else(|| {
        let reason =
            format!("`{}` has no `=`, so its value would depend on the caller's environment", shown());
        Problem::new(reason).advise("write `NAME=value`")
    })?;
    let name = name.trim();
    if !is_name(name) {
        let problem = Problem::new(format!("`{}` is not a valid variable name", shown()));
        return Err(problem.advise("use letters, digits and `_`, no digit first"));
    }
    let value = text.split_once('=').map_or("", |(_, value)| value);
    let value = value.trim_start_matches(SPACES);
    let (value, after) = match value.chars().next() {
        Some(quote @ ('\'' | '"')) => quoted(value, quote)?,
        Some('#') => {
            let problem = Problem::new(format!("the value of `{name}` begins with `#`"));
            return Err(problem.advise("put the value in quotes"));
        }
        _ => (unquoted(value)?, after),
    };
    if value.contains('\0') {
        return Err(Problem::new(format!("the value of `{name}` has a NUL, which no variable can hold")));
    }
    Ok((Some((name.to_owned(), value)), after))
}

/// Reads a value up to the end of its line or a comment.
fn unquoted(text: &str) -> Result<String, Problem> {
    let line = text.split('\n').next().unwrap_or_default();
    if !line.bytes().any(|byte| matches!(byte, b'#' | b'$')) {
        return Ok(line.trim_end().to_owned());
    }
    let line = line.split(" #").next().unwrap_or_default().trim_end();
    let (mut value, mut chars) = (String::new(), line.chars());
    while let Some(c) = chars.next() {
        value.push(if c == '$' { dollar(&mut chars)? } else { c });
    }
    Ok(value)
}

/// Reads a value up to its closing quote, and the rest of that line, which may hold a comment only.
fn quoted(text: &str, quote: char) -> Result<(String, &str), Problem> {
    let mut value = String::new();
    let mut chars = text.chars();
    chars.next();
    while let Some(c) = chars.next() {
        match c {
            c if c == quote => {
                let (rest, after) = chars.as_str().split_once('\n').unwrap_or((chars.as_str(), ""));
                if !rest.trim().is_empty() && !rest.trim_start().starts_with('#') {
                    return Err(Problem::new(format!("`{}` follows the value", rest.trim().escape_debug())));
                }
                return Ok((value, after));
            }
            '\\' if quote == '"' => value.extend(escape(&mut chars)?),
            '\\' => value.extend(backslash(&mut chars, quote)),
            '$' if quote == '"' => value.push(dollar(&mut chars)?),
            c => value.push(c),
        }
    }
    Err(Problem::new(format!("the quote `{quote}` is never closed")))
}

/// Takes the next character if it is such a one.
fn next_if(chars: &mut Chars<'_>, is_it: impl FnOnce(char) -> bool) -> Option<char> {
    let mut after = chars.clone();
    let next = after.next().filter(|next| is_it(*next))?;
    *chars = after;
    Some(next)
}

/// What a backslash means in single quotes: it only escapes a quote.
fn backslash(chars: &mut Chars<'_>, quote: char) -> Vec<char> {
    match next_if(chars, |next| next == quote || next == '\\') {
        Some('\\') => vec!['\\', '\\'],
        Some(quote) => vec![quote],
        None => vec!['\\'],
    }
}

/// What a backslash means in double quotes.
fn escape(chars: &mut Chars<'_>) -> Result<Vec<char>, Problem> {
    Ok(match chars.next() {
        Some('n') => vec!['\n'],
        Some('r') => vec!['\r'],
        Some('t') => vec!['\t'],
        Some(c @ ('\\' | '"' | '$')) => vec![c],
        Some(c @ ('a' | 'b' | 'c' | 'f' | 'v' | '0'..='9')) => {
            return Err(Problem::new(format!("programs differ in how they read the escape `\\{c}`")));
        }
        Some(c) => vec!['\\', c],
        None => vec!['\\'],
    })
}

/// What a dollar means where Compose expands variables: two of them stand for one.
fn dollar(chars: &mut Chars<'_>) -> Result<char, Problem> {
    next_if(chars, |next| next == '$').ok_or_else(|| {
        let name: String = chars.clone().take_while(|c| !c.is_whitespace() && *c != '"').collect();
        let name = name.escape_debug();
        let problem = Problem::new(format!("`${name}` would depend on the caller's environment"));
        problem.advise("write the value itself, or put it in single quotes")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quote_keeps_each_value_on_one_line() {
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
    fn read_follows_composes_rules() {
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
    fn each_name_is_found_also_beside_lines_that_cannot_be_read() {
        let text = "\u{feff}A=1\n# PATH=1\nexport B='x\nPATH=2\ny'\nPATH=$OLD:/x\nHOME\n\nexport  LD_X = $Y\n?=1\nC: 2\nD='";
        let found: Vec<(usize, String)> = assigned(text).collect();
        let found: Vec<(usize, &str)> = found.iter().map(|(line, name)| (*line, name.as_str())).collect();
        assert_eq!(found, [(1, "A"), (3, "B"), (6, "PATH"), (7, "HOME"), (9, "LD_X"), (11, "C"), (12, "D")]);
        let seemingly: Vec<&str> = seemingly_assigned(text).collect();
        assert_eq!(seemingly, ["A", "B", "PATH", "PATH", "HOME", "LD_X", "C", "D"]);
    }

    #[test]
    fn read_refuses_a_bad_line_and_gives_its_number() {
        for (text, reason) in [
            ("A=1\n\nB=$HOME/x y\n", "line 3: `$HOME/x` would depend on the caller's environment"),
            ("B=\"${X}\"", "line 1: `${X}` would depend"),
            ("A='1\n2'\nB=a$", "line 3: `$` would depend"),
            ("A", "line 1: `A` has no `=`"),
            ("export A", "line 1: `export A` has no `=`"),
            ("A-B=1", "line 1: `A-B` is not a valid variable name"),
            ("1A=1", "line 1: `1A` is not a valid variable name"),
            ("A: 1=2", "line 1: `A: 1` is not a valid variable name"),
            ("=1", "line 1: `` is not a valid variable name"),
            ("A='1", "line 1: the quote `'` is never closed"),
            ("A='1' B=2", "line 1: `B=2` follows the value"),
            ("A= # empty?", "line 1: the value of `A` begins with `#`"),
            ("A=\"\\a\"", "line 1: programs differ in how they read the escape `\\a`"),
            ("A=a\0b", "line 1: the value of `A` has a NUL"),
        ] {
            let found = read(text).unwrap_err().to_string();
            assert!(found.starts_with(reason), "{text:?}: {found}");
        }
        let advice = |text| read(text).unwrap_err().advice;
        assert_eq!(advice("A=$B"), Some("write the value itself, or put it in single quotes"));
        assert_eq!(advice("A"), Some("write `NAME=value`"));
        assert_eq!(advice("A='1"), None);
    }
}
