//! Adds values to a JSON text, and takes them away again. All else stays as it is, byte for byte: what is
//! taken away leaves the text that was there before it was added.
//!
//! A container that was there and empty gets a space after its bracket. By it, it is told from one that came
//! with the value, and that goes with it.

use std::ops::Range;

use serde_json::Value;

use super::json_places::{Kind, Node, parse, value};

/// What is to be in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<'a> {
    /// The names that lead to it, from the top.
    pub path: &'a [&'a str],
    /// The value, in compact form.
    pub value: &'a str,
    /// Whether it is one of a list, or all that has the name.
    pub is_listed: bool,
    /// The command that it runs. Where that is in the place already, it stays as it is.
    pub command: &'a str,
}

/// A text with nothing in it, to begin with.
const NOTHING: &str = "{\n}\n";

/// The text with an item, if it does not have it yet.
///
/// # Errors
/// The reason why it cannot have it.
pub fn with(text: Option<&str>, item: &Item<'_>) -> Result<String, String> {
    let (text, is_new) = text.map_or((NOTHING, true), |text| (text, false));
    let top = parse(text)?;
    let (node, rest) = reach(&top, item.path);
    match (&node.kind, rest) {
        (_, []) if !item.is_listed => {
            let is_there = value_at(text, node).is_some_and(|there| runs(&there, item.command));
            let taken = || format!("`{}` is something else already", item.path.join("."));
            if is_there { Ok(text.to_owned()) } else { Err(taken()) }
        }
        (Kind::Array(items), []) => {
            let there = items.iter().filter_map(|other| value_at(text, other));
            if there.into_iter().any(|there| runs(&there, item.command)) {
                return Ok(text.to_owned());
            }
            Ok(added(text, node, item.value, false))
        }
        (Kind::Object(_), [name, below @ ..]) => {
            let inner = indent_in(text, node);
            let member = format!("{}: {}", Value::from(*name), nested(text, below, item, &inner));
            Ok(added(text, node, &member, is_new))
        }
        (_, rest) => {
            let at = item.path.get(..item.path.len() - rest.len()).unwrap_or_default().join(".");
            let at = if at.is_empty() { "what it has".to_owned() } else { format!("`{at}`") };
            Err(format!("{at} is not {}", if rest.is_empty() { "a list" } else { "an object" }))
        }
    }
}

/// The text without an item. `None` if nothing is left that was not added.
///
/// # Errors
/// When it is not JSON.
pub fn without(text: &str, item: &Item<'_>) -> Result<Option<String>, String> {
    let top = parse(text)?;
    let wanted = value(item.value)?;
    let mut chain = vec![&top];
    for name in item.path {
        let Some(Kind::Object(members)) = chain.last().map(|node| &node.kind) else { break };
        let Some(member) = members.iter().rev().find(|member| member.name == *name) else { break };
        chain.push(&member.node);
    }
    let end = chain.last().filter(|_| chain.len() == item.path.len() + 1).copied();
    let items: &[Node] = match end.map(|node| &node.kind) {
        Some(Kind::Array(items)) if item.is_listed => items,
        Some(_) if !item.is_listed => {
            chain.pop();
            end.map(std::slice::from_ref).unwrap_or_default()
        }
        _ => &[],
    };
    let Some(mut gone) = items
        .iter()
        .find(|other| value_at(text, other).as_ref() == Some(&wanted))
        .map(|node| node.place.clone())
    else {
        return Ok(Some(text.to_owned()));
    };
    while let Some(around) = chain.pop() {
        match cut(text, around, &gone) {
            Some(cut) => return Ok(Some(cut)),
            // Nothing else is in it: it goes, too.
            None => gone = around.place.clone(),
        }
    }
    Ok(None)
}

/// The text without what is at a place in a container. `None` if the container came with it.
fn cut(text: &str, around: &Node, gone: &Range<usize>) -> Option<String> {
    let places = members(around);
    let at = places.iter().position(|place| place.start <= gone.start && gone.end <= place.end)?;
    let own = places.get(at)?;
    let before = at.checked_sub(1).and_then(|at| places.get(at));
    let gap = match (before, places.get(at + 1)) {
        (Some(before), _) => before.end..own.end,
        (None, Some(next)) => own.start..next.start,
        (None, None) => {
            let newline = newline(text);
            let start = format!(" {newline}{}", indent_in(text, around));
            let end = format!("{newline}{}", indent_of_line(text, around.place.start));
            let from = own.start.checked_sub(start.len())?;
            let to = own.end + end.len();
            let is_ours = text.get(from..own.start)? == start && text.get(own.end..to)? == end;
            return is_ours.then(|| without_range(text, &(from..to)));
        }
    };
    Some(without_range(text, &gap))
}

fn without_range(text: &str, gap: &Range<usize>) -> String {
    let (before, after) = (text.get(..gap.start), text.get(gap.end..));
    [before, after].into_iter().flatten().collect()
}

