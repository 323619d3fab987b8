//! A place in a YAML text that moves forward, and what stands there.

use super::tree::YamlError;

/// What reading a part of the text gives.
pub(super) type Read<T> = Result<T, YamlError>;

/// A place in a text.
pub(super) struct Cursor<'a> {
    pub(super) text: &'a str,
    /// The byte it is at.
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn eat(&mut self, c: char) -> bool {
        let eaten = self.peek() == Some(c);
        self.at += if eaten { c.len_utf8() } else { 0 };
        eaten
    }

    pub(super) fn skip_spaces(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start_matches([' ', '\t', '\r']).len();
    }

    pub(super) fn skip_line(&mut self) {
        self.at += self.rest().find('\n').map_or(self.rest().len(), |end| end + 1);
    }

    /// Skips spaces, line ends and comments.
    pub(super) fn skip_to_content(&mut self) {
        loop {
            self.at += self.rest().len() - self.rest().trim_start().len();
            if !self.is_comment() {
                return;
            }
            self.skip_line();
        }
    }

    pub(super) fn is_comment(&self) -> bool {
        self.peek() == Some('#') && self.line_before().chars().next_back().is_none_or(char::is_whitespace)
    }

    pub(super) fn column(&self) -> isize {
        isize::try_from(self.line_before().len()).unwrap_or(isize::MAX)
    }

    /// What stands before this place on its line.
    pub(super) fn line_before(&self) -> &'a str {
        let before = self.text.get(..self.at).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        line.trim_start_matches('\u{feff}')
    }

    pub(super) fn is_first_of_line(&self) -> bool {
        self.line_before().trim().is_empty()
    }

    pub(super) fn is_end_of_line(&self) -> bool {
        matches!(self.peek(), None | Some('\n')) || self.is_comment()
    }

    /// Whether white space or the end is so many bytes on.
    pub(super) fn is_separated(&self, offset: usize) -> bool {
        self.rest().get(offset..).is_some_and(|rest| rest.chars().next().is_none_or(char::is_whitespace))
    }

    pub(super) fn is_dash(&self) -> bool {
        self.peek() == Some('-') && self.is_separated(1)
    }

    /// Whether `---` or `...` stands at the start of a line.
    pub(super) fn is_marker(&self) -> bool {
        let is_marker = self.rest().starts_with("---") || self.rest().starts_with("...");
        is_marker && self.column() == 0 && self.is_separated(3)
    }

    /// The name of an anchor, alias or tag, without its sign.
    pub(super) fn property(&mut self) -> &'a str {
        let ends = |c: char| c.is_whitespace() || ",[]{}".contains(c);
        let property = self.rest().split(ends).next().unwrap_or_default();
        self.at += property.len();
        property.get(1..).unwrap_or_default()
    }

    pub(super) fn wrong(&self, message: &'static str) -> YamlError {
        YamlError { at: self.at, message }
    }
}
