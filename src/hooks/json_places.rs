//! The places of the values of a JSON text.

use std::ops::Range;

use serde_json::Value;

/// A value of a text, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) place: Range<usize>,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Object(Vec<Member>),
    Array(Vec<Node>),
    Other,
}

/// A value with its name, which begins the member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) start: usize,
    pub(super) node: Node,
}

/// A text as JSON.
pub(super) fn value(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// The places of all values of a text.
pub(super) fn parse(text: &str) -> Result<Node, String> {
    // It knows what JSON is, and how deep it may be: what is below only looks for places.
    let _: Value = value(text)?;
    let mut reader = Reader { text, at: 0 };
    reader.value().ok_or_else(|| "it has no value".to_owned())
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let rest = self.text.get(self.at..)?;
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n', ',', ':']).len();
        self.text.get(self.at..)?.chars().next()
    }

    fn value(&mut self) -> Option<Node> {
        let first = self.next()?;
        let start = self.at;
        let kind = match first {
            '{' => self.object()?,
            '[' => self.array()?,
            '"' => {
                self.string()?;
                Kind::Other
            }
            _ => {
                let rest = self.text.get(self.at..)?;
                self.at += rest.find([' ', '\t', '\r', '\n', ',', ']', '}']).unwrap_or(rest.len());
                Kind::Other
            }
        };
        Some(Node { place: start..self.at, kind })
    }

    fn object(&mut self) -> Option<Kind> {
        self.at += 1;
        let mut members = Vec::new();
        while self.next()? != '}' {
            let start = self.at;
            let name = self.string()?;
            members.push(Member { name, start, node: self.value()? });
        }
        self.at += 1;
        Some(Kind::Object(members))
    }

    fn array(&mut self) -> Option<Kind> {
        self.at += 1;
        let mut items = Vec::new();
        while self.next()? != ']' {
            items.push(self.value()?);
        }
        self.at += 1;
        Some(Kind::Array(items))
    }

    fn string(&mut self) -> Option<String> {
        let start = self.at;
        let mut is_escaped = false;
        let rest = self.text.get(start + 1..)?;
        let end = rest.char_indices().find(|(_, c)| {
            let ends = *c == '"' && !is_escaped;
            is_escaped = *c == '\\' && !is_escaped;
            ends
        })?;
        self.at = start + 1 + end.0 + 1;
        serde_json::from_str(self.text.get(start..self.at)?).ok()
    }
}