/// The places of what is in a container, members with their names.
fn members(node: &Node) -> Vec<Range<usize>> {
    match &node.kind {
        Kind::Array(items) => items.iter().map(|item| item.place.clone()).collect(),
        Kind::Object(members) => members.iter().map(|member| member.start..member.node.place.end).collect(),
        Kind::Other => Vec::new(),
    }
}

/// The text with something more at the end of a container. One that `is_new` leaves no mark that it was
/// there.
fn added(text: &str, node: &Node, what: &str, is_new: bool) -> String {
    let (newline, inner) = (newline(text), indent_in(text, node));
    let end = node.place.end - 1;
    let (at, what) = match members(node).last() {
        Some(last) => {
            let is_on_one_line = !text.get(node.place.clone()).unwrap_or_default().contains('\n');
            let gap = if is_on_one_line { " ".to_owned() } else { format!("{newline}{inner}") };
            (last.end, format!(",{gap}{what}"))
        }
        None if is_new => (node.place.start + 1, format!("{newline}{inner}{what}")),
        None => {
            let outer = indent_of_line(text, node.place.start);
            (end, format!(" {newline}{inner}{what}{newline}{outer}"))
        }
    };
    [text.get(..at).unwrap_or_default(), &what, text.get(at..).unwrap_or_default()].concat()
}

/// A value below further names, each in an object of its own.
fn nested(text: &str, path: &[&str], item: &Item<'_>, indent: &str) -> String {
    let (newline, inner) = (newline(text), format!("{indent}{}", unit(text)));
    match path {
        [] if item.is_listed => format!("[{}]", item.value),
        [] => item.value.to_owned(),
        [name, below @ ..] => {
            let below = nested(text, below, item, &inner);
            format!("{{{newline}{inner}{}: {below}{newline}{indent}}}", Value::from(*name))
        }
    }
}

/// How far what is in a container stands to the right.
fn indent_in(text: &str, node: &Node) -> String {
    let first = members(node).first().map(|place| place.start);
    match first.filter(|first| is_first_in_line(text, *first)) {
        Some(first) => indent_of_line(text, first),
        None => indent_of_line(text, node.place.start) + &unit(text),
    }
}

/// How far each depth stands to the right of the one around it.
fn unit(text: &str) -> String {
    let first = parse(text).ok().and_then(|top| members(&top).first().map(|place| place.start));
    let unit = first.filter(|first| is_first_in_line(text, *first)).map(|first| indent_of_line(text, first));
    unit.filter(|unit| !unit.is_empty()).unwrap_or_else(|| "  ".to_owned())
}

fn line_before(text: &str, at: usize) -> &str {
    let before = text.get(..at).unwrap_or_default();
    before.rsplit('\n').next().unwrap_or_default()
}

fn is_first_in_line(text: &str, at: usize) -> bool {
    text.get(..at).is_some_and(|before| before.contains('\n')) && line_before(text, at).trim().is_empty()
}

fn indent_of_line(text: &str, at: usize) -> String {
    line_before(text, at).chars().take_while(|c| matches!(c, ' ' | '\t')).collect()
}

