//! `[compose]` and `[services]`: how the worktree's own Compose files are run.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;

use super::declared::{ComposeSpec, FileSpec, VariableSpec};
use super::env;
use super::invalid::Invalid;
use super::keys::{Keys, user_key};
use super::mistake::Mistake;
use super::stack::service_name;
use super::value::{TomlValue, list, text};
use crate::compose::resource::{PerSlot, Resource};
use crate::file::RelPath;
use crate::names::ENV_FILE;

/// Reads the tables. `None` without [compose], and after a mistake was noted.
pub(super) fn read(
    file: &mut Keys<'_>,
    copy: Option<Vec<RelPath>>,
    mistakes: &mut Vec<Mistake>,
) -> Option<ComposeSpec> {
    let compose = file.get("compose").map(|value| compose(value, mistakes));
    let services = file.get("services");
    if let (None, Some(services)) = (&compose, services) {
        mistakes.push(needs_compose(services.span(), "[services]"));
    }
    let environment = services.map_or(Some(BTreeMap::new()), |value| environment(value, mistakes));
    Some(ComposeSpec { environment: environment?, copy: copy?, ..compose?? })
}

/// Says that a part has no meaning in a pool without Compose files of its own.
pub(super) fn needs_compose(span: Range<usize>, what: &str) -> Mistake {
    let help = "add [compose] to run the worktree's own Compose files".to_owned();
    Mistake::new(span, format!("{what} needs [compose]")).help(help)
}

fn compose(value: TomlValue<'_>, mistakes: &mut Vec<Mistake>) -> Option<ComposeSpec> {
    let mut keys = Keys::of(value, "[compose]", mistakes)?;
    let files = keys.get("files").map(|value| files(value, mistakes));
    let shared = match keys.get("shared") {
        None => Some(Vec::new()),
        Some(value) => list(value, "`shared`", "a resource", mistakes, Resource::parse),
    };
    let per_slot = match keys.get("per_slot") {
        None => Some(Vec::new()),
        Some(value) => per_slot(value, mistakes),
    };
    keys.finish(mistakes);
    let (shared, per_slot) = (shared?, per_slot?);
    refuse_twice(&shared, &per_slot, mistakes);
    Some(ComposeSpec {
        files: files.map_or(Some(None), |files| files.map(Some))?,
        shared: shared.into_iter().map(Spanned::into_inner).collect(),
        per_slot: per_slot.into_iter().map(|(resource, own)| (resource.into_inner(), own)).collect(),
        ..ComposeSpec::default()
    })
}

fn files(value: TomlValue<'_>, mistakes: &mut Vec<Mistake>) -> Option<Vec<RelPath>> {
    let files = paths(value, "`files`", mistakes)?;
    let files: Vec<RelPath> = files.into_iter().map(Spanned::into_inner).collect();
    if files.is_empty() {
        let help = "leave it out for the files that Compose itself finds".to_owned();
        mistakes.push(Mistake::new(value.span(), "`files` is empty").help(help));
    }
    Some(files)
}

/// Reads paths in the worktree. Each may stand once.
pub(super) fn paths(
    value: TomlValue<'_>,
    what: &str,
    mistakes: &mut Vec<Mistake>,
) -> Option<Vec<Spanned<RelPath>>> {
    let paths = list(value, what, "a file", mistakes, RelPath::new)?;
    for (index, path) in paths.iter().enumerate() {
        let is_same = |earlier: &&Spanned<RelPath>| earlier.get_ref() == path.get_ref();
        if let Some(earlier) = paths.iter().take(index).find(is_same) {
            let mistake = Mistake::new(path.span(), format!("file `{}` is listed twice", path.get_ref()));
            mistakes.push(mistake.related(earlier.span(), "first listed here"));
        }
    }
    Some(paths)
}

fn per_slot(value: TomlValue<'_>, mistakes: &mut Vec<Mistake>) -> Option<Vec<(Spanned<Resource>, PerSlot)>> {
    let keys = Keys::of(value, "[compose.per_slot]", mistakes)?;
    let read = keys.entries().map(|(key, value)| {
        let resource = user_key(&key, |text| replaceable(Resource::parse(text)?), mistakes)?;
        let own = text(value, "what a slot has of its own", mistakes, |text| own(&resource, text))?;
        Some((Spanned::new(key.span(), resource), own))
    });
    let mut read: Vec<_> = read.collect::<Vec<_>>().into_iter().collect::<Option<_>>()?;
    read.sort_by_key(|(resource, _)| resource.span().start);
    Some(read)
}

