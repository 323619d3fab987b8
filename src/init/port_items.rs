//! An item of a service's `ports:` → the host ports that it publishes, and what a template puts in their
//! place.

use std::ops::{Range, RangeInclusive};

use super::compose_facts::{Expansion, WrittenPort};
use super::project::ComposeFile;
use super::published::{HostPort, Published, ShortForm};
use super::yaml::{Node, YamlTree, YamlValue};

/// The longest range whose ports become formulas. A media server with a thousand ports would fill the file.
const LONGEST_RANGE: usize = 100;

/// Why a text that differs from its meaning cannot be replaced in part.
const ESCAPED: &str = "it has escapes or more than one line";

/// An item that a template replaces.
pub(super) struct Replaced {
    pub(super) span: Range<usize>,
    pub(super) ports: Vec<WrittenPort>,
    pub(super) expansion: Option<Expansion>,
    /// The ports, as Compose would write them.
    pub(super) names: Vec<String>,
}

/// An item that stays as it is.
pub(super) struct Unmoved {
    pub(super) text: String,
    /// The ports, as Compose would write them.
    pub(super) names: Vec<String>,
    pub(super) why: &'static str,
}

/// What to do with an item; `None` if it chooses no host port.
pub(super) fn port_item(
    file: &ComposeFile,
    tree: &YamlTree<'_>,
    list: &Node<'_>,
    item: &Node<'_>,
) -> Option<Result<Replaced, Unmoved>> {
    match &item.value {
        YamlValue::Scalar { text, verbatim } => match ShortForm::parse(text) {
            ShortForm::Anywhere => None,
            ShortForm::Opaque => {
                let why = "one variable holds the ports of both sides";
                Some(Err(Unmoved { text: (*text).to_owned(), names: vec![(*text).to_owned()], why }))
            }
            ShortForm::At(_) if !verbatim => Some(Err(escaped_short_form(text))),
            ShortForm::At(published) => Some(short_form(file, list, item, (text, &published))),
        },
        YamlValue::Map { .. } => long_form(file, tree, item),
        YamlValue::Empty | YamlValue::List { .. } | YamlValue::Alias(_) => None,
    }
}

fn escaped_short_form(text: &str) -> Unmoved {
    let plain = unescaped(text);
    let names = match ShortForm::parse(&plain) {
        ShortForm::At(published) => {
            let host_text = plain.get(published.host_span.clone()).unwrap_or_default();
            published.host.names(host_text, published.is_expanded()).collect()
        }
        ShortForm::Anywhere | ShortForm::Opaque => Vec::new(),
    };
    Unmoved { text: text.to_owned(), names, why: ESCAPED }
}

fn long_form(file: &ComposeFile, tree: &YamlTree<'_>, item: &Node<'_>) -> Option<Result<Replaced, Unmoved>> {
    let published = tree.get(item, "published")?;
    let YamlValue::Scalar { text, verbatim } = published.value else { return None };
    if ["", "0", "null", "~"].contains(&text) {
        return None;
    }
    if !verbatim {
        let plain = unescaped(text);
        let names = HostPort::parse(&plain).names(&plain, false).collect();
        return Some(Err(Unmoved { text: text.to_owned(), names, why: ESCAPED }));
    }
    let host = HostPort::parse(text);
    let target = tree.get(item, "target").and_then(Node::text);
    let container = target.and_then(|target| HostPort::parse(target).ports);
    let first = |ports: &RangeInclusive<u16>| *ports.start();
    let port = WrittenPort::new(text, &host, host.ports.as_ref().map(first), container.as_ref().map(first));
    let names = host.names(text, false).collect();
    Some(Ok(Replaced { span: inner(file, published, text), ports: vec![port], expansion: None, names }))
}

fn short_form(
    file: &ComposeFile,
    list: &Node<'_>,
    item: &Node<'_>,
    (text, published): (&str, &Published),
) -> Result<Replaced, Unmoved> {
    let inner = inner(file, item, text);
    let host_text = text.get(published.host_span.clone()).unwrap_or_default();
    let host = &published.host;
    let names: Vec<String> = host.names(host_text, published.is_expanded()).collect();
    let numbers: Vec<u16> = host.ports.clone().into_iter().flatten().collect();
    let containers: Vec<u16> = published.container.clone().into_iter().flatten().collect();
    if !published.is_expanded() {
        let span = inner.start + published.host_span.start..inner.start + published.host_span.end;
        let port = WrittenPort::new(host_text, host, numbers.first().copied(), containers.first().copied());
        return Ok(Replaced { span, ports: vec![port], expansion: None, names });
    }
    let unmoved = |why| Unmoved { text: text.to_owned(), names: names.clone(), why };
    if numbers.len() > LONGEST_RANGE {
        return Err(unmoved("its range is longer than the 100 ports that become formulas"));
    }
    if numbers.len() != containers.len() {
        return Err(unmoved("its two ranges differ in length"));
    }
    let key = |number: &u16| {
        host.variable.as_ref().map_or_else(|| number.to_string(), |name| format!("${name} {number}"))
    };
    let port = |(number, container): (&u16, &u16)| WrittenPort {
        key: key(number),
        variable: None,
        number: Some(*number),
        container: Some(*container),
    };
    let quote = file.part(&(item.span.start..inner.start));
    let before = text.get(..published.host_span.start).unwrap_or_default();
    let after = text.get(published.container_span.end..).unwrap_or_default();
    let expansion = Expansion {
        before: format!("{quote}{before}"),
        after: format!("{after}{quote}"),
        separator: separator(file, list),
    };
    let ports = numbers.iter().zip(&containers).map(port).collect();
    Ok(Replaced { span: item.span.clone(), ports, expansion: Some(expansion), names })
}

/// The text between two items of a list.
fn separator(file: &ComposeFile, list: &Node<'_>) -> String {
    match list.value {
        YamlValue::List { inline: false, .. } => format!("\n{}- ", file.indent(list.span.start)),
        YamlValue::List { .. }
        | YamlValue::Empty
        | YamlValue::Scalar { .. }
        | YamlValue::Map { .. }
        | YamlValue::Alias(_) => ", ".to_owned(),
    }
}

/// What a text with escapes means. JSON has the escapes that matter here.
fn unescaped(text: &str) -> String {
    serde_json::from_str(&format!("\"{text}\"")).unwrap_or_else(|_| text.to_owned())
}

/// The bytes of a scalar without its quotes.
fn inner(file: &ComposeFile, node: &Node<'_>, scalar: &str) -> Range<usize> {
    let quotes = usize::from(file.part(&node.span).starts_with(['"', '\'']));
    node.span.start + quotes..node.span.start + quotes + scalar.len()
}