fn newline(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

fn value_at(text: &str, node: &Node) -> Option<Value> {
    value(text.get(node.place.clone())?).ok()
}

/// Whether a value has a text with this command in it.
fn runs(value: &Value, command: &str) -> bool {
    match value {
        Value::String(text) => text.contains(command),
        Value::Array(items) => items.iter().any(|item| runs(item, command)),
        Value::Object(members) => members.values().any(|member| runs(member, command)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The deepest value that names lead to, and the names that are left.
fn reach<'a, 'b>(top: &'a Node, path: &'b [&'b str]) -> (&'a Node, &'b [&'b str]) {
    let Some((name, below)) = path.split_first() else { return (top, path) };
    let Kind::Object(members) = &top.kind else { return (top, path) };
    // Of a name that is there twice, programs take the last.
    match members.iter().rev().find(|member| member.name == *name) {
        Some(member) => reach(&member.node, below),
        None => (top, path),
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const ITEMS: [Item<'static>; 4] = [
        Item {
            path: &["hooks", "A"],
            value: r#"{ "command": "kinfra one" }"#,
            is_listed: true,
            command: "kinfra one",
        },
        Item {
            path: &["hooks", "B"],
            value: r#"{ "command": "kinfra two" }"#,
            is_listed: true,
            command: "kinfra two",
        },
        Item { path: &["list"], value: r#""kinfra three""#, is_listed: true, command: "kinfra three" },
        Item { path: &["one", "x"], value: r#""kinfra four""#, is_listed: false, command: "kinfra four" },
    ];

    fn all(text: Option<&str>) -> Result<String, String> {
        let mut now = text.map(str::to_owned);
        for item in &ITEMS {
            now = Some(with(now.as_deref(), item)?);
        }
        Ok(now.unwrap())
    }

    fn none(text: &str) -> Option<String> {
        let mut now = Some(text.to_owned());
        for item in ITEMS.iter().rev() {
            now = without(now.as_deref()?, item).unwrap();
        }
        now
    }

    #[test]
    fn a_new_file_reads_well_and_goes_again() {
        let text = all(None).unwrap();
        let wanted = "{\n  \"hooks\": {\n    \"A\": [{ \"command\": \"kinfra one\" }],\n    \"B\": \
                      [{ \"command\": \"kinfra two\" }]\n  },\n  \"list\": [\"kinfra three\"],\n  \"one\": \
                      {\n    \"x\": \"kinfra four\"\n  }\n}\n";
        assert_eq!(text, wanted);
        assert_eq!(none(&text), None);
    }

    #[test]
    fn what_was_there_is_there_again() {
        for text in [
            "{}",
            "{ }",
            "{\n}\n",
            "{\r\n\t\"hooks\": {}\r\n}",
            "{\"hooks\":{\"A\":[]},\"list\":[ ]}",
            "{\n    \"z\": 1.50,\n    \"hooks\": {\n        \"A\": [\n            {\"x\": \"}]\\\"\"}\n        ]\n    }\n}",
            "{\"a\": 1, \"a\": [2 , 3]}",
        ] {
            let with_all = all(Some(text)).unwrap();
            assert_ne!(with_all, text);
            assert_eq!(all(Some(&with_all)).unwrap(), with_all, "it is there once");
            assert_eq!(none(&with_all).as_deref(), Some(text), "from {with_all}");
            assert_eq!(none(text).as_deref(), Some(text), "nothing to take away");
        }
        for text in
            ["[]", "1", "{\"hooks\": []}", "{\"hooks\": {\"A\": {}}}", "{\"one\": {\"x\": 1}}", "{", ""]
        {
            assert!(all(Some(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn what_was_laid_out_anew_goes_too() {
        let text = all(None).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(none(&serde_json::to_string_pretty(&value).unwrap()), None);
        assert_eq!(none(&value.to_string()), None);
        let more = text.replacen('{', "{ \"mine\": 1,", 1);
        let left: Value = serde_json::from_str(&none(&more).unwrap()).unwrap();
        assert_eq!(left, serde_json::json!({ "mine": 1 }));
    }

    #[test]
    fn what_a_person_wrote_counts_and_stays() {
        let theirs = "{\"hooks\": {\"A\": [{\"matcher\": \"x\", \"hooks\": [{\"command\": \"kinfra one\"}]}], \
                      \"B\": [{\"command\": \"kinfra two\", \"timeout\": 5}]}, \"list\": [\"a && kinfra three\"], \
                      \"one\": {\"x\": \"kinfra four; b\"}}";
        assert_eq!(all(Some(theirs)).as_deref(), Ok(theirs));
        assert_eq!(none(theirs).as_deref(), Some(theirs));
        // The same text where it is no item of a list.
        let alone = "{\"list\": \"kinfra three\"}";
        assert_eq!(none(alone).as_deref(), Some(alone));
    }

    /// A JSON text in a layout of its own.
    fn texts() -> impl Strategy<Value = String> {
        let space = || prop::sample::select(vec!["", " ", "\n", "\n  ", "\n\t", " \n   ", "\r\n "]);
        let leaf = prop::sample::select(vec!["1", "-1.50e3", "true", "null", r#""a\"}],{[:""#, r#""""#]);
        let node = leaf.prop_map(str::to_owned).prop_recursive(4, 40, 4, move |inner| {
            let items = (vec((space(), inner.clone(), space()), 0..4), space()).prop_map(|(items, end)| {
                let items: Vec<String> = items.iter().map(|(a, item, b)| format!("{a}{item}{b}")).collect();
                format!("[{}]", if items.is_empty() { end.to_owned() } else { items.join(",") })
            });
            prop_oneof![items, object(inner, space())]
        });
        object(node, space())
    }

    fn object(
        inner: impl Strategy<Value = String>,
        space: impl Strategy<Value = &'static str> + Clone,
    ) -> impl Strategy<Value = String> {
        let names = prop::sample::select(vec!["hooks", "A", "B", "list", "one", "x", "\\u0041"]);
        let member = (space.clone(), names, space.clone(), inner, space.clone());
        (vec(member, 0..4), space).prop_map(|(members, end)| {
            let members: Vec<String> =
                members.iter().map(|(a, name, b, value, c)| format!("{a}\"{name}\":{b}{value}{c}")).collect();
            format!("{{{}}}", if members.is_empty() { end.to_owned() } else { members.join(",") })
        })
    }

    proptest! {
        #[test]
        fn any_text_comes_back_as_it_was(text in texts()) {
            if let Ok(with_all) = all(Some(&text)) {
                prop_assert_eq!(all(Some(&with_all)).unwrap(), with_all.clone());
                prop_assert_eq!(none(&with_all), Some(text), "from {}", with_all);
            }
        }
    }
}
