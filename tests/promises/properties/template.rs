//! Values in env files, read back by the rules of the parser in Compose v2.

use kinfra::dotenv;
use proptest::prelude::*;
use proptest::sample::select;

use super::check;

properties! {
    a_value_reads_back_from_one_line: 512,
    what_is_read_is_what_compose_reads: 512,
}

fn value() -> impl Strategy<Value = String> {
    let special =
        "ab0nrtx_-{}()#=:;$\"'`\\ \n\r\t\0\x1b\x7f\u{85}\u{a0}\u{2028}é".chars().collect::<Vec<_>>();
    let special = prop::collection::vec(select(special), 0..12);
    prop_oneof![3 => special.prop_map(String::from_iter), 1 => any::<String>()]
}

fn a_value_reads_back_from_one_line(cases: u32) {
    check(cases, value(), |value| {
        let cannot = value.chars().any(|c| c.is_ascii_control() && !"\n\r\t".contains(c));
        let written = dotenv::quote(&value);
        prop_assert_eq!(written.is_err(), cannot);
        if let Ok(written) = written {
            prop_assert!(!written.contains(|c: char| c.is_ascii_control()), "{written:?}");
            let rest = "\nNEXT=1\n";
            let expected = Some((value.clone(), rest.to_owned()));
            prop_assert_eq!(read(&format!("{written}{rest}")), expected, "{}", written);
            let file = dotenv::read(&format!("VALUE={written}{rest}")).map_err(|mistake| mistake.to_string());
            let expected =
                [("NEXT", "1"), ("VALUE", &value)].map(|(name, value)| (name.to_owned(), value.to_owned()));
            prop_assert_eq!(file, Ok(expected.into_iter().collect()), "{}", written);
        }
        Ok(())
    });
}

/// Values as people might write them, mostly wrong. If kinfra accepts one, Compose reads the same value.
fn what_is_read_is_what_compose_reads(cases: u32) {
    let written = value().prop_map(|value| value.replace(['\0', '\r'], ""));
    let quotes = select(vec!["", "'", "\""]);
    let written = (quotes, written).prop_map(|(quote, value)| format!("{quote}{value}{quote}"));
    check(cases, written, |written| {
        if let Ok(variables) = dotenv::read(&format!("VALUE={written}"))
            && variables.len() == 1
        {
            let written = written.trim_start_matches(['\t', '\u{b}', '\u{c}', '\r', ' ', '\u{85}', '\u{a0}']);
            let read = read(written).map(|(value, _)| value);
            prop_assert_eq!(variables.get("VALUE").cloned(), read, "{}", written);
        }
        Ok(())
    });
}

/// Reads a value, and returns it with the rest of the text. `None` if Compose would fail or expand something.
fn read(text: &str) -> Option<(String, String)> {
    let Some(quote) = text.chars().next().filter(|first| "'\"".contains(*first)) else {
        let end = text.find('\n').unwrap_or(text.len());
        let value = text[..end].split(" #").next()?.trim_end();
        return Some((expand(value)?, text[end..].to_owned()));
    };
    let (mut value, mut escape) = (String::new(), false);
    for (index, c) in text.char_indices().skip(1) {
        match c {
            '\\' if !escape => escape = true,
            c if c == quote && !escape => {
                let value = if quote == '"' { expand(&unescape(&value))? } else { value };
                return Some((value, text[index + 1..].to_owned()));
            }
            c => {
                // Only the quote loses its backslash here.
                if escape && c != quote {
                    value.push('\\');
                }
                escape = false;
                value.push(c);
            }
        }
    }
    None
}

/// The escapes in double quotes.
fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let escaped = if c == '\\' { chars.peek().copied() } else { None };
        let plain = match escaped {
            Some('a') => "\x07",
            Some('b') => "\x08",
            Some('f') => "\x0c",
            Some('n') => "\n",
            Some('r') => "\r",
            Some('t') => "\t",
            Some('v') => "\x0b",
            Some('$') => "$$",
            Some('"') => "\"",
            Some('\\') => "\\",
            Some('0'..='9' | 'c') => "an octal or unknown escape, which kinfra never writes",
            Some(_) | None => {
                out.push(c);
                continue;
            }
        };
        chars.next();
        out += plain;
    }
    out
}

/// Variables: `$$` is a dollar, every other dollar would be replaced by something.
fn expand(text: &str) -> Option<String> {
    let expanded = text.replace("$$", "\0");
    (!expanded.contains('$')).then(|| expanded.replace('\0', "$"))
}
