//! Where the worktrees of an agent are: where Claude Code itself makes them, each on a branch of its own.

use camino::{Utf8Path, Utf8PathBuf};

use crate::fault::Fault;
use crate::file::normal;
use crate::host::fs::real;
use crate::identifier::Branch;

/// Their directory, below the main worktree.
const BELOW: &str = ".claude/worktrees";

/// The branch and the path of a worktree with a name.
///
/// # Errors
/// [`Fault`] when that is no name, or the path would lead out of the repository.
pub fn place_of_agent(name: Option<&str>, main: &Utf8Path) -> Result<(Branch, Utf8PathBuf), Fault> {
    let name = name.filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Fault::usage("stdin does not say the `name` of the worktree"))?;
    let branch = Branch::new(&format!("worktree-{name}")).map_err(Fault::usage)?;
    let path = main.join(BELOW).join(name.replace('/', "+"));
    if name.starts_with(['.', '/']) || !is_of_agent(&path, main) {
        let what = format!("`{}` is no name of a worktree below `{BELOW}`", name.escape_debug());
        return Err(Fault::refused(what).advise("name it with letters, digits and `-`"));
    }
    if path.as_str().contains(char::is_control) {
        return Err(Fault::refused(format!("the path `{}` is not one line", path.as_str().escape_debug())));
    }
    Ok((branch, path))
}

/// Whether a path is that of a worktree of an agent, with no link on the way that leads elsewhere.
pub fn is_of_agent(path: &Utf8Path, main: &Utf8Path) -> bool {
    let above = real(main).join(BELOW);
    path.is_absolute() && real(&normal(path)).parent() == Some(&above)
}
