//! A Compose file → [`ComposeFacts`]: published ports, included files, and what the slots would have to
//! share.

use std::collections::BTreeSet;

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use super::compose_facts::{ComposeFacts, Include, IncludeForm, PortPlace};
use super::port_items::{Replaced, Unmoved, port_item};
use super::project::{ComposeFile, PublishedPorts};
use super::yaml::{self, Node, YamlTree, YamlValue};

/// Reads a file.
///
/// # Errors
/// A sentence that says which line kinfra cannot read, and why.
pub(super) fn facts(file: &ComposeFile) -> Result<ComposeFacts, String> {
    let tree = yaml::parse(&file.text).map_err(|error| {
        format!("cannot read `{}`, line {}: {}", file.path, file.line(error.at), error.message)
    })?;
    let mut facts = ComposeFacts::default();
    services(file, &tree, &mut facts);
    for kind in ["volumes", "networks"] {
        facts.notes.extend(shared(&tree, kind));
    }
    for item in tree.get(&tree.root, "include").into_iter().flat_map(|all| tree.items(all)) {
        include(file, &tree, item, &mut facts);
    }
    Ok(facts)
}

/// The files that a file includes, each with the directory that relative paths in it start from. Both are
/// from the project's directory.
///
/// # Errors
/// A sentence that says which line kinfra cannot read, and why.
pub(super) fn includes(file: &ComposeFile) -> Result<Vec<(Utf8PathBuf, Utf8PathBuf)>, String> {
    Ok(facts(file)?.includes.into_iter().map(|include| (include.path, include.base)).collect())
}

/// The published ports in the output of `docker compose config --format json`; `None` if the text is
/// something else.
pub(super) fn published(config: &str) -> Option<PublishedPorts> {
    // JSON is YAML, so the same reader reads it.
    let file = ComposeFile { path: Utf8PathBuf::new(), base: Utf8PathBuf::new(), text: config.to_owned() };
    facts(&file).ok().map(|facts| facts.published)
}

/// Collects what the services publish, and notes what two slots would have to share.
fn services(file: &ComposeFile, tree: &YamlTree<'_>, facts: &mut ComposeFacts) {
    let mut seen = BTreeSet::new();
    let services = tree.get(&tree.root, "services");
    for (name, service) in services.into_iter().flat_map(|services| tree.entries(services)) {
        let Some(name) = name.text() else { continue };
        for key in ["container_name", "network_mode"] {
            let value = tree.get(service, key).and_then(Node::text);
            facts.notes.extend(value.and_then(|value| fixed(name, key, value)));
        }
        let extends = tree.get(service, "extends").and_then(|extends| tree.get(extends, "file"));
        facts.extends.extend(extends.and_then(Node::text).map(|file| (name.to_owned(), file.to_owned())));
        let Some(list) = tree.get(service, "ports") else { continue };
        for item in tree.items(list) {
            let line = file.line(item.span.start);
            let (names, place) = match port_item(file, tree, list, item) {
                None => continue,
                Some(Ok(Replaced { span, ports, expansion, names })) => {
                    (names, Some(PortPlace { service: name.to_owned(), line, span, ports, expansion }))
                }
                Some(Err(Unmoved { text, names, why })) => {
                    facts.notes.push(format!(
                        "`{text}` of service {name} ({}:{line}) is left as it is, and every slot would publish it: {why}",
                        file.path
                    ));
                    (names, None)
                }
            };
            facts.published.extend(names.into_iter().map(|port| (name.to_owned(), port)));
            // `<<` and aliases lead to one place in the text from several services.
            if seen.insert(item.span.start) {
                facts.places.extend(place);
            }
        }
    }
}

