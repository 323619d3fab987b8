//! What a Compose file says that concerns a pool, each with its bytes in the text.

use std::ops::Range;

use camino::Utf8PathBuf;

use super::project::PublishedPorts;
use super::published::HostPort;

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct ComposeFacts {
    pub(super) places: Vec<PortPlace>,
    pub(super) includes: Vec<Include>,
    /// The ports of each service, as Compose would write them.
    pub(super) published: PublishedPorts,
    /// What the user should know, in sentences.
    pub(super) notes: Vec<String>,
    /// The services that `extends` another file, each with that file.
    pub(super) extends: Vec<(String, String)>,
}

/// A place in the text that publishes ports.
#[derive(Debug)]
pub(super) struct PortPlace {
    pub(super) service: String,
    pub(super) line: usize,
    /// The bytes to replace.
    pub(super) span: Range<usize>,
    /// The ports that it publishes; never empty.
    pub(super) ports: Vec<WrittenPort>,
    pub(super) expansion: Option<Expansion>,
}

/// A host port as written.
#[derive(Debug, Clone)]
pub(super) struct WrittenPort {
    /// Ports with the same key are the same port: the same number, or the same variable.
    pub(super) key: String,
    pub(super) variable: Option<String>,
    pub(super) number: Option<u16>,
    pub(super) container: Option<u16>,
}

/// How an item of a list becomes one item for each port of its range.
#[derive(Debug)]
pub(super) struct Expansion {
    pub(super) before: String,
    pub(super) after: String,
    pub(super) separator: String,
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
    /// As `path` of a mapping, or in a list there. A missing `project_directory` is to be written at this
    /// byte, followed by this separator.
    Long { project_directory: Option<(usize, String)> },
}

impl PortPlace {
    /// The text for this place in a template, given the names of its ports.
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

impl WrittenPort {
    pub(super) fn new(text: &str, host: &HostPort, number: Option<u16>, container: Option<u16>) -> Self {
        let key = match (&host.variable, number) {
            (Some(name), _) => format!("${name}"),
            (None, Some(number)) => number.to_string(),
            (None, None) => text.to_owned(),
        };
        // A variable that holds a range sets more than one port.
        let sets_one = host.ports.as_ref().is_none_or(|ports| ports.len() == 1);
        Self { key, variable: host.variable.clone().filter(|_| sets_one), number, container }
    }
}
