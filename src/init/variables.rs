//! Variables that are a published port and something else too.

use std::collections::{BTreeMap, BTreeSet};

use super::compose_file::ComposeFile;
use super::text::node::YamlNode;
use crate::compose::source::variables;

/// A note for each variable that sets a published port and stands elsewhere in the files. kinfra sets none of
/// them: what a service finds inside the network must not move.
pub(super) fn notes(sources: &[ComposeFile]) -> Vec<String> {
    let mut published: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut elsewhere: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources {
        for (key, node) in source.root.entries() {
            if key != "services" {
                add(node, source, &mut elsewhere);
                continue;
            }
            for (key, node) in node.entries().iter().flat_map(|(_, service)| service.entries()) {
                if key == "ports" {
                    ports(node, source, &mut published, &mut elsewhere);
                } else {
                    add(node, source, &mut elsewhere);
                }
            }
        }
    }
    let both = published.into_iter().filter_map(|(name, at)| Some((elsewhere.remove(&name)?, name, at)));
    // Both sides of one item are one port.
    let both = both.filter(|(elsewhere, _, at)| !elsewhere.is_subset(at));
    let list = |places: BTreeSet<String>| places.into_iter().collect::<Vec<_>>().join(", ");
    let note = |(elsewhere, name, at): (BTreeSet<String>, String, BTreeSet<String>)| {
        format!(
            "`{name}` is a published port ({}) and stands elsewhere too ({}): in a slot it keeps the project's value, and only the published port moves",
            list(at),
            list(elsewhere)
        )
    };
    both.map(note).collect()
}

type Places = BTreeMap<String, BTreeSet<String>>;

/// Sorts the variables of a list of ports: the host's part, and all else.
fn ports(node: &YamlNode, source: &ComposeFile, published: &mut Places, elsewhere: &mut Places) {
    for item in node.items() {
        match (item.text(), item.get("published")) {
            (Some(text), _) => {
                let at = container_at(text);
                let (host, container) = text.split_at_checked(at).unwrap_or((text, ""));
                for name in variables(host) {
                    published.entry(name).or_default().insert(source.at(item.line));
                }
                for name in variables(container) {
                    elsewhere.entry(name).or_default().insert(source.at(item.line));
                }
            }
            (None, Some(node)) => add(node, source, published),
            (None, None) => {}
        }
    }
}

/// Where the last part after a colon begins. Colons in braces do not count.
fn container_at(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    for (index, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ':' if depth == 0 => at = index,
            _ => {}
        }
    }
    at
}

fn add(node: &YamlNode, source: &ComposeFile, places: &mut Places) {
    for (line, text) in node.scalars() {
        for name in variables(text) {
            places.entry(name).or_default().insert(source.at(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_container_s_part_is_after_the_last_colon() {
        assert_eq!(container_at("${A:-1}:${B:-2}"), 7);
        assert_eq!(container_at("80"), 0);
    }
}
