//! YAML text → [`YamlTree`], by recursive descent: one function for each kind of value.

use std::ops::Range;
use std::rc::Rc;

use super::cursor::{Cursor, Read};
use super::tree::{Anchors, Node, YamlError, YamlTree, YamlValue};

/// How deep values may nest.
const DEPTH: usize = 100;

/// What stands between two commas: a key, and a value if there is one.
type FlowEntry<'a> = (Rc<Node<'a>>, Option<Rc<Node<'a>>>);

/// Reads a file.
///
/// # Errors
/// What this reader cannot read, and at which byte.
pub(crate) fn parse(text: &str) -> Read<YamlTree<'_>> {
    let mut reader = Reader { cursor: Cursor { text, at: 0 }, anchors: Anchors::new() };
    reader.cursor.eat('\u{feff}');
    let root = reader.document()?;
    Ok(YamlTree::new(root, reader.anchors))
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    anchors: Anchors<'a>,
}

/// What a value stands after.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    /// The start of a line, or `- `: a mapping or list may begin here.
    Start,
    /// `key:`, where they may only begin on the next line.
    Key,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Read<Rc<Node<'a>>> {
        self.cursor.skip_to_content();
        while self.cursor.peek() == Some('%') {
            self.cursor.skip_line();
            self.cursor.skip_to_content();
        }
        if self.cursor.rest().starts_with("---") && self.cursor.is_marker() {
            self.cursor.at += 3;
        }
        let root = self.block(-1, After::Start, DEPTH)?;
        self.cursor.skip_to_content();
        if self.cursor.is_marker() && self.cursor.rest().starts_with("...") {
            self.cursor.at += 3;
            self.cursor.skip_to_content();
        }
        match self.cursor.peek() {
            None => Ok(root),
            Some(_) if self.cursor.is_marker() => Err(self.cursor.wrong("a second document begins here")),
            Some(_) => Err(self.cursor.wrong("this does not belong to what stands above it")),
        }
    }

    /// A value whose lines are indented by more than `parent`.
    fn block(&mut self, parent: isize, after: After, depth: usize) -> Read<Rc<Node<'a>>> {
        let depth = depth.checked_sub(1).ok_or_else(|| self.cursor.wrong("values nest too deeply"))?;
        let (mut after, mut anchor) = (after, None);
        loop {
            self.cursor.skip_spaces();
            if self.cursor.is_end_of_line() {
                let end = self.cursor.at;
                self.cursor.skip_to_content();
                let column = self.cursor.column();
                let belongs =
                    column > parent || (after == After::Key && column == parent && self.cursor.is_dash());
                if self.cursor.peek().is_none() || self.cursor.is_marker() || !belongs {
                    return Ok(self.anchored(anchor, end..end, YamlValue::Empty));
                }
                after = After::Start;
            } else if self.cursor.peek() == Some('&') {
                anchor = Some(self.cursor.property());
            } else if self.cursor.peek() == Some('!') {
                self.cursor.property();
            } else {
                break;
            }
        }
        let (start, column) = (self.cursor.at, self.cursor.column());
        let starts_block = after == After::Start;
        let value = match self.cursor.peek() {
            Some('-') if self.cursor.is_dash() && starts_block => self.list(column, depth)?,
            Some('-') if self.cursor.is_dash() => {
                return Err(self.cursor.wrong("a list cannot begin on the line of its key"));
            }
            Some('?') if self.cursor.is_separated(1) => {
                return Err(self.cursor.wrong("complex keys (`? `) are not read"));
            }
            Some('|' | '>') => self.cursor.literal(parent),
            Some('[' | '{') => self.flow(depth)?.1,
            Some('*') => YamlValue::Alias(self.cursor.property()),
            Some('%' | '@' | '`') => return Err(self.cursor.wrong("no value begins with this character")),
            _ if starts_block && self.is_key() => self.map(column, depth)?,
            Some('"' | '\'') => self.cursor.quoted()?,
            _ => self.cursor.plain(parent),
        };
        Ok(self.anchored(anchor, start..self.cursor.at, value))
    }

    fn anchored(
        &mut self,
        anchor: Option<&'a str>,
        span: Range<usize>,
        value: YamlValue<'a>,
    ) -> Rc<Node<'a>> {
        let node = Rc::new(Node { span, value });
        if let Some(name) = anchor {
            self.anchors.insert(name, Rc::clone(&node));
        }
        node
    }

    fn list(&mut self, column: isize, depth: usize) -> Read<YamlValue<'a>> {
        let mut items = Vec::new();
        loop {
            self.cursor.at += 1;
            items.push(self.block(column, After::Start, depth)?);
            if !(self.next_line_is_at(column)? && self.cursor.is_dash()) {
                return Ok(YamlValue::List { items, inline: false });
            }
        }
    }

    fn map(&mut self, column: isize, depth: usize) -> Read<YamlValue<'a>> {
        let mut entries = Vec::new();
        loop {
            if !self.is_key() {
                return Err(self.cursor.wrong("a key and `:` belong here"));
            }
            let key = self.key()?;
            self.cursor.skip_spaces();
            self.cursor.at += 1;
            entries.push((key, self.block(column, After::Key, depth)?));
            if !self.next_line_is_at(column)? || self.cursor.is_dash() {
                return Ok(YamlValue::Map { entries, inline: false });
            }
        }
    }

    /// Goes on to the next line with content; says whether it is at a column, and not further left.
    fn next_line_is_at(&mut self, column: isize) -> Read<bool> {
        self.cursor.skip_spaces();
        if !self.cursor.is_end_of_line() && !self.cursor.is_first_of_line() {
            return Err(self.cursor.wrong("this does not belong on this line"));
        }
        self.cursor.skip_to_content();
        if self.cursor.peek().is_none() || self.cursor.is_marker() {
            return Ok(false);
        }
        if self.cursor.column() > column {
            return Err(self.cursor.wrong("this line is indented further than what it continues"));
        }
        Ok(self.cursor.column() == column)
    }

    /// Whether a key and its `:` stand here. Looks only.
    fn is_key(&mut self) -> bool {
        let start = self.cursor.at;
        let key = self.key();
        self.cursor.skip_spaces();
        let is_key = self.cursor.peek() == Some(':') && self.cursor.is_separated(1);
        self.cursor.at = start;
        // A quote that does not end on its line begins no key.
        key.is_ok() && is_key
    }

    fn key(&mut self) -> Read<Rc<Node<'a>>> {
        while matches!(self.cursor.peek(), Some('&' | '!')) {
            self.cursor.property();
            self.cursor.skip_spaces();
        }
        let start = self.cursor.at;
        let value = if let Some('"' | '\'') = self.cursor.peek() {
            self.cursor.quoted()?
        } else {
            let text = self.cursor.plain_line(false);
            self.cursor.at += text.len();
            YamlValue::Scalar { text, verbatim: true }
        };
        Ok(Rc::new(Node { span: start..self.cursor.at, value }))
    }

    /// A value in brackets or braces, or within them; its own bytes, without what surrounds it.
    fn flow(&mut self, depth: usize) -> Read<(Range<usize>, YamlValue<'a>)> {
        let depth = depth.checked_sub(1).ok_or_else(|| self.cursor.wrong("values nest too deeply"))?;
        let start = self.cursor.at;
        let value = match self.cursor.peek() {
            Some('[') => {
                let items = self.flow_entries(']', depth)?;
                let item = |(key, value): FlowEntry<'a>| match value {
                    None => key,
                    Some(value) => {
                        let span = key.span.start..value.span.end;
                        Rc::new(Node {
                            span,
                            value: YamlValue::Map { entries: vec![(key, value)], inline: true },
                        })
                    }
                };
                YamlValue::List { items: items.into_iter().map(item).collect(), inline: true }
            }
            Some('{') => {
                let entries = self.flow_entries('}', depth)?;
                let empty = |key: &Node<'a>| {
                    Rc::new(Node { span: key.span.end..key.span.end, value: YamlValue::Empty })
                };
                let entry = |(key, value): (Rc<Node<'a>>, Option<_>)| {
                    let value = value.unwrap_or_else(|| empty(&key));
                    (key, value)
                };
                YamlValue::Map { entries: entries.into_iter().map(entry).collect(), inline: true }
            }
            Some('"' | '\'') => self.cursor.quoted()?,
            Some('*') => YamlValue::Alias(self.cursor.property()),
            _ => self.cursor.flow_plain(),
        };
        Ok((start..self.cursor.at, value))
    }

    /// What stands between brackets or braces: keys, and values where there are any.
    fn flow_entries(&mut self, close: char, depth: usize) -> Read<Vec<FlowEntry<'a>>> {
        let unended = YamlError { at: self.cursor.at, message: "this bracket does not end" };
        let mut entries = Vec::new();
        self.cursor.at += 1;
        loop {
            self.cursor.skip_to_content();
            if self.cursor.eat(close) {
                return Ok(entries);
            }
            let key = self.flow_node(depth)?;
            self.cursor.skip_to_content();
            let mut value = None;
            if self.cursor.eat(':') {
                self.cursor.skip_to_content();
                value = Some(self.flow_node(depth)?);
                self.cursor.skip_to_content();
            }
            entries.push((key, value));
            match self.cursor.peek() {
                Some(',') => self.cursor.at += 1,
                Some(c) if c == close => {}
                Some(_) => return Err(self.cursor.wrong("`,` or the end of the bracket belongs here")),
                None => return Err(unended),
            }
        }
    }

    fn flow_node(&mut self, depth: usize) -> Read<Rc<Node<'a>>> {
        let mut anchor = None;
        while let Some(c @ ('&' | '!')) = self.cursor.peek() {
            let name = self.cursor.property();
            anchor = if c == '&' { Some(name) } else { anchor };
            self.cursor.skip_to_content();
        }
        if matches!(self.cursor.peek(), Some(',' | ']' | '}') | None) {
            return Ok(self.anchored(anchor, self.cursor.at..self.cursor.at, YamlValue::Empty));
        }
        let (span, value) = self.flow(depth)?;
        Ok(self.anchored(anchor, span, value))
    }
}
