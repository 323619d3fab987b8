//! `kinfra init --update`: adds what the project publishes and slots.toml does not know.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use toml_edit::{DocumentMut, Item, TableLike};

use super::draft::Reading;
use super::read::read;
use crate::compose::model::Model;
use crate::compose::overlay::{PortLine, port_lines};
use crate::compose::project::Project;
use crate::compose::resource::{Protocol, Target};
use crate::fault::Fault;
use crate::file::FileMode;
use crate::host::fs::{Dir, read_named};
use crate::host::invocation::Invocation;
use crate::host::project_staging::ProjectStaging;
use crate::spec::Spec;
use crate::which::choice::PoolChoice;
use crate::which::spec_file;

/// The most that slots.toml may be, in bytes.
const LIMIT: u64 = 16 << 20;

/// The staged file's name.
const STAGED: &str = "0";

/// What would change in slots.toml.
#[derive(Debug)]
pub struct Update {
    /// Its path.
    pub path: Utf8PathBuf,
    /// Its text now.
    pub old: String,
    /// Its text with what is added.
    pub new: String,
    /// The Compose files that were read, from the worktree.
    pub files: Vec<Utf8PathBuf>,
    /// Why Docker Compose could not be asked about them; `None` if it was.
    pub unasked: Option<String>,
    /// What the user should know, in sentences.
    pub notes: Vec<String>,
}

/// Finds what would change.
///
/// # Errors
/// When there is no slots.toml with `[compose]`, or the project cannot be read.
pub(crate) fn prepare_update(invocation: &Invocation) -> Result<Update> {
    let declared = spec_file::declared(&PoolChoice::default(), invocation)?;
    let (Some(path), Some(compose)) = (declared.path.clone(), declared.spec.compose.as_ref()) else {
        let what =
            format!("{} has no [compose], so it does not know what Compose files publish", declared.origin);
        return Err(Fault::refused(what)
            .advise("`kinfra init` makes a pool that does, where there is no slots.toml")
            .into());
    };
    let directory = path.parent().unwrap_or(&invocation.here);
    let project = Project::find(directory, compose)?;
    let reading = read(&declared.spec.name, &project, invocation)?;
    let bytes = read_named(&path, LIMIT).with_context(|| format!("could not read `{path}`"))?;
    let old = String::from_utf8(bytes.unwrap_or_default()).context("slots.toml is not UTF-8 text")?;
    let lines = port_lines(&reading.model, &declared.spec);
    let new = with_lines(&old, &lines).map_err(|reason| anyhow!("could not change `{path}`: {reason}"))?;
    let Reading { model, names, unasked, mut notes, .. } = reading;
    notes.extend(gone(&model, &declared.spec));
    Ok(Update { path, old, new, files: names, unasked, notes })
}

/// Writes it.
///
/// # Errors
/// When slots.toml changed meanwhile, or cannot be written.
pub(crate) fn write_update(update: &Update) -> Result<()> {
    let path: &Utf8Path = &update.path;
    let now = read_named(path, LIMIT).with_context(|| format!("could not read `{path}`"))?;
    if now.as_deref() != Some(update.old.as_bytes()) {
        let what = format!("`{path}` changed meanwhile");
        return Err(Fault::refused(what).advise("run it again").into());
    }
    let (parent, name) = path.parent().zip(path.file_name()).context("it names no file")?;
    let project = Dir::open(parent).with_context(|| format!("could not open `{parent}`"))?;
    let staging = ProjectStaging::begin(project)?;
    let mode = staging.project().mode_of(name).map(|bits| FileMode::parse(&format!("{:04o}", bits & 0o777)));
    let mode = mode.and_then(Result::ok).unwrap_or(FileMode::SHARED);
    let staged = staging.dir().write_new(STAGED, update.new.as_bytes(), mode);
    let replaced = staged
        .and_then(|file| Ok(file.sync_all()?))
        .and_then(|()| staging.dir().rename_over(STAGED, staging.project(), name));
    replaced.and(staging.end())
}

/// The text with further lines at the end of `[ports]`, and all else as it was.
fn with_lines(text: &str, lines: &[PortLine]) -> Result<String, String> {
    if lines.is_empty() {
        return Ok(text.to_owned());
    }
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
    let ports = document.get_mut("ports").and_then(Item::as_table_like_mut);
    let ports: &mut dyn TableLike = ports.ok_or("it has no [ports]")?;
    for line in lines {
        let line_alone: DocumentMut =
            line.to_string().parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
        let item = line_alone.get(&line.name).cloned().ok_or("a line has no port")?;
        ports.insert(&line.name, item);
    }
    let new = document.to_string();
    Spec::parse(&new)
        .map_err(|mistakes| mistakes.first().map(|mistake| mistake.message.clone()).unwrap_or_default())?;
    Ok(new)
}

/// The ports that slots.toml declares and nothing publishes any more.
fn gone(model: &Model, spec: &Spec) -> Vec<String> {
    let published: BTreeSet<Target> = model
        .services
        .iter()
        .flat_map(|(name, service)| {
            service.ports.iter().map(|port| Target {
                service: name.clone(),
                port: port.target,
                protocol: Protocol::udp_if(port.protocol == "udp"),
            })
        })
        .collect();
    let gone = spec.publish.iter().filter(|(_, publish)| !published.contains(&publish.target));
    let note = |(name, publish): (&crate::identifier::PortName, &crate::spec::PublishSpec)| {
        format!(
            "port `{name}` publishes `{}`, which the Compose files here do not: remove its line if no branch does",
            publish.target
        )
    };
    gone.map(note).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::model::{PublishedPort, Service};

    const TEXT: &str = "# mine\nversion = 1\n[pool]\nname = \"a\"\nroot = \"~/a\"\n[ports] # formulas\nweb  = { base = 8080, publish = \"web:80\" } # the app\n\n# sizes\n[[profiles]]\nname = \"one\"\n[[slots]]\nids = \"1-2\"\nprofile = \"one\"\n[compose]\n";

    #[test]
    fn lines_are_added_and_all_else_stays() {
        let spec = Spec::parse(TEXT).unwrap();
        let mut model = Model::default();
        let port = |target: u16, published: &str| PublishedPort {
            target,
            published: Some(published.to_owned()),
            ..PublishedPort::default()
        };
        let ports = vec![port(80, "8080"), port(81, "9000")];
        model.services.insert("web".to_owned(), Service { ports, ..Service::default() });
        let new = with_lines(TEXT, &port_lines(&model, &spec)).unwrap();
        let line = "web_81 = { base = 9000, publish = \"web:81\" }\n";
        assert_eq!(new, TEXT.replace("# the app\n", &format!("# the app\n{line}")));
        assert_eq!(gone(&model, &spec), Vec::<String>::new());
        model.services.clear();
        assert_eq!(gone(&model, &spec).len(), 1);
        assert_eq!(with_lines(TEXT, &[]).unwrap(), TEXT);
    }
}
