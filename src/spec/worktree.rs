//! `[worktree]`: where the worktrees of a project are made, and what comes with a claim.

use camino::{Utf8Path, Utf8PathBuf};
use toml::Spanned;

use super::compose::{needs_compose, paths};
use super::declared::WorktreePath;
use super::invalid::Invalid;
use super::keys::Keys;
use super::mistake::Mistake;
use super::value::text;
use crate::file::{RelPath, refuse_long};
use crate::identifier::Branch;
use crate::names::ENV_FILE;

/// The most bytes that a branch gives to a path. The file system has 255 for a name.
const LONGEST: usize = 150;

/// What stands for the name of the repository.
const REPO: &str = "{repo}";

/// What stands for the name of the branch.
const BRANCH: &str = "{branch}";

/// Reads the table: where worktrees are made, and the files to copy. `None` after a mistake was noted.
pub(super) fn read(
    file: &mut Keys<'_>,
    has_compose: bool,
    mistakes: &mut Vec<Mistake>,
) -> Option<(WorktreePath, Vec<RelPath>)> {
    let Some(value) = file.get("worktree") else { return Some((WorktreePath::default(), Vec::new())) };
    let mut keys = Keys::of(value, "[worktree]", mistakes)?;
    let path = keys
        .get("path")
        .map_or(Some(WorktreePath::default()), |value| text(value, "`path`", mistakes, WorktreePath::new));
    let copy = keys.get("copy").map_or(Some(Vec::new()), |value| {
        if !has_compose {
            mistakes.push(needs_compose(value.span(), "`copy` of [worktree]"));
        }
        paths(value, "`copy`", mistakes)
    });
    keys.finish(mistakes);
    let copy = copy?;
    for path in copy.iter().filter(|path| path.get_ref().as_str() == ENV_FILE) {
        let message = format!("kinfra writes `{ENV_FILE}` itself, for every claim");
        mistakes.push(Mistake::new(path.span(), message).help("take it out of `copy`".to_owned()));
    }
    Some((path?, copy.into_iter().map(Spanned::into_inner).collect()))
}

impl WorktreePath {
    /// Refuses a path that two branches would share, or whose braces mean nothing.
    fn new(path: &str) -> Result<Self, Invalid> {
        refuse_long(path)?;
        let shown = path.escape_debug();
        let takes = format!("it takes `{REPO}` and `{BRANCH}`, as in `../{REPO}-{BRANCH}`");
        if path.chars().any(char::is_control) {
            return Err(format!("`{shown}` has a control character").into());
        }
        if path.replace(REPO, "").replace(BRANCH, "").contains(['{', '}']) {
            return Err(Invalid::new(format!("`{shown}` has braces that stand for nothing"), takes));
        }
        if !path.contains(BRANCH) {
            return Err(Invalid::new(format!("`{shown}` is the same for every branch"), takes));
        }
        if path.starts_with('~') && !path.starts_with("~/") {
            return Err(format!("`{shown}` begins with `~` and not with `~/`").into());
        }
        Ok(Self(path.to_owned()))
    }

    /// Where the worktree of a branch is made. A relative path begins at the main worktree, or at the
    /// directory of a bare repository.
    pub fn of(&self, branch: &Branch, main: &Utf8Path, home: Option<&Utf8Path>) -> Utf8PathBuf {
        let branch: String = branch.as_str().replace('/', "-");
        let end = (0..=LONGEST.min(branch.len())).rev().find(|end| branch.is_char_boundary(*end));
        let branch = branch.get(..end.unwrap_or_default()).unwrap_or_default();
        let path = self.0.replace(REPO, repository(main)).replace(BRANCH, branch);
        match path.strip_prefix("~/").zip(home) {
            Some((below, home)) => home.join(below),
            None => main.join(path),
        }
    }
}

/// The name of a repository: that of its main worktree. A bare one may be hidden in a directory of its name.
fn repository(main: &Utf8Path) -> &str {
    let mut names = main.ancestors().take(2).filter_map(Utf8Path::file_name);
    let name = names.find(|name| !name.starts_with('.')).unwrap_or("repository");
    name.strip_suffix(".git").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worktree_is_beside_the_main_one_unless_the_file_says_otherwise() {
        let branch = |name: &str| Branch::new(name).unwrap();
        let path = |template: Option<&str>, name: &str, main: &str| {
            let template = template
                .map_or_else(WorktreePath::default, |it| WorktreePath::new(it).map_err(|_| it).unwrap());
            template.of(&branch(name), main.into(), Some("/home/me".into())).into_string()
        };
        assert_eq!(path(None, "fix", "/src/shop"), "/src/shop/../shop-fix");
        assert_eq!(path(None, "impl/a/b", "/src/shop.git"), "/src/shop.git/../shop-impl-a-b");
        assert_eq!(path(None, "fix", "/src/shop/.bare"), "/src/shop/.bare/../shop-fix");
        assert_eq!(path(None, "fix", "/.git"), "/.git/../repository-fix");
        assert_eq!(path(Some("~/trees/{repo}/{branch}"), "a/b", "/src/shop"), "/home/me/trees/shop/a-b");
        assert_eq!(path(Some("/srv/{branch}"), "ü", "/src/shop"), "/srv/ü");
        let long = path(Some("/srv/{branch}"), &"ü".repeat(120), "/src/shop");
        assert_eq!(long, format!("/srv/{}", "ü".repeat(75)));
        for template in ["", "../trees", "{branch}-{name}", "{branch}}", "~me/{branch}", "{branch}\n"] {
            assert!(WorktreePath::new(template).is_err(), "{template:?}");
        }
    }
}
