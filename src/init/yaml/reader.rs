//! The reader: by recursive descent, a function for each kind of value.

use std::ops::Range;
use std::rc::Rc;

use super::{Anchors, Node, Value, YamlError};

/// How deep values may nest.
const DEPTH: usize = 100;

type Read<T> = Result<T, YamlError>;

/// What stands between two commas: a key, and a value if there is one.
type FlowEntry<'a> = (Rc<Node<'a>>, Option<Rc<Node<'a>>>);

/// Reads a file: its tree, and what its anchors name.
pub(super) fn read(text: &str) -> Read<(Rc<Node<'_>>, Anchors<'_>)> {
    let mut reader = Reader { text, at: 0, anchors: Anchors::new() };
    reader.eat('\u{feff}');
    let root = reader.document()?;
    Ok((root, reader.anchors))
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
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
        self.skip_to_content();
        while self.peek() == Some('%') {
            self.skip_line();
            self.skip_to_content();
        }
        if self.rest().starts_with("---") && self.is_marker() {
            self.at += 3;
        }
        let root = self.block(-1, After::Start, DEPTH)?;
        self.skip_to_content();
        if self.is_marker() && self.rest().starts_with("...") {
            self.at += 3;
            self.skip_to_content();
        }
        match self.peek() {
            None => Ok(root),
            Some(_) if self.is_marker() => Err(self.wrong("a second document begins here")),
            Some(_) => Err(self.wrong("this does not belong to what stands above it")),
        }
    }

    /// A value whose lines are indented by more than `parent`.
    fn block(&mut self, parent: isize, after: After, depth: usize) -> Read<Rc<Node<'a>>> {
        let depth = depth.checked_sub(1).ok_or_else(|| self.wrong("values nest too deeply"))?;
        let (mut after, mut anchor) = (after, None);
        loop {
            self.skip_spaces();
            if self.is_end_of_line() {
                let end = self.at;
                self.skip_to_content();
                let column = self.column();
                let belongs = column > parent || (after == After::Key && column == parent && self.is_dash());
                if self.peek().is_none() || self.is_marker() || !belongs {
                    return Ok(self.anchored(anchor, end..end, Value::Empty));
                }
                after = After::Start;
            } else if self.peek() == Some('&') {
                anchor = Some(self.property());
            } else if self.peek() == Some('!') {
                self.property();
            } else {
                break;
            }
        }
        let (start, column) = (self.at, self.column());
        let starts_block = after == After::Start;
        let value = match self.peek() {
            Some('-') if self.is_dash() && starts_block => self.list(column, depth)?,
            Some('-') if self.is_dash() => {
                return Err(self.wrong("a list cannot begin on the line of its key"));
            }
            Some('?') if self.is_separated(1) => return Err(self.wrong("complex keys (`? `) are not read")),
            Some('|' | '>') => self.literal(parent),
            Some('[' | '{') => self.flow(depth)?.1,
            Some('*') => Value::Alias(self.property()),
            Some('%' | '@' | '`') => return Err(self.wrong("no value begins with this character")),
            _ if starts_block && self.is_key() => self.map(column, depth)?,
            Some('"' | '\'') => self.quoted()?,
            _ => self.plain(parent),
        };
        Ok(self.anchored(anchor, start..self.at, value))
    }

    fn anchored(&mut self, anchor: Option<&'a str>, span: Range<usize>, value: Value<'a>) -> Rc<Node<'a>> {
        let node = Rc::new(Node { span, value });
        if let Some(name) = anchor {
            self.anchors.insert(name, Rc::clone(&node));
        }
        node
    }

    fn list(&mut self, column: isize, depth: usize) -> Read<Value<'a>> {
        let mut items = Vec::new();
        loop {
            self.at += 1;
            items.push(self.block(column, After::Start, depth)?);
            if !(self.next_line_is_at(column)? && self.is_dash()) {
                return Ok(Value::List { items, inline: false });
            }
        }
    }

    fn map(&mut self, column: isize, depth: usize) -> Read<Value<'a>> {
        let mut entries = Vec::new();
        loop {
            if !self.is_key() {
                return Err(self.wrong("a key and `:` belong here"));
            }
            let key = self.key()?;
            self.skip_spaces();
            self.at += 1;
            entries.push((key, self.block(column, After::Key, depth)?));
            if !self.next_line_is_at(column)? || self.is_dash() {
                return Ok(Value::Map { entries, inline: false });
            }
        }
    }

    /// Goes on to the next line with content; says whether it is at a column, and not further left.
    fn next_line_is_at(&mut self, column: isize) -> Read<bool> {
        self.skip_spaces();
        if !self.is_end_of_line() && !self.is_first_of_line() {
            return Err(self.wrong("this does not belong on this line"));
        }
        self.skip_to_content();
        if self.peek().is_none() || self.is_marker() {
            return Ok(false);
        }
        if self.column() > column {
            return Err(self.wrong("this line is indented further than what it continues"));
        }
        Ok(self.column() == column)
    }

    /// Whether a key and its `:` stand here. Looks only.
    fn is_key(&mut self) -> bool {
        let start = self.at;
        let key = self.key();
        self.skip_spaces();
        let is_key = self.peek() == Some(':') && self.is_separated(1);
        self.at = start;
        // A quote that does not end on its line begins no key.
        key.is_ok() && is_key
    }

    fn key(&mut self) -> Read<Rc<Node<'a>>> {
        while matches!(self.peek(), Some('&' | '!')) {
            self.property();
            self.skip_spaces();
        }
        let start = self.at;
        let value = if let Some('"' | '\'') = self.peek() {
            self.quoted()?
        } else {
            let text = self.plain_line(false);
            self.at += text.len();
            Value::Scalar { text, verbatim: true }
        };
        Ok(Rc::new(Node { span: start..self.at, value }))
    }

    /// `|` and `>`: what follows is text, whatever it looks like.
    fn literal(&mut self, parent: isize) -> Value<'a> {
        let line_end = self.rest().find('\n').map_or(self.text.len(), |end| self.at + end);
        let header = self.text.get(self.at..line_end).unwrap_or_default();
        let declared = header.chars().take_while(|c| !c.is_whitespace()).find_map(|c| c.to_digit(10));
        let mut least =
            declared.and_then(|digit| isize::try_from(digit).ok()).map(|digit| parent.max(0) + digit);
        self.skip_line();
        let start = self.at;
        while let Some(line) = self.rest().split_inclusive('\n').next() {
            let indent =
                isize::try_from(line.len() - line.trim_start_matches(' ').len()).unwrap_or(isize::MAX);
            if !line.trim().is_empty() && indent < *least.get_or_insert(indent.max(parent + 1)) {
                break;
            }
            self.at += line.len();
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        Value::Scalar { text, verbatim: false }
    }

    fn quoted(&mut self) -> Read<Value<'a>> {
        let quote = self.peek().unwrap_or('"');
        let start = self.at + 1;
        let unended = YamlError { at: self.at, message: "this quote does not end" };
        let mut characters = self.text.get(start..).unwrap_or_default().char_indices().peekable();
        let mut verbatim = true;
        while let Some((offset, c)) = characters.next() {
            let doubled =
                c == '\'' && quote == '\'' && characters.peek().is_some_and(|(_, next)| *next == '\'');
            if doubled || (c == '\\' && quote == '"') {
                characters.next();
                verbatim = false;
            } else if c == quote {
                self.at = start + offset + 1;
                let text = self.text.get(start..start + offset).unwrap_or_default();
                return Ok(Value::Scalar { text, verbatim });
            }
            verbatim &= c != '\n';
        }
        Err(unended)
    }

    /// Text without quotes, which further lines may continue.
    fn plain(&mut self, parent: isize) -> Value<'a> {
        let start = self.at;
        let mut text = self.plain_line(false);
        self.at += text.len();
        let mut verbatim = true;
        loop {
            let end = self.at;
            self.skip_spaces();
            let ended = self.is_comment();
            if !ended {
                self.skip_to_content();
            }
            // A comment line ends the text; what stands behind it is no part of it.
            let between = self.text.get(end..self.at).unwrap_or_default();
            let goes_on = self.peek().is_some() && self.column() > parent && !self.is_marker();
            if ended || between.contains('#') || !goes_on {
                self.at = end;
                return Value::Scalar { text, verbatim };
            }
            self.at += self.plain_line(false).len().max(1);
            text = self.text.get(start..self.at).unwrap_or_default();
            verbatim = false;
        }
    }

    /// What is left of the line up to a comment or `: `, and in brackets up to what ends an item.
    fn plain_line(&self, in_flow: bool) -> &'a str {
        let rest = self.rest();
        let mut previous = ' ';
        for (offset, c) in rest.char_indices() {
            let next = rest.get(offset + c.len_utf8()..).and_then(|rest| rest.chars().next());
            let ends = match c {
                '\n' => true,
                '#' => previous.is_whitespace() && offset > 0,
                ':' => next.is_none_or(|c| c.is_whitespace() || (in_flow && ",[]{}".contains(c))),
                ',' | '[' | ']' | '{' | '}' => in_flow,
                _ => false,
            };
            if ends {
                return rest.get(..offset).unwrap_or_default().trim_end();
            }
            previous = c;
        }
        rest.trim_end()
    }

    /// A value in brackets or braces, or within them; its own bytes, without what surrounds it.
    fn flow(&mut self, depth: usize) -> Read<(Range<usize>, Value<'a>)> {
        let depth = depth.checked_sub(1).ok_or_else(|| self.wrong("values nest too deeply"))?;
        let start = self.at;
        let value = match self.peek() {
            Some('[') => {
                let items = self.flow_entries(']', depth)?;
                let item = |(key, value): FlowEntry<'a>| match value {
                    None => key,
                    Some(value) => {
                        let span = key.span.start..value.span.end;
                        Rc::new(Node {
                            span,
                            value: Value::Map { entries: vec![(key, value)], inline: true },
                        })
                    }
                };
                Value::List { items: items.into_iter().map(item).collect(), inline: true }
            }
            Some('{') => {
                let entries = self.flow_entries('}', depth)?;
                let empty =
                    |key: &Node<'a>| Rc::new(Node { span: key.span.end..key.span.end, value: Value::Empty });
                let entry = |(key, value): (Rc<Node<'a>>, Option<_>)| {
                    let value = value.unwrap_or_else(|| empty(&key));
                    (key, value)
                };
                Value::Map { entries: entries.into_iter().map(entry).collect(), inline: true }
            }
            Some('"' | '\'') => self.quoted()?,
            Some('*') => Value::Alias(self.property()),
            _ => self.flow_plain(),
        };
        Ok((start..self.at, value))
    }

    /// Text without quotes within brackets, which further lines may continue.
    fn flow_plain(&mut self) -> Value<'a> {
        let start = self.at;
        let mut verbatim = true;
        self.at += self.plain_line(true).len();
        loop {
            let end = self.at;
            self.skip_to_content();
            if self.peek().is_none_or(|c| ",[]{}:#".contains(c)) {
                self.at = end;
                let text = self.text.get(start..end).unwrap_or_default();
                return Value::Scalar { text, verbatim };
            }
            self.at += self.plain_line(true).len().max(1);
            verbatim = false;
        }
    }

    /// What stands between brackets or braces: keys, and values where there are any.
    fn flow_entries(&mut self, close: char, depth: usize) -> Read<Vec<FlowEntry<'a>>> {
        let unended = YamlError { at: self.at, message: "this bracket does not end" };
        let mut entries = Vec::new();
        self.at += 1;
        loop {
            self.skip_to_content();
            if self.eat(close) {
                return Ok(entries);
            }
            let key = self.flow_node(depth)?;
            self.skip_to_content();
            let mut value = None;
            if self.eat(':') {
                self.skip_to_content();
                value = Some(self.flow_node(depth)?);
                self.skip_to_content();
            }
            entries.push((key, value));
            match self.peek() {
                Some(',') => self.at += 1,
                Some(c) if c == close => {}
                Some(_) => return Err(self.wrong("`,` or the end of the bracket belongs here")),
                None => return Err(unended),
            }
        }
    }

    fn flow_node(&mut self, depth: usize) -> Read<Rc<Node<'a>>> {
        let mut anchor = None;
        while let Some(c @ ('&' | '!')) = self.peek() {
            let name = self.property();
            anchor = if c == '&' { Some(name) } else { anchor };
            self.skip_to_content();
        }
        if matches!(self.peek(), Some(',' | ']' | '}') | None) {
            return Ok(self.anchored(anchor, self.at..self.at, Value::Empty));
        }
        let (span, value) = self.flow(depth)?;
        Ok(self.anchored(anchor, span, value))
    }

    /// The name of an anchor, alias or tag, without its sign.
    fn property(&mut self) -> &'a str {
        let ends = |c: char| c.is_whitespace() || ",[]{}".contains(c);
        let property = self.rest().split(ends).next().unwrap_or_default();
        self.at += property.len();
        property.get(1..).unwrap_or_default()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn eat(&mut self, c: char) -> bool {
        let eaten = self.peek() == Some(c);
        self.at += if eaten { c.len_utf8() } else { 0 };
        eaten
    }

    fn skip_spaces(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start_matches([' ', '\t', '\r']).len();
    }

    fn skip_line(&mut self) {
        self.at += self.rest().find('\n').map_or(self.rest().len(), |end| end + 1);
    }

    /// Skips spaces, line ends and comments.
    fn skip_to_content(&mut self) {
        loop {
            self.at += self.rest().len() - self.rest().trim_start().len();
            if !self.is_comment() {
                return;
            }
            self.skip_line();
        }
    }

    fn is_comment(&self) -> bool {
        self.peek() == Some('#') && self.line_before().chars().next_back().is_none_or(char::is_whitespace)
    }

    fn column(&self) -> isize {
        isize::try_from(self.line_before().len()).unwrap_or(isize::MAX)
    }

    /// What stands before this place on its line.
    fn line_before(&self) -> &'a str {
        let before = self.text.get(..self.at).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        line.trim_start_matches('\u{feff}')
    }

    fn is_first_of_line(&self) -> bool {
        self.line_before().trim().is_empty()
    }

    fn is_end_of_line(&self) -> bool {
        matches!(self.peek(), None | Some('\n')) || self.is_comment()
    }

    /// Whether white space or the end is so many bytes on.
    fn is_separated(&self, offset: usize) -> bool {
        self.rest().get(offset..).is_some_and(|rest| rest.chars().next().is_none_or(char::is_whitespace))
    }

    fn is_dash(&self) -> bool {
        self.peek() == Some('-') && self.is_separated(1)
    }

    /// Whether `---` or `...` stands at the start of a line.
    fn is_marker(&self) -> bool {
        let is_marker = self.rest().starts_with("---") || self.rest().starts_with("...");
        is_marker && self.column() == 0 && self.is_separated(3)
    }

    fn wrong(&self, message: &'static str) -> YamlError {
        YamlError { at: self.at, message }
    }
}
