//! Where git's hooks are, and which worktree is a new one.

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use super::fs::real;
use super::git::{confirmed_git_dir, top_of};
use super::git_program::Git;
use crate::dotenv::Variables;

/// The variable that names git's directory.
const GIT_DIR: &str = "GIT_DIR";

/// The directories of a repository: its git directory, and that of its hooks. All its worktrees share them,
/// but for a relative `core.hooksPath`.
///
/// # Errors
/// When git does not say.
pub fn hooks_of(dir: &Utf8Path) -> Result<(Utf8PathBuf, Utf8PathBuf)> {
    let ask = |what: &[&str]| {
        let absolute = ["rev-parse", "--path-format=absolute"];
        let answer = Git::reading(dir).needed(&[&absolute, what].concat())?;
        anyhow::Ok(Utf8PathBuf::from(answer.strip_suffix('\n').unwrap_or(&answer)))
    };
    Ok((ask(&["--git-common-dir"])?, ask(&["--git-path", "hooks"])?))
}

/// The git directory that holds a directory, if it is that of a bare repository.
///
/// # Errors
/// When git cannot be asked.
pub fn bare_of(dir: &Utf8Path) -> Result<Option<Utf8PathBuf>> {
    let git = Git::reading(dir);
    let said = git.ask(&["rev-parse", "--is-bare-repository", "--absolute-git-dir"])?.unwrap_or_default();
    let bare = said.strip_prefix("true\n").map(|path| Utf8PathBuf::from(path.trim_end_matches('\n')));
    Ok(bare.filter(|bare| real(dir).starts_with(real(bare))))
}

/// Whether a directory is in a linked worktree that git has just made, when git calls its hook there. `git
/// worktree add` calls it without the name of a git directory. What checks out something later in a linked
/// worktree gives its hook that name.
///
/// # Errors
/// When git's files cannot be read.
pub fn is_new_worktree(dir: &Utf8Path, variables: &Variables) -> Result<bool> {
    let Some(top) = top_of(dir)?.filter(|_| !variables.contains_key(GIT_DIR)) else { return Ok(false) };
    if confirmed_git_dir(top)?.is_none() {
        return Ok(false);
    }
    // A program between git and kinfra may have dropped the name. Git may keep no log.
    let log = Git::reading(top).ask(&["log", "--walk-reflogs", "--format=%gs", "HEAD"])?.unwrap_or_default();
    Ok(!log.lines().any(|entry| entry.starts_with("checkout: ")))
}
