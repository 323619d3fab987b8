//! The tree of a YAML file, in which every value knows its bytes in the text.

use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

/// The tree of one file.
#[derive(Debug)]
pub(crate) struct YamlTree<'a> {
    pub(crate) root: Rc<Node<'a>>,
    anchors: Anchors<'a>,
}

/// A value, and its bytes in the text.
#[derive(Debug)]
pub(crate) struct Node<'a> {
    pub(crate) span: Range<usize>,
    pub(crate) value: YamlValue<'a>,
}

#[derive(Debug)]
pub(crate) enum YamlValue<'a> {
    /// Nothing: `key:`
    Empty,
    /// Text, without its quotes. `verbatim` if it has no escapes and no second line.
    Scalar { text: &'a str, verbatim: bool },
    /// A list; one in brackets is `inline`.
    List { items: Vec<Rc<Node<'a>>>, inline: bool },
    /// A mapping; one in braces is `inline`.
    Map { entries: Vec<(Rc<Node<'a>>, Rc<Node<'a>>)>, inline: bool },
    /// `*name`
    Alias(&'a str),
}

/// Why a text cannot be read, and at which byte.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct YamlError {
    pub(crate) at: usize,
    pub(crate) message: &'static str,
}

/// The values that anchors (`&name`) name.
pub(super) type Anchors<'a> = BTreeMap<&'a str, Rc<Node<'a>>>;

/// How many aliases may lead to one another, and how deep `<<` may merge mappings. The limit ends the search
/// where an alias stands within its own anchor.
const DEPTH: usize = 5;

impl<'a> YamlTree<'a> {
    pub(super) fn new(root: Rc<Node<'a>>, anchors: Anchors<'a>) -> Self {
        Self { root, anchors }
    }

    /// The value that an alias stands for; any other value is itself.
    fn resolve<'n>(&'n self, node: &'n Node<'a>) -> &'n Node<'a> {
        let mut found = node;
        for _ in 0..DEPTH {
            let YamlValue::Alias(name) = found.value else { break };
            let Some(anchored) = self.anchors.get(name) else { break };
            found = anchored;
        }
        found
    }

    /// The entries of a mapping in the order of the text, without those that `<<` merges into it.
    pub(crate) fn entries<'n>(
        &'n self,
        node: &'n Node<'a>,
    ) -> impl Iterator<Item = (&'n Node<'a>, &'n Node<'a>)> {
        let entries: &[(Rc<Node<'a>>, Rc<Node<'a>>)] = match &self.resolve(node).value {
            YamlValue::Map { entries, .. } => entries,
            YamlValue::Empty | YamlValue::Scalar { .. } | YamlValue::List { .. } | YamlValue::Alias(_) => &[],
        };
        entries.iter().map(|(key, value)| (&**key, self.resolve(value)))
    }

    /// The items of a list.
    pub(crate) fn items<'n>(&'n self, node: &'n Node<'a>) -> impl Iterator<Item = &'n Node<'a>> {
        let items: &[Rc<Node<'a>>] = match &self.resolve(node).value {
            YamlValue::List { items, .. } => items,
            YamlValue::Empty | YamlValue::Scalar { .. } | YamlValue::Map { .. } | YamlValue::Alias(_) => &[],
        };
        items.iter().map(|item| self.resolve(item))
    }

    /// The value of a key, own or merged with `<<`.
    pub(crate) fn get<'n>(&'n self, node: &'n Node<'a>, key: &str) -> Option<&'n Node<'a>> {
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
    pub(crate) fn text(&self) -> Option<&'a str> {
        match self.value {
            YamlValue::Scalar { text, .. } => Some(text),
            YamlValue::Empty | YamlValue::List { .. } | YamlValue::Map { .. } | YamlValue::Alias(_) => None,
        }
    }
}
