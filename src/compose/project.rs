//! A project's Compose files, and what goes with them: found as Compose itself would find them.

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use crate::dotenv::{self, Variables};
use crate::fault::Fault;
use crate::host::fs::{exists, is_directory, read_named};
use crate::names::{COMPOSE_FILE, COMPOSE_FILES, COMPOSE_PATH_SEPARATOR, DOTENV, ENV_FILE, OVERRIDE_FILES};
use crate::spec::ComposeSpec;

/// The largest env file that is read, in bytes.
const LIMIT: u64 = 1 << 20;

/// A worktree's Compose project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// The worktree.
    pub worktree: Utf8PathBuf,
    /// The project directory: relative paths in the files are relative to it.
    pub directory: Utf8PathBuf,
    /// The files, absolute. A later one is merged over an earlier one.
    pub files: Vec<Utf8PathBuf>,
    /// The env files that exist, absolute. A later one has precedence.
    pub env_files: Vec<Utf8PathBuf>,
}

impl Project {
    /// The project of a worktree: the files that slots.toml names; else those that `COMPOSE_FILE` in the
    /// worktree's `.env` names; else those that Compose finds by their names. The caller's environment has no
    /// say.
    ///
    /// # Errors
    /// When there are no files, one is missing, or `.env` cannot be read.
    pub fn find(worktree: &Utf8Path, spec: &ComposeSpec) -> Result<Self> {
        Self::look(worktree, spec)?.ok_or_else(|| {
            let what = format!("`{worktree}` has no Compose file: none of {}", COMPOSE_FILES.join(", "));
            let advice = "name the files in slots.toml: `files = [\"path/compose.yaml\"]` of [compose]";
            Fault::refused(what).advise(advice).into()
        })
    }

    /// [`Project::find`], where having no files is no error.
    ///
    /// # Errors
    /// When one of the files is missing, or `.env` cannot be read.
    pub fn look(worktree: &Utf8Path, spec: &ComposeSpec) -> Result<Option<Self>> {
        let dotenv = worktree.join(DOTENV);
        let (files, named_by): (Vec<Utf8PathBuf>, _) = match &spec.files {
            Some(files) => (files.iter().map(|file| worktree.join(file.as_path())).collect(), None),
            None => match compose_file(&dotenv)? {
                Some(names) => (names.iter().map(|name| worktree.join(name)).collect(), Some(dotenv)),
                None => (search(worktree)?, None),
            },
        };
        if files.is_empty() {
            return Ok(None);
        }
        for file in &files {
            require(file, worktree, named_by.is_some())?;
        }
        let directory = files.first().and_then(|file| file.parent()).unwrap_or(worktree).to_owned();
        let mut env_files = Vec::new();
        for file in [Some(directory.join(DOTENV)), named_by].into_iter().flatten() {
            if is_file(&file)? && !env_files.contains(&file) {
                env_files.push(file);
            }
        }
        Ok(Some(Self { worktree: worktree.to_owned(), directory, files, env_files }))
    }

    /// The same project for a slot: the variables in the slot's directory have precedence.
    ///
    /// # Errors
    /// When the system cannot tell whether the slot has variables.
    pub fn with_slot(mut self, slot_dir: &Utf8Path) -> Result<Self> {
        let file = slot_dir.join(ENV_FILE);
        if is_file(&file)? {
            self.env_files.push(file);
        }
        Ok(self)
    }
}

/// What Compose calls a project in a directory, if nothing else names it.
pub fn name_of_directory(directory: &Utf8Path) -> String {
    let name = directory.file_name().unwrap_or_default().to_lowercase();
    let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || "_-".contains(*c)).collect();
    name.trim_start_matches(['_', '-']).to_owned()
}

