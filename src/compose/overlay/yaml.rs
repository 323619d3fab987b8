//! The YAML of an overlay: values with Compose's tags, and their text.

use std::fmt::Write as _;

use serde_json::Value;

use crate::template::{compose, yaml};

/// A value of an overlay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    /// Text that Compose takes as it stands: nothing in it is a variable.
    Text(String),
    /// A number.
    Number(u16),
    /// `true`.
    True,
    /// Removes what the project's files say: `!reset null`.
    Reset,
    /// A mapping, in this order.
    Map(Vec<(String, Node)>),
    /// A list.
    List(Vec<Node>),
    /// Takes the place of what the project's files say: `!override`.
    Override(Box<Node>),
    /// What Compose printed, to be read back by it.
    Printed(Value),
}

impl Node {
    /// A text.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A mapping.
    pub(super) fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    /// The value in place of what the project's files say.
    pub(super) fn overriding(self) -> Self {
        Self::Override(Box::new(self))
    }

    /// The text of a document.
    pub(super) fn document(&self) -> String {
        let mut text = String::new();
        self.block(&mut text, 0);
        text.trim_start_matches('\n').to_owned()
    }

    /// Writes the value after its key. Each entry of a mapping or list has a line, and everything else is on
    /// the same line.
    fn block(&self, text: &mut String, depth: usize) {
        let indent = "  ".repeat(depth);
        match self {
            Self::Map(entries) if !entries.is_empty() => {
                for (key, value) in entries {
                    let _ = write!(text, "\n{indent}{}:", yaml(key));
                    value.block(text, depth + 1);
                }
            }
            Self::List(items) if !items.is_empty() => {
                for item in items {
                    let _ = write!(text, "\n{indent}- {}", item.flow());
                }
            }
            Self::Override(value) => {
                text.push_str(" !override");
                value.block(text, depth);
            }
            Self::Text(_)
            | Self::Number(_)
            | Self::True
            | Self::Reset
            | Self::Map(_)
            | Self::List(_)
            | Self::Printed(_) => {
                text.push(' ');
                text.push_str(&self.flow());
            }
        }
    }

    /// The value on one line.
    fn flow(&self) -> String {
        match self {
            Self::Text(text) => compose(text),
            Self::Number(number) => number.to_string(),
            Self::True => "true".to_owned(),
            Self::Reset => "!reset null".to_owned(),
            Self::Map(entries) => flow_map(entries.iter().map(|(key, value)| (key.as_str(), value.flow()))),
            Self::List(items) => flow_list(items.iter().map(Self::flow)),
            Self::Override(value) => format!("!override {}", value.flow()),
            Self::Printed(value) => printed(value),
        }
    }
}

fn printed(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(bool) => bool.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => compose(text),
        Value::Array(items) => flow_list(items.iter().map(printed)),
        Value::Object(entries) => flow_map(entries.iter().map(|(key, value)| (key.as_str(), printed(value)))),
    }
}

fn flow_map<'a>(entries: impl Iterator<Item = (&'a str, String)>) -> String {
    let entries: Vec<String> = entries.map(|(key, value)| format!("{}: {value}", yaml(key))).collect();
    format!("{{{}}}", entries.join(", "))
}

fn flow_list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_with_their_tags() {
        let node = Node::map([
            ("a", Node::map([("b", Node::Reset), ("c", Node::Number(7)), ("d", Node::Map(Vec::new()))])),
            ("ports", Node::List(vec![Node::map([("published", Node::text("80"))])]).overriding()),
            ("none", Node::List(Vec::new()).overriding()),
            ("own", Node::map([("external", Node::True)]).overriding()),
        ]);
        let text = "\"a\":\n  \"b\": !reset null\n  \"c\": 7\n  \"d\": {}\n\"ports\": !override\n  - {\"published\": \"80\"}\n\
                    \"none\": !override []\n\"own\": !override\n  \"external\": true";
        assert_eq!(node.document(), text);
    }

    #[test]
    fn text_stays_what_it_is() {
        for (text, written) in [
            ("it's $HOME and ${X}", r#""it's $$HOME and $${X}""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("two\nlines\t", r#""two\nlines\t""#),
            ("größe \u{85}\u{2028}\u{feff}", r#""größe \u0085\u2028\uFEFF""#),
        ] {
            assert_eq!(Node::text(text).flow(), written);
            assert_eq!(Node::Printed(Value::from(text)).flow(), written);
        }
        let value = serde_json::json!({"size": 100, "list": [null, true]});
        assert_eq!(Node::Printed(value).flow(), r#"{"size": 100, "list": [null, true]}"#);
    }
}
