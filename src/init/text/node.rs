//! YAML with the line of each value.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;

use granit_parser::{Event, Parser, ScalarStyle, Tag, options};

/// The most values that a file may have, those that aliases repeat included.
const MOST_NODES: usize = 200_000;

/// A value in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YamlNode {
    /// Its line, from 1.
    pub line: usize,
    /// What Compose's own tags say of it.
    pub merging: Merging,
    /// The value.
    pub value: YamlValue,
}

/// What Compose does with a value of an earlier file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merging {
    /// Adds this one to it.
    Adds,
    /// Replaces it: `!override`.
    Overrides,
    /// Removes it: `!reset`.
    Resets,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum YamlValue {
    /// Nothing.
    Null,
    /// Text, a number or anything else that is not made of values.
    Scalar(String),
    /// A list.
    List(Vec<YamlNode>),
    /// A mapping, in its order.
    Map(Vec<(String, YamlNode)>),
}

/// Why a text cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub message: String,
}

impl YamlNode {
    /// Its text, if it is a scalar.
    pub fn text(&self) -> Option<&str> {
        if let YamlValue::Scalar(text) = &self.value { Some(text) } else { None }
    }

    /// The value of a key, if it is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// The keys and values, if it is a mapping.
    pub fn entries(&self) -> &[(String, Self)] {
        if let YamlValue::Map(entries) = &self.value { entries } else { &[] }
    }

    /// The values, if it is a list.
    pub fn items(&self) -> &[Self] {
        if let YamlValue::List(items) = &self.value { items } else { &[] }
    }

    /// Every scalar in it, itself included, in order.
    pub fn scalars(&self) -> Vec<(usize, &str)> {
        match &self.value {
            YamlValue::Null => Vec::new(),
            YamlValue::Scalar(text) => vec![(self.line, text)],
            YamlValue::List(items) => items.iter().flat_map(Self::scalars).collect(),
            YamlValue::Map(entries) => entries.iter().flat_map(|(_, node)| node.scalars()).collect(),
        }
    }

    fn size(&self) -> usize {
        match &self.value {
            YamlValue::Null | YamlValue::Scalar(_) => 1,
            YamlValue::List(items) => 1 + items.iter().map(Self::size).sum::<usize>(),
            YamlValue::Map(entries) => 1 + entries.iter().map(|(_, node)| node.size()).sum::<usize>(),
        }
    }
}

/// Reads a file that has one document.
///
/// # Errors
/// The first place that is not YAML, or that Compose would not read.
pub fn parse(text: &str) -> Result<YamlNode, Unreadable> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let parser = Parser::new_from_str_with_options(text, options! { emit_comments: false });
    let events = parser.map(|event| {
        let unreadable = |error: granit_parser::ScanError| Unreadable {
            line: error.marker().line(),
            message: error.info(),
        };
        event.map(|(event, span)| (event, span.start.line())).map_err(unreadable)
    });
    let mut reader = Reader { events: events.peekable(), anchors: BTreeMap::new(), left: MOST_NODES };
    let mut root = None;
    while let Some((event, line)) = reader.next()? {
        if let Event::DocumentStart(..) = event {
            if root.is_some() {
                return Err(Unreadable { line, message: "a second document begins here".to_owned() });
            }
            root = Some(reader.node()?);
        }
    }
    Ok(root.unwrap_or(YamlNode { line: 1, merging: Merging::Adds, value: YamlValue::Null }))
}

/// Makes values of the parser's events.
struct Reader<I: Iterator> {
    events: Peekable<I>,
    anchors: BTreeMap<usize, YamlNode>,
    /// How many more values there may be.
    left: usize,
}

impl<'a, I: Iterator<Item = Result<(Event<'a>, usize), Unreadable>>> Reader<I> {
    fn next(&mut self) -> Result<Option<(Event<'a>, usize)>, Unreadable> {
        self.events.next().transpose()
    }

