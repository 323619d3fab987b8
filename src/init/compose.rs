//! A Compose file → what of it concerns a pool, each at its place in the text: published ports, included files, and
//! names that only one stack on a machine can have.

use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use super::published::{Entry, Host, Published};
use super::yaml::{Document, Node, Value};

/// The most ports of one range that become formulas; a thousand lines for a media server would help nobody.
const LONGEST_RANGE: usize = 100;

/// A Compose file of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComposeFile {
    /// Where it is, from the project's directory; it may lead out of it with `..`.
    pub path: Utf8PathBuf,
    /// What relative paths in it start from, from the project's directory.
    pub base: Utf8PathBuf,
    /// Its text.
    pub text: String,
}

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) places: Vec<Place>,
    pub(super) includes: Vec<Include>,
    /// The ports of each service as Compose would name them: service and host port.
    pub(super) published: BTreeSet<(String, String)>,
    /// What people should know, in sentences.
    pub(super) notes: Vec<String>,
    /// The services that take more from another file, and that file.
    pub(super) extends: Vec<(String, String)>,
}

/// A place in the text that publishes ports.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) service: String,
    pub(super) line: usize,
    /// The bytes to replace.
    pub(super) span: Range<usize>,
    /// The ports it publishes; never empty.
    pub(super) ports: Vec<WrittenPort>,
    expansion: Option<Expansion>,
}

/// A port of the host as written.
#[derive(Debug, Clone)]
pub(super) struct WrittenPort {
    /// Ports with the same key are the same port: the same number, or the same variable.
    pub(super) key: String,
    pub(super) variable: Option<String>,
    pub(super) number: Option<u16>,
    pub(super) container: Option<u16>,
}

/// An item of `ports:` that can be replaced.
struct Written {
    span: Range<usize>,
    ports: Vec<WrittenPort>,
    expansion: Option<Expansion>,
    /// The ports as Compose would name them.
    names: Vec<String>,
}

/// An item of `ports:` that stays as it is.
struct Unmoved {
    text: String,
    names: Vec<String>,
    why: &'static str,
}

/// Why a text that is not what it says cannot be replaced in part.
const ESCAPED: &str = "it has escapes or more than one line";

/// How an item of a list becomes one item for each port of its range.
#[derive(Debug)]
struct Expansion {
    before: String,
    after: String,
    separator: String,
}

/// A file that another includes.
#[derive(Debug)]
pub(super) struct Include {
    /// From the project's directory.
    pub(super) path: Utf8PathBuf,
    pub(super) base: Utf8PathBuf,
    /// The bytes that name it.
    pub(super) span: Range<usize>,
    pub(super) form: IncludeForm,
}

/// How an included file is named.
#[derive(Debug)]
pub(super) enum IncludeForm {
    /// By its path alone.
    Short,
    /// As `path` of a mapping, or one of several there. `at` is where, and `separator` before what, a missing
    /// `project_directory` goes.
    Long { project_directory: Option<(usize, String)> },
}

impl Place {
    /// What stands here in a template, the ports by their names.
    pub(super) fn replacement(&self, names: &[&str]) -> String {
        let variable = |name: &str| format!("{{{{ ports.{name} }}}}");
        let Some(Expansion { before, after, separator }) = &self.expansion else {
            return names.iter().copied().map(variable).collect();
        };
        let items = names.iter().zip(&self.ports).map(|(name, port)| {
            let container = port.container.map(|container| container.to_string()).unwrap_or_default();
            format!("{before}{}:{container}{after}", variable(name))
        });
        items.collect::<Vec<_>>().join(separator)
    }
}

