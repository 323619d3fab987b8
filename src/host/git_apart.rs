//! Looks at the files of a repository that may be a stranger's, such as one that a package manager brought.
//! `git status` there would run the programs that its settings name, so this one is asked with settings of
//! kinfra's own.
#![expect(clippy::disallowed_methods, reason = "this is where kinfra lends git an index and a HEAD")]

use std::fs;
use std::os::unix::fs::symlink;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::fs::Scratch;
use super::git_program::Git;

/// Whether a repository has files that are not as its last commit has them, and that it does not ignore.
/// Those of repositories in it do not count. What cannot be seen may be work.
pub(super) fn has_changes(repository: &Git) -> bool {
    changes(repository).map_or(true, |status| status.split('\0').any(is_change))
}

/// What `git status` says, from the index, the commits and the files of a repository, without its settings.
fn changes(repository: &Git) -> Result<String> {
    let places = ["rev-parse", "--path-format=absolute", "--git-dir", "--git-common-dir"];
    let places = repository.needed(&places)?;
    let (own, common) = places.trim_end_matches('\n').split_once('\n').context("it has no git directory")?;
    let (own, common) = (Utf8Path::new(own), Utf8Path::new(common));
    let head = repository.ask(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"])?;
    let scratch = Scratch::new()?;
    let apart = scratch.dir().path();
    for dir in ["refs", "objects/info", "info"] {
        fs::create_dir_all(apart.join(dir))?;
    }
    fs::write(apart.join("HEAD"), head.unwrap_or_else(|| "ref: refs/heads/main\n".to_owned()))?;
    fs::write(apart.join("objects/info/alternates"), format!("{}\n", common.join("objects")))?;
    // A copy would be younger, and git looks anew only at files that are as young as the index.
    symlink(own.join("index"), apart.join("index"))?;
    if let Ok(exclude) = fs::read(common.join("info/exclude")) {
        fs::write(apart.join("info/exclude"), exclude)?;
    }
    let top: Utf8PathBuf = repository.dir().to_owned();
    let (git_dir, work_tree) = (format!("--git-dir={apart}"), format!("--work-tree={top}"));
    let status = ["status", "--porcelain=v2", "-z", "--no-renames", "--untracked-files=all"];
    let ours = [git_dir.as_str(), work_tree.as_str(), "-c", "core.fsmonitor=false"];
    // Git looks into other repositories with their settings.
    repository.needed(&[&ours[..], &status[..], &["--ignore-submodules=dirty"]].concat())
}

/// Whether a line of `git status` is a change. A directory that git does not know is another repository.
fn is_change(line: &str) -> bool {
    line.starts_with(['1', 'u']) || (line.starts_with('?') && !line.ends_with('/'))
}
