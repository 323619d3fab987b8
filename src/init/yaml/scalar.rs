//! Scalars: text in quotes, without them, and in blocks.

use super::cursor::{Cursor, Read};
use super::tree::{YamlError, YamlValue};

impl<'a> Cursor<'a> {
    /// `|` and `>`: what follows is text, whatever it looks like.
    pub(super) fn literal(&mut self, parent: isize) -> YamlValue<'a> {
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
        YamlValue::Scalar { text, verbatim: false }
    }

    pub(super) fn quoted(&mut self) -> Read<YamlValue<'a>> {
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
                return Ok(YamlValue::Scalar { text, verbatim });
            }
            verbatim &= c != '\n';
        }
        Err(unended)
    }

    /// Text without quotes, which further lines may continue.
    pub(super) fn plain(&mut self, parent: isize) -> YamlValue<'a> {
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
                return YamlValue::Scalar { text, verbatim };
            }
            self.at += self.plain_line(false).len().max(1);
            text = self.text.get(start..self.at).unwrap_or_default();
            verbatim = false;
        }
    }

    /// What is left of the line up to a comment or `: `, and in brackets up to what ends an item.
    pub(super) fn plain_line(&self, in_flow: bool) -> &'a str {
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

    /// Text without quotes within brackets, which further lines may continue.
    pub(super) fn flow_plain(&mut self) -> YamlValue<'a> {
        let start = self.at;
        let mut verbatim = true;
        self.at += self.plain_line(true).len();
        loop {
            let end = self.at;
            self.skip_to_content();
            if self.peek().is_none_or(|c| ",[]{}:#".contains(c)) {
                self.at = end;
                let text = self.text.get(start..end).unwrap_or_default();
                return YamlValue::Scalar { text, verbatim };
            }
            self.at += self.plain_line(true).len().max(1);
            verbatim = false;
        }
    }
}