impl ComposeFile {
    /// Reads the file.
    ///
    /// # Errors
    /// A sentence that says where it is no YAML that kinfra reads.
    pub(super) fn facts(&self) -> Result<Facts, String> {
        let document = Document::parse(&self.text).map_err(|error| {
            format!("cannot read `{}`, line {}: {}", self.path, self.line(error.at), error.message)
        })?;
        let mut facts = Facts::default();
        self.services(&document, &mut facts);
        for kind in ["volumes", "networks"] {
            facts.notes.extend(shared(&document, kind));
        }
        for item in document.get(&document.root, "include").into_iter().flat_map(|all| document.items(all)) {
            self.include(&document, item, &mut facts);
        }
        Ok(facts)
    }

    /// Notes what the services publish, and what keeps a slot from having them to itself.
    fn services(&self, document: &Document<'_>, facts: &mut Facts) {
        let mut seen = BTreeSet::new();
        let services = document.get(&document.root, "services");
        for (name, service) in services.into_iter().flat_map(|services| document.entries(services)) {
            let Some(name) = name.text() else { continue };
            for key in ["container_name", "network_mode"] {
                let value = document.get(service, key).and_then(Node::text);
                facts.notes.extend(value.and_then(|value| fixed(name, key, value)));
            }
            let extends = document.get(service, "extends").and_then(|extends| document.get(extends, "file"));
            facts.extends.extend(extends.and_then(Node::text).map(|file| (name.to_owned(), file.to_owned())));
            let Some(list) = document.get(service, "ports") else { continue };
            for item in document.items(list) {
                let Some(written) = self.written(document, list, item) else { continue };
                let is_new = seen.insert(item.span.start);
                self.entry(name, written, self.line(item.span.start), is_new, facts);
            }
        }
    }

    /// Notes what an item of `ports:` publishes.
    fn entry(
        &self,
        service: &str,
        written: Result<Written, Unmoved>,
        line: usize,
        is_new: bool,
        facts: &mut Facts,
    ) {
        match written {
            Ok(Written { span, ports, expansion, names }) => {
                facts.published.extend(names.into_iter().map(|name| (service.to_owned(), name)));
                // What `<<` and aliases bring in stands in the text once.
                if is_new {
                    facts.places.push(Place { service: service.to_owned(), line, span, ports, expansion });
                }
            }
            Err(Unmoved { text, names, why }) => {
                facts.published.extend(names.into_iter().map(|name| (service.to_owned(), name)));
                facts.notes.push(format!(
                    "`{text}` of service {service} ({}:{line}) is left as it is, and every slot would publish it: {why}",
                    self.path
                ));
            }
        }
    }

    /// What to replace for an item of `ports:`; `None` if it publishes no port of the host that somebody chose.
    fn written(
        &self,
        document: &Document<'_>,
        list: &Node<'_>,
        item: &Node<'_>,
    ) -> Option<Result<Written, Unmoved>> {
        match &item.value {
            Value::Scalar { text, verbatim } => match Entry::parse(text) {
                Entry::Anywhere => None,
                Entry::Opaque => {
                    let why = "one variable holds the ports of both sides";
                    Some(Err(Unmoved { text: (*text).to_owned(), names: vec![(*text).to_owned()], why }))
                }
                Entry::At(_) if !verbatim => {
                    let plain = unescaped(text);
                    let names = match Entry::parse(&plain) {
                        Entry::At(published) => published
                            .host
                            .names(part(&plain, &published.host_span), published.is_expanded())
                            .collect(),
                        Entry::Anywhere | Entry::Opaque => Vec::new(),
                    };
                    Some(Err(Unmoved { text: (*text).to_owned(), names, why: ESCAPED }))
                }
                Entry::At(published) => Some(self.short(list, item, text, &published)),
            },
            Value::Map { .. } => {
                let published = document.get(item, "published")?;
                let Value::Scalar { text, verbatim } = published.value else { return None };
                if ["", "0", "null", "~"].contains(&text) {
                    return None;
                }
                if !verbatim {
                    let plain = unescaped(text);
                    let names = Host::parse(&plain).names(&plain, false).collect();
                    return Some(Err(Unmoved { text: (*text).to_owned(), names, why: ESCAPED }));
                }
                let host = Host::parse(text);
                let target = document.get(item, "target").and_then(Node::text);
                let container = target.and_then(|target| Host::parse(target).ports);
                let first = |ports: &RangeInclusive<u16>| *ports.start();
                let port = WrittenPort::new(
                    text,
                    &host,
                    host.ports.as_ref().map(first),
                    container.as_ref().map(first),
                );
                let span = inner(published, &self.text, text);
                let names = host.names(text, false).collect();
                Some(Ok(Written { span, ports: vec![port], expansion: None, names }))
            }
            Value::Empty | Value::List { .. } | Value::Alias(_) => None,
        }
    }