/// Collects the files that an item of `include:` names.
fn include(file: &ComposeFile, tree: &YamlTree<'_>, item: &Node<'_>, facts: &mut ComposeFacts) {
    let directory = tree.get(item, "project_directory").and_then(Node::text);
    let (paths, place) = match &item.value {
        YamlValue::Scalar { .. } => (vec![item], None),
        YamlValue::Map { inline, .. } => {
            let entry = tree.entries(item).find(|(key, _)| key.text() == Some("path"));
            let Some((key, value)) = entry else { return };
            let separator =
                if *inline { ", ".to_owned() } else { format!("\n{}", file.indent(key.span.start)) };
            let paths = if value.text().is_some() { vec![value] } else { tree.items(value).collect() };
            (paths, Some((key.span.start, separator)))
        }
        YamlValue::Empty | YamlValue::List { .. } | YamlValue::Alias(_) => return,
    };
    let first = paths.first().and_then(|path| path.text()).map(|path| file.base.join(path));
    let base = match (directory, first) {
        (Some(directory), _) => normal(&file.base.join(directory)),
        (None, Some(first)) => normal(first.parent().unwrap_or(&file.base)),
        (None, None) => return,
    };
    let mut place = place.map(|place| (directory.is_none()).then_some(place));
    for node in paths {
        let YamlValue::Scalar { text, verbatim: true } = node.value else { continue };
        let path = normal(&file.base.join(text));
        if !is_plain_relative(text, &path) {
            facts.notes.push(format!(
                "`{text}`, included by {}, is left as it is, and every slot would publish its ports: kinfra reads included files by relative paths only",
                file.path
            ));
            continue;
        }
        let form = match &mut place {
            None => IncludeForm::Short,
            Some(project_directory) => IncludeForm::Long { project_directory: project_directory.take() },
        };
        facts.includes.push(Include { path, base: base.clone(), span: node.span.clone(), form });
    }
}

/// Whether an included file is named by a relative path without variables; `path` is that from the project's
/// directory.
fn is_plain_relative(text: &str, path: &Utf8Path) -> bool {
    let is_remote = text.contains("://") || text.starts_with("git@") || text.starts_with("oci:");
    !is_remote
        && !path.is_absolute()
        && !path.as_str().contains(['$', '"', '\\', '~'])
        && !path.as_str().chars().any(char::is_control)
}

/// What keeps two slots from running a service at the same time, if this key does.
fn fixed(service: &str, key: &str, value: &str) -> Option<String> {
    match (key, value) {
        ("container_name", _) if is_fixed(value) => Some(format!(
            "only one slot at a time can run service {service}, because of its `container_name: {value}`. Remove that line, and each slot has a container of its own"
        )),
        ("network_mode", "host") => Some(format!(
            "service {service} listens on the host's own ports, because of its `network_mode: host`: kinfra cannot move them"
        )),
        _ => None,
    }
}

/// A note for each volume or network of the file that all slots would share.
fn shared(tree: &YamlTree<'_>, kind: &str) -> Vec<String> {
    let declared = tree.get(&tree.root, kind).into_iter().flat_map(|all| tree.entries(all));
    let own = declared.filter(|(_, value)| tree.get(value, "external").is_none());
    let named = own.filter_map(|(key, value)| Some((key.text()?, tree.get(value, "name")?.text()?)));
    let fixed = named.filter(|(_, name)| is_fixed(name));
    let note = |(key, name)| {
        format!(
            "all slots share `{name}`, because `{key}` of {kind} has a fixed name. Remove its `name:`, and each slot has its own"
        )
    };
    fixed.map(note).collect()
}

/// Whether a name is the same in every slot.
fn is_fixed(name: &str) -> bool {
    !name.contains("COMPOSE_PROJECT_NAME")
}

/// A path without `.`, and without each `..` that only takes back the component before it.
fn normal(path: &Utf8Path) -> Utf8PathBuf {
    let mut normal = Utf8PathBuf::new();
    for component in path.components() {
        match component {
            Utf8Component::CurDir => {}
            Utf8Component::ParentDir if normal.file_name().is_some() => drop(normal.pop()),
            Utf8Component::ParentDir
            | Utf8Component::Normal(_)
            | Utf8Component::RootDir
            | Utf8Component::Prefix(_) => {
                normal.push(component);
            }
        }
    }
    normal
}
