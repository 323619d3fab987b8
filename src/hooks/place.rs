//! Where the worktrees of an agent are: where Claude Code itself makes them, each on a branch of its own.

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use crate::checkout::repository::Repository;
use crate::fault::Fault;
use crate::file::normal;
use crate::host::fs::real;
use crate::host::git::{submodule_of, top_of};
use crate::identifier::Branch;
use crate::shown::word;

/// Their directory, below the main worktree. Below another worktree, if the repository is bare.
const BELOW: &str = ".claude/worktrees";

/// The line by which git does not show them.
pub const EXCLUDED: &str = "/.claude/worktrees/";

/// Refuses a directory in a submodule. The hooks of the repository around it are not those of the submodule.
///
/// # Errors
/// [`Fault`] names both.
pub fn not_in_submodule(here: &Utf8Path) -> Result<()> {
    let Some(submodule) = submodule_of(here) else { return Ok(()) };
    let around = top_of(submodule)?.unwrap_or(submodule);
    let what = format!("`{here}` is in the submodule `{submodule}` of `{around}`");
    let advice = format!("`cd {}` for the hooks of the repository around it", word(around.as_str()));
    Err(Fault::refused(what).advise(advice).into())
}

/// The worktree below which an agent's new worktree goes: never the directory of a bare repository.
///
/// # Errors
/// [`Fault`] when there is none.
pub fn home_of_agents<'a>(repository: &'a Repository, here: &Utf8Path) -> Result<&'a Utf8Path> {
    not_in_submodule(here)?;
    let here = real(here);
    // A worktree of an agent is inside another one.
    let around = homes(repository).filter(|home| !is_bare(repository) || here.starts_with(real(home)));
    around.min_by_key(|home| home.as_str().len()).ok_or_else(|| {
        let what =
            format!("the repository `{}` is bare, and `{here}` is in no worktree of it", repository.main());
        Fault::refused(what).advise("start the agent in a worktree").into()
    })
}

/// The worktrees below which an agent's worktrees may be.
fn homes(repository: &Repository) -> impl Iterator<Item = &Utf8Path> {
    let is_one = |path: &&Utf8Path| is_bare(repository) || *path == repository.main();
    let with_files = repository.worktrees.iter().filter(|worktree| !worktree.is_bare);
    with_files.map(|worktree| worktree.path.as_path()).filter(is_one)
}

fn is_bare(repository: &Repository) -> bool {
    repository.worktrees.first().is_some_and(|main| main.is_bare)
}

/// The branch and the path of a worktree with a name.
///
/// # Errors
/// [`Fault`] when that is no name, or the path would lead out of the repository.
pub fn place_of_agent(name: Option<&str>, home: &Utf8Path) -> Result<(Branch, Utf8PathBuf), Fault> {
    let name = name.filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Fault::usage("stdin does not say the `name` of the worktree"))?;
    let branch = Branch::new(&format!("worktree-{name}")).map_err(Fault::usage)?;
    let path = home.join(BELOW).join(name.replace('/', "+"));
    if name.starts_with(['.', '/']) || !is_below(&path, home) {
        let what = format!("`{}` is no name of a worktree below `{BELOW}`", name.escape_debug());
        return Err(Fault::refused(what).advise("name it with letters, digits and `-`"));
    }
    if path.as_str().contains(char::is_control) {
        return Err(Fault::refused(format!("the path `{}` is not one line", path.as_str().escape_debug())));
    }
    Ok((branch, path))
}

/// Whether a path is that of a worktree of an agent.
pub fn is_of_agent(path: &Utf8Path, repository: &Repository) -> bool {
    homes(repository).any(|home| is_below(path, home))
}

/// Whether a path is directly in the directory for an agent's worktrees, with no link on the way that leads
/// elsewhere.
fn is_below(path: &Utf8Path, home: &Utf8Path) -> bool {
    let above = real(home).join(BELOW);
    path.is_absolute() && real(&normal(path)).parent() == Some(&above)
}