    /// What to replace for an item of the short form.
    fn short(
        &self,
        list: &Node<'_>,
        item: &Node<'_>,
        text: &str,
        published: &Published,
    ) -> Result<Written, Unmoved> {
        let inner = inner(item, &self.text, text);
        let host_text = part(text, &published.host_span);
        let host = &published.host;
        let names: Vec<String> = host.names(host_text, published.is_expanded()).collect();
        let numbers: Vec<u16> = host.ports.clone().into_iter().flatten().collect();
        let containers: Vec<u16> = published.container.clone().into_iter().flatten().collect();
        if !published.is_expanded() {
            let span = inner.start + published.host_span.start..inner.start + published.host_span.end;
            let port =
                WrittenPort::new(host_text, host, numbers.first().copied(), containers.first().copied());
            return Ok(Written { span, ports: vec![port], expansion: None, names });
        }
        let unmoved = |why| Unmoved { text: text.to_owned(), names: names.clone(), why };
        if numbers.len() > LONGEST_RANGE {
            return Err(unmoved("its range is longer than the 100 ports that become formulas"));
        }
        if numbers.len() != containers.len() {
            return Err(unmoved("its two ranges differ in length"));
        }
        let port = |(number, container): (&u16, &u16)| WrittenPort {
            key: host
                .variable
                .as_ref()
                .map_or_else(|| number.to_string(), |name| format!("${name} {number}")),
            variable: None,
            number: Some(*number),
            container: Some(*container),
        };
        let quote = part(&self.text, &(item.span.start..inner.start));
        let expansion = Expansion {
            before: format!("{quote}{}", part(text, &(0..published.host_span.start))),
            after: format!("{}{quote}", part(text, &(published.container_span.end..text.len()))),
            separator: self.separator(list),
        };
        let ports = numbers.iter().zip(&containers).map(port).collect();
        Ok(Written { span: item.span.clone(), ports, expansion: Some(expansion), names })
    }

    /// What stands between two items of a list.
    fn separator(&self, list: &Node<'_>) -> String {
        match list.value {
            Value::List { inline: false, .. } => format!("\n{}- ", self.indent(list.span.start)),
            Value::List { .. }
            | Value::Empty
            | Value::Scalar { .. }
            | Value::Map { .. }
            | Value::Alias(_) => ", ".to_owned(),
        }
    }