    /// Reads the value that begins with the next event.
    fn node(&mut self) -> Result<YamlNode, Unreadable> {
        let nothing = |line| YamlNode { line, merging: Merging::Adds, value: YamlValue::Null };
        let Some((event, line)) = self.next()? else { return Ok(nothing(1)) };
        let (value, anchor, tag) = if let Event::Scalar(text, style, anchor, tag) = event {
            let is_null = style == ScalarStyle::Plain && ["", "~", "null"].contains(&&*text);
            let value = if is_null { YamlValue::Null } else { YamlValue::Scalar(text.into_owned()) };
            (value, anchor, tag)
        } else if let Event::SequenceStart(_, anchor, tag) = event {
            (self.list()?, anchor, tag)
        } else if let Event::MappingStart(_, anchor, tag) = event {
            (self.map()?, anchor, tag)
        } else {
            let anchored = event.alias_id().and_then(|anchor| self.anchors.get(&anchor));
            let node = anchored.cloned().unwrap_or_else(|| nothing(line));
            self.take(node.size(), line)?;
            return Ok(node);
        };
        self.take(1, line)?;
        let node = YamlNode { line, merging: merging(tag.as_deref()), value };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn take(&mut self, nodes: usize, line: usize) -> Result<(), Unreadable> {
        let left = self.left.checked_sub(nodes);
        self.left =
            left.ok_or(Unreadable { line, message: "the file repeats too many values".to_owned() })?;
        Ok(())
    }

    /// Whether the next event is this one. It is taken then.
    fn ends(&mut self, end: &Event<'_>) -> bool {
        self.events.next_if(|event| event.as_ref().is_ok_and(|(event, _)| event == end)).is_some()
    }

    fn list(&mut self) -> Result<YamlValue, Unreadable> {
        let mut items = Vec::new();
        while !self.ends(&Event::SequenceEnd) {
            items.push(self.node()?);
        }
        Ok(YamlValue::List(items))
    }

    fn map(&mut self) -> Result<YamlValue, Unreadable> {
        let (mut entries, mut merged) = (Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        while !self.ends(&Event::MappingEnd) {
            let key = self.node()?;
            let value = self.node()?;
            let line = key.line;
            let YamlValue::Scalar(key) = key.value else {
                return Err(Unreadable { line, message: "a key must be text".to_owned() });
            };
            if key == "<<" {
                merged.push(value);
            } else if seen.insert(key.clone()) {
                entries.push((key, value));
            } else {
                let message = format!("the key `{}` stands here for the second time", key.escape_debug());
                return Err(Unreadable { line, message });
            }
        }
        for node in merged {
            let maps = if node.entries().is_empty() { node.items() } else { std::slice::from_ref(&node) };
            for (key, value) in maps.iter().flat_map(YamlNode::entries) {
                if seen.insert(key.clone()) {
                    entries.push((key.clone(), value.clone()));
                }
            }
        }
        Ok(YamlValue::Map(entries))
    }
}

fn merging(tag: Option<&Tag>) -> Merging {
    match tag.map(Tag::suffix) {
        Some("override") => Merging::Overrides,
        Some("reset") => Merging::Resets,
        _ => Merging::Adds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_lines() {
        let text = "a: &x\n  - one\n  - 'null'\nb: *x\nc: {<<: [{d: 1, e: 2}], d: 3}\nf: !reset null\ng:\n";
        let root = parse(text).unwrap();
        assert_eq!(root.get("a").unwrap().items()[1].text(), Some("null"));
        assert_eq!(root.get("b").unwrap().scalars(), [(2, "one"), (3, "null")]);
        let c: Vec<_> =
            root.get("c").unwrap().entries().iter().map(|(key, node)| (&**key, node.text())).collect();
        assert_eq!(c, [("d", Some("3")), ("e", Some("2"))]);
        assert_eq!(root.get("f").unwrap().merging, Merging::Resets);
        assert_eq!(root.get("g").unwrap().value, YamlValue::Null);
        assert_eq!(parse("").unwrap().value, YamlValue::Null);
    }

    #[test]
    fn what_is_no_yaml_is_refused_at_its_line() {
        for (text, line) in [
            ("services:\n  web: {ports: ['80:80'\n", 2),
            ("services:\n  web:\n    image: \"a\n", 3),
            ("a: b\n---\nc: d\n", 2),
            ("a: 1\nb: 2\na: 3\n", 3),
            ("a: 1\n? [b]\n: 2\n", 2),
            ("a: `b`\n", 1),
        ] {
            let unreadable = parse(text).unwrap_err();
            assert_eq!(unreadable.line, line, "{text:?}: {}", unreadable.message);
        }
        let list = |n: i32| format!("a{n}: &a{n} [{}]", vec![format!("*a{}", n - 1); 10].join(", "));
        let laughs = (1..9).map(list).collect::<Vec<_>>().join("\n");
        let unreadable = parse(&format!("a0: &a0 [lol]\n{laughs}")).unwrap_err();
        assert!(unreadable.message.contains("repeats too many values"), "{}", unreadable.message);
        assert!(parse(&"[".repeat(10_000)).is_err());
    }
}
