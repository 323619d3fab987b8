//! YAML → a tree that knows where in the text everything stands: what a YAML library throws away, and what it takes to
//! change three characters of a file and no other.
//!
//! It reads what Compose files are written in, and refuses the rest by line: complex keys, aliases as keys, and more
//! than one document.

use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

mod reader;

/// A file's tree.
#[derive(Debug)]
pub(super) struct Document<'a> {
    pub(super) root: Rc<Node<'a>>,
    anchors: Anchors<'a>,
}

/// A value, and its bytes in the text.
#[derive(Debug)]
pub(super) struct Node<'a> {
    pub(super) span: Range<usize>,
    pub(super) value: Value<'a>,
}

#[derive(Debug)]
pub(super) enum Value<'a> {
    /// Nothing: `key:`
    Empty,
    /// Text, without its quotes. `verbatim` when it means what it says: no escapes, no second line.
    Scalar { text: &'a str, verbatim: bool },
    /// A list; one in brackets is `inline`.
    List { items: Vec<Rc<Node<'a>>>, inline: bool },
    /// A mapping; one in braces is `inline`.
    Map { entries: Vec<(Rc<Node<'a>>, Rc<Node<'a>>)>, inline: bool },
    /// `*name`
    Alias(&'a str),
}

/// What is no YAML that this module reads, and at which byte.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct YamlError {
    pub(super) at: usize,
    pub(super) message: &'static str,
}

/// What anchors name.
type Anchors<'a> = BTreeMap<&'a str, Rc<Node<'a>>>;

/// How many aliases may lead to each other, and how deep mappings may be merged into mappings. Nobody needs more, and
/// an alias may stand within its own anchor.
const DEPTH: usize = 5;

impl<'a> Document<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, YamlError> {
        reader::read(text).map(|(root, anchors)| Self { root, anchors })
    }

    /// The value itself, where it is an alias.
    pub(super) fn resolve<'n>(&'n self, node: &'n Node<'a>) -> &'n Node<'a> {
        let mut found = node;
        for _ in 0..DEPTH {
            let Value::Alias(name) = found.value else { break };
            let Some(anchored) = self.anchors.get(name) else { break };
            found = anchored;
        }
        found
    }

    /// The entries of a mapping in the order of the text, without those that `<<` merges into it.
    pub(super) fn entries<'n>(
        &'n self,
        node: &'n Node<'a>,
    ) -> impl Iterator<Item = (&'n Node<'a>, &'n Node<'a>)> {
        let entries: &[(Rc<Node<'a>>, Rc<Node<'a>>)] = match &self.resolve(node).value {
            Value::Map { entries, .. } => entries,
            Value::Empty | Value::Scalar { .. } | Value::List { .. } | Value::Alias(_) => &[],
        };
        entries.iter().map(|(key, value)| (&**key, self.resolve(value)))
    }

    /// The items of a list.
    pub(super) fn items<'n>(&'n self, node: &'n Node<'a>) -> impl Iterator<Item = &'n Node<'a>> {
        let items: &[Rc<Node<'a>>] = match &self.resolve(node).value {
            Value::List { items, .. } => items,
            Value::Empty | Value::Scalar { .. } | Value::Map { .. } | Value::Alias(_) => &[],
        };
        items.iter().map(|item| self.resolve(item))
    }

    /// The value of a key, own or merged with `<<`.
    pub(super) fn get<'n>(&'n self, node: &'n Node<'a>, key: &str) -> Option<&'n Node<'a>> {
        self.get_within(node, key, DEPTH)
    }

    fn get_within<'n>(&'n self, node: &'n Node<'a>, key: &str, depth: usize) -> Option<&'n Node<'a>> {
        let depth = depth.checked_sub(1)?;
        let own = self.entries(node).find(|(name, _)| name.text() == Some(key)).map(|(_, value)| value);
        own.or_else(|| {
            let merged =
                self.entries(node).filter(|(name, _)| name.text() == Some("<<")).map(|(_, value)| value);
            let mut sources = merged.flat_map(|value| std::iter::once(value).chain(self.items(value)));
            sources.find_map(|source| self.get_within(source, key, depth))
        })
    }
}

impl<'a> Node<'a> {
    /// The text of a scalar.
    pub(super) fn text(&self) -> Option<&'a str> {
        match self.value {
            Value::Scalar { text, .. } => Some(text),
            Value::Empty | Value::List { .. } | Value::Map { .. } | Value::Alias(_) => None,
        }
    }
}
