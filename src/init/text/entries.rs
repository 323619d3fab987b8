//! Values that Compose takes as a mapping or as a list of `NAME=VALUE`.

use std::collections::BTreeMap;

use super::interpolate::interpolate;
use super::node::{YamlNode, YamlValue};
use crate::dotenv::Variables;

/// The names and values, in either form. A name without a value has `None`.
pub(super) fn entries(node: &YamlNode, variables: &Variables) -> BTreeMap<String, Option<String>> {
    let value = |node: &YamlNode| node.text().map(|text| interpolate(text, variables));
    let in_map = node.entries().iter().map(|(name, node)| (name.clone(), value(node)));
    let in_list = node.items().iter().filter_map(YamlNode::text).map(|item| {
        let item = interpolate(item, variables);
        let (name, value) = item.split_once('=').map_or((&*item, None), |(name, value)| (name, Some(value)));
        (name.to_owned(), value.map(str::to_owned))
    });
    in_map.chain(in_list).collect()
}

/// The texts of a list, or of one scalar.
pub(super) fn texts(node: &YamlNode, variables: &Variables) -> Vec<String> {
    let nodes = if let YamlValue::List(items) = &node.value { items } else { std::slice::from_ref(node) };
    nodes.iter().filter_map(YamlNode::text).map(|text| interpolate(text, variables)).collect()
}