/// A resource that each slot can have its own of.
fn replaceable(resource: Resource) -> Result<Resource, Invalid> {
    let help = match resource {
        Resource::Volume(_) | Resource::Network(_) | Resource::Mount(_) => return Ok(resource),
        Resource::Image(_) => "every slot has its own images already; list it in `shared` if one is for all",
        Resource::Device(_) => {
            "write `\"volume:NAME\" = \"own\"` for the volume on it, or list it in `shared`"
        }
    };
    Err(Invalid::new(format!("`{}` cannot be given to each slot", shown(&resource)), help))
}

/// What a slot has in place of a resource.
fn own(resource: &Resource, text: &str) -> Result<PerSlot, Invalid> {
    let help = match (resource, text.strip_prefix("worktree:")) {
        (Resource::Mount(_), Some(dir)) => {
            let dir = RelPath::new(dir)?;
            return Ok(PerSlot::Worktree(dir.as_path().to_owned()));
        }
        (Resource::Mount(_), None) if text == "volume" => return Ok(PerSlot::Volume),
        (Resource::Mount(_), None) => "write `volume`, or `worktree:DIR` for a directory of the worktree",
        _ if text == "own" => return Ok(PerSlot::Own),
        _ => "write `own`",
    };
    let message = format!("`{}` is not what a slot can have for `{}`", text.escape_debug(), shown(resource));
    Err(Invalid::new(message, help))
}

fn shown(resource: &Resource) -> String {
    resource.to_string().escape_debug().to_string()
}

/// Refuses a resource that is named twice: listed again, given to each slot again, or both.
fn refuse_twice(
    shared: &[Spanned<Resource>],
    per_slot: &[(Spanned<Resource>, PerSlot)],
    mistakes: &mut Vec<Mistake>,
) {
    let mut places: BTreeMap<&Resource, (Range<usize>, &str)> = BTreeMap::new();
    let shared = shared.iter().map(|resource| (resource, "shared"));
    let per_slot = per_slot.iter().map(|(resource, _)| (resource, "per_slot"));
    for (resource, list) in shared.chain(per_slot) {
        let name = shown(resource.get_ref());
        match places.get(resource.get_ref()) {
            Some((earlier, other)) => {
                let message = if *other == list {
                    format!("`{name}` stands twice in `{list}`")
                } else {
                    format!("`{name}` is both in `shared` and in `per_slot`")
                };
                mistakes.push(Mistake::new(resource.span(), message).related(earlier.clone(), "first here"));
            }
            None => drop(places.insert(resource.get_ref(), (resource.span(), list))),
        }
    }
}

fn environment(
    value: TomlValue<'_>,
    mistakes: &mut Vec<Mistake>,
) -> Option<BTreeMap<String, Vec<VariableSpec>>> {
    let read = Keys::of(value, "[services]", mistakes)?.entries().map(|(name, value)| {
        let service = user_key(&name, service_name, mistakes);
        let title = format!("[services.{}]", name.get_ref().escape_debug());
        let mut keys = Keys::of(value, title, mistakes)?;
        let variables = match keys.get("environment") {
            None => Some(Vec::new()),
            Some(value) => {
                let title = format!("[services.{}.environment]", name.get_ref().escape_debug());
                Keys::of(value, title, mistakes)
                    .and_then(|keys| env::read(keys, env::variable_name, mistakes))
            }
        };
        keys.finish(mistakes);
        Some((service?, variables?))
    });
    read.collect::<Vec<_>>().into_iter().collect()
}

fn is_env_file(path: &RelPath) -> bool {
    path.as_str() == ENV_FILE
}

/// Refuses a file in the place of the one that kinfra itself writes into every slot's directory. Only
/// `[files]` can replace that.
pub(super) fn refuse_in_place_of_env_file(
    files: &[FileSpec],
    claim: &[FileSpec],
    mistakes: &mut Vec<Mistake>,
) {
    let is_in_place = |file: &&FileSpec| file.path.get_ref().as_path().starts_with(ENV_FILE);
    let below = files.iter().filter(|file| !is_env_file(file.path.get_ref()));
    for file in below.chain(claim).filter(is_in_place) {
        let message = format!("`{}` cannot be a file: kinfra writes `{ENV_FILE}` there", file.path.get_ref());
        let help = format!("give `{ENV_FILE}` a template of its own in [files], or choose another name");
        mistakes.push(Mistake::new(file.path.span(), message).help(help));
    }
}