    /// Notes the files that an item of `include:` names.
    fn include(&self, document: &Document<'_>, item: &Node<'_>, facts: &mut Facts) {
        let directory = document.get(item, "project_directory").and_then(Node::text);
        let (paths, place) = match &item.value {
            Value::Scalar { .. } => (vec![item], None),
            Value::Map { inline, .. } => {
                let entry = document.entries(item).find(|(key, _)| key.text() == Some("path"));
                let Some((key, value)) = entry else { return };
                let separator =
                    if *inline { ", ".to_owned() } else { format!("\n{}", self.indent(key.span.start)) };
                let paths =
                    if value.text().is_some() { vec![value] } else { document.items(value).collect() };
                (paths, Some((key.span.start, separator)))
            }
            Value::Empty | Value::List { .. } | Value::Alias(_) => return,
        };
        let named = paths.first().and_then(|path| path.text()).map(|path| self.base.join(path));
        let base = match (directory, named) {
            (Some(directory), _) => normal(&self.base.join(directory)),
            (None, Some(first)) => normal(first.parent().unwrap_or(&self.base)),
            (None, None) => return,
        };
        let mut place = place.map(|place| (directory.is_none()).then_some(place));
        for node in paths {
            let Value::Scalar { text, verbatim: true } = node.value else { continue };
            let path = normal(&self.base.join(text));
            let is_remote = text.contains("://") || text.starts_with("git@") || text.starts_with("oci:");
            if is_remote
                || path.is_absolute()
                || path.as_str().contains(['$', '"', '\\', '~'])
                || path.as_str().chars().any(char::is_control)
            {
                facts.notes.push(format!(
                    "`{text}`, included by {}, is left as it is, and every slot would publish its ports: kinfra reads included files by relative paths only",
                    self.path
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

    /// The number of the line that a byte is on.
    fn line(&self, at: usize) -> usize {
        part(&self.text, &(0..at)).matches('\n').count() + 1
    }

    /// As many spaces as stand before a byte on its line, or other characters in their place.
    fn indent(&self, at: usize) -> String {
        let line = part(&self.text, &(0..at)).rsplit('\n').next().unwrap_or_default();
        " ".repeat(line.chars().count())
    }
}

impl WrittenPort {
    fn new(text: &str, host: &Host, number: Option<u16>, container: Option<u16>) -> Self {
        let key = match (&host.variable, number) {
            (Some(name), _) => format!("${name}"),
            (None, Some(number)) => number.to_string(),
            (None, None) => text.to_owned(),
        };
        // One variable for a range sets more than this one port.
        let sets_one = host.ports.as_ref().is_none_or(|ports| ports.len() == 1);
        Self { key, variable: host.variable.clone().filter(|_| sets_one), number, container }
    }
}

/// What keeps two slots from running a service at the same time.
fn fixed(service: &str, key: &str, value: &str) -> Option<String> {
    match (key, value) {
        ("container_name", _) if is_fixed(value) => Some(format!(
            "only one slot at a time can run service {service}, because of its `container_name: {value}`: without it, Compose names each slot's own"
        )),
        ("network_mode", "host") => Some(format!(
            "service {service} listens on the host's own ports, because of its `network_mode: host`: kinfra cannot move them"
        )),
        _ => None,
    }
}

/// The volumes or networks that all slots share, though the file means to make them.
fn shared(document: &Document<'_>, kind: &str) -> Vec<String> {
    let declared = document.get(&document.root, kind).into_iter().flat_map(|all| document.entries(all));
    let own = declared.filter(|(_, value)| document.get(value, "external").is_none());
    let named = own.filter_map(|(key, value)| Some((key.text()?, document.get(value, "name")?.text()?)));
    let fixed = named.filter(|(_, name)| is_fixed(name));
    let note = |(key, name)| {
        format!(
            "all slots share `{name}`, because `{key}` of {kind} has it as its fixed name: without `name:`, each slot has its own"
        )
    };
    fixed.map(note).collect()
}

/// Whether a name is the same in every slot.
fn is_fixed(name: &str) -> bool {
    !name.contains("COMPOSE_PROJECT_NAME")
}

fn part<'a>(text: &'a str, span: &Range<usize>) -> &'a str {
    text.get(span.clone()).unwrap_or_default()
}

/// What a text with escapes says, where JSON has them too.
fn unescaped(text: &str) -> String {
    serde_json::from_str(&format!("\"{text}\"")).unwrap_or_else(|_| text.to_owned())
}

/// The bytes of a scalar without its quotes.
fn inner(node: &Node<'_>, text: &str, scalar: &str) -> Range<usize> {
    let quotes = usize::from(part(text, &node.span).starts_with(['"', '\'']));
    node.span.start + quotes..node.span.start + quotes + scalar.len()
}

/// A path without `.`, and without `..` where it only takes back what stands before it.
pub(super) fn normal(path: &Utf8Path) -> Utf8PathBuf {
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