/// The names of the files in an env file's `COMPOSE_FILE`.
fn compose_file(dotenv: &Utf8Path) -> Result<Option<Vec<String>>> {
    let bytes = read_named(dotenv, LIMIT).with_context(|| format!("could not read `{dotenv}`"))?;
    let Some(bytes) = bytes else { return Ok(None) };
    let variables = variables(&String::from_utf8_lossy(&bytes)).map_err(|(name, reason)| {
        Fault::refused(format!("`{name}` in `{dotenv}` cannot be read: {reason}")).advise(
            "write its value without variables, or name the files in slots.toml: `files` of [compose]",
        )
    })?;
    let Some(list) = variables.get(COMPOSE_FILE).filter(|list| !list.is_empty()) else { return Ok(None) };
    let separator = variables.get(COMPOSE_PATH_SEPARATOR).filter(|separator| !separator.is_empty());
    let names = list.split(separator.map_or(":", String::as_str)).filter(|name| !name.is_empty());
    Ok(Some(names.map(str::to_owned).collect()))
}

/// The variables that say which files they are. Other lines are Compose's concern: their values may depend on
/// variables that kinfra does not know.
fn variables(text: &str) -> Result<Variables, (&'static str, String)> {
    if let Ok(variables) = dotenv::read(text) {
        return Ok(variables);
    }
    let mut variables = Variables::new();
    for line in text.lines() {
        let exported = line.trim_start();
        let exported = exported.strip_prefix("export ").unwrap_or(exported);
        let name = exported.split('=').next().unwrap_or_default().trim();
        if let Some(name) = [COMPOSE_FILE, COMPOSE_PATH_SEPARATOR].into_iter().find(|known| *known == name) {
            variables.extend(dotenv::read(line).map_err(|bad| (name, bad.reason))?);
        }
    }
    Ok(variables)
}

/// The files that Compose finds by their names, in the worktree. There may be none.
fn search(worktree: &Utf8Path) -> Result<Vec<Utf8PathBuf>> {
    let first = |names: &[&str]| -> Result<Option<Utf8PathBuf>> {
        for name in names {
            let file = worktree.join(name);
            if is_file(&file)? {
                return Ok(Some(file));
            }
        }
        Ok(None)
    };
    let Some(file) = first(&COMPOSE_FILES)? else { return Ok(Vec::new()) };
    Ok([Some(file), first(&OVERRIDE_FILES)?].into_iter().flatten().collect())
}

fn require(file: &Utf8Path, worktree: &Utf8Path, by_dotenv: bool) -> Result<()> {
    if is_file(file)? {
        return Ok(());
    }
    let named = if by_dotenv { "`COMPOSE_FILE` in `.env`" } else { "`files` of [compose] in slots.toml" };
    let shown = file.strip_prefix(worktree).unwrap_or(file);
    let what = format!("{named} names `{shown}`, which is not a file in `{worktree}`");
    Err(Fault::refused(what).advise("check out a branch that has it, or correct the name").into())
}

fn is_file(path: &Utf8Path) -> Result<bool> {
    let exists = exists(path).with_context(|| format!("could not examine `{path}`"))?;
    Ok(exists && !is_directory(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_named_in_an_env_file_with_other_lines() {
        let names = |text: &str| variables(text).map(|variables| variables.get(COMPOSE_FILE).cloned());
        assert_eq!(names("A=1\nCOMPOSE_FILE=a.yaml:b.yaml\n"), Ok(Some("a.yaml:b.yaml".to_owned())));
        assert_eq!(
            names("URL=http://${HOST}\n export COMPOSE_FILE = 'a b.yaml' # x\n"),
            Ok(Some("a b.yaml".to_owned()))
        );
        assert_eq!(names("URL=${HOST}\n#COMPOSE_FILE=a\nMY_COMPOSE_FILE=b"), Ok(None));
        let (name, reason) = names("COMPOSE_FILE=${DIR}/a.yaml").unwrap_err();
        assert_eq!(name, COMPOSE_FILE);
        assert!(reason.contains("depend on the caller's environment"), "{reason}");
    }
}
