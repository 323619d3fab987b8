//! What [`git`](super::git) and marks say of directories that only look like worktrees.
#![expect(clippy::disallowed_methods, reason = "a test makes the directories that it looks at")]

use std::fs;
use std::os::unix::fs::symlink;

use camino::{Utf8Path, Utf8PathBuf};

use super::git::{main_worktree_of, own_dir};
use super::holder_mark::{ensure_mark, mark_of};

/// A directory with a repository in `w`, and its canonical path.
fn repository() -> (tempfile::TempDir, Utf8PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = Utf8Path::from_path(dir.path()).expect("UTF-8").canonicalize_utf8().expect("a path");
    fs::create_dir_all(path.join("w/.git/objects")).expect("a repository");
    (dir, path)
}

#[test]
fn a_git_that_leads_elsewhere_is_not_the_worktrees_own() {
    let (_dir, path) = repository();
    let worktree = path.join("w");
    let token = ensure_mark(&worktree).token;
    assert!(token.is_some());
    assert_eq!(
        (own_dir(&worktree).unwrap(), mark_of(&worktree).unwrap().token),
        (Some(worktree.join(".git")), token)
    );

    let linked = path.join("linked");
    fs::create_dir(&linked).unwrap();
    symlink(worktree.join(".git"), linked.join(".git")).unwrap();
    assert_eq!((own_dir(&linked).unwrap(), mark_of(&linked).unwrap().token), (None, None));

    let to_a_file = path.join("file");
    fs::create_dir(&to_a_file).unwrap();
    fs::write(to_a_file.join(".git"), "gitdir: inside\n").unwrap();
    fs::write(to_a_file.join("inside"), "").unwrap();
    assert_eq!(mark_of(&to_a_file).unwrap().token, None);
}

#[test]
fn a_way_over_a_link_leads_to_the_real_worktree() {
    let (_dir, path) = repository();
    let link = path.join("link");
    symlink(path.join("w"), &link).unwrap();
    assert_eq!(own_dir(&link).unwrap(), Some(path.join("w/.git")));
    assert_eq!(main_worktree_of(&link), Some(path.join("w")));
}
