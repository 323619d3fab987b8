//! The files that Compose needs in a worktree, and that git did not bring: the repository's main worktree has
//! them, and this one has not. Found by files alone, so that a claim starts no process.

use std::collections::BTreeSet;

use camino::Utf8Path;

use super::project::Project;
use crate::file::{RelPath, normal};
use crate::host::fs::{exists, is_directory, read_named};
use crate::host::git_index::is_tracked;
use crate::host::worktree_copy::is_taken;
use crate::names::{DOTENV, ENV_FILE, OVERRIDE_FILES};
use crate::spec::ComposeSpec;

/// The largest Compose file that is read, in bytes.
const LIMIT: u64 = 1 << 20;
/// How many Compose files are read at most.
const FILES: usize = 64;

/// The files that a worktree lacks, sorted. `main` is the main worktree. A file that cannot be looked at is
/// not named.
pub fn lacking(main: &Utf8Path, worktree: &Utf8Path, spec: &ComposeSpec) -> Vec<RelPath> {
    let is_here = |path: &RelPath| is_taken(worktree, path).unwrap_or(true);
    let is_there = |path: &RelPath| is_file(&main.join(path.as_path()));
    let mut wanted = certain(worktree, spec);
    // A tracked file of the main worktree's branch is no loss: this branch does without it.
    wanted.retain(|path| is_there(path) && !is_tracked(main, path.as_path()));
    wanted.extend(named(worktree, spec).into_iter().filter(is_there));
    wanted.retain(|path| !is_here(path) && path.as_str() != ENV_FILE);
    wanted.into_iter().collect()
}

/// What Compose reads unasked if it is there: `.env`, and an override file.
fn certain(worktree: &Utf8Path, spec: &ComposeSpec) -> BTreeSet<RelPath> {
    let first = spec.files.as_ref().and_then(|files| files.first()).and_then(|file| file.as_path().parent());
    let dotenv = first.unwrap_or(Utf8Path::new("")).join(DOTENV);
    let has_override = OVERRIDE_FILES.iter().any(|name| exists(&worktree.join(name)).unwrap_or(true));
    let overrides = OVERRIDE_FILES.iter().filter(|_| spec.files.is_none() && !has_override);
    let names = std::iter::once(dotenv.as_str()).chain(overrides.copied());
    names.filter_map(|name| RelPath::new(name).ok()).collect()
}

/// The paths that the worktree's Compose files name, and the Compose files that those name.
fn named(worktree: &Utf8Path, spec: &ComposeSpec) -> BTreeSet<RelPath> {
    let Ok(Project { directory, mut files, .. }) = Project::find(worktree, spec) else {
        return BTreeSet::new();
    };
    let (mut named, mut next) = (BTreeSet::new(), 0);
    while let Some(file) = files.get(next).cloned().filter(|_| next < FILES) {
        next += 1;
        let Ok(Some(bytes)) = read_named(&file, LIMIT) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        let bases: BTreeSet<&Utf8Path> = file.parent().into_iter().chain([directory.as_path()]).collect();
        for (path, base) in paths_in(&text).flat_map(|path| bases.iter().map(move |base| (path, *base))) {
            let Some(path) = below(worktree, &base.join(path)) else { continue };
            let full = worktree.join(path.as_path());
            let is_yaml = matches!(full.extension(), Some("yaml" | "yml"));
            if is_yaml && is_file(&full) && !files.contains(&full) {
                files.push(full);
            }
            named.insert(path);
        }
    }
    named
}

fn is_file(path: &Utf8Path) -> bool {
    exists(path).unwrap_or(false) && !is_directory(path)
}

/// A path below the worktree, without `.` and `..`.
fn below(worktree: &Utf8Path, path: &Utf8Path) -> Option<RelPath> {
    RelPath::new(normal(path).strip_prefix(worktree).ok()?.as_str()).ok()
}

/// The words of a Compose file that could be relative paths, in the places where Compose takes one. It is no
/// matter if a word is something else, because no file has its name then.
fn paths_in(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let lines = lines.map(|line| line.split_once(" #").map_or(line, |(before, _)| before));
    let is_end = |c: char| c.is_whitespace() || "\"'[]{},:=".contains(c);
    let is_path = |word: &&str| word.contains(['.', '/']) && !word.starts_with(['/', '~', '$']);
    lines.flat_map(move |line| line.split(is_end)).filter(is_path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_that_could_be_paths_are_found() {
        let text = "
services:
  # env_file: ./comment.env
  api:
    env_file: [secrets.env, \"./two.env\"] # not.env
    volumes:
      - ./certs/dev.pem:/etc/dev.pem:ro
      - ~/models:/models
      - $HOME/x:/x
      - {type: bind, source: ../up.pem, target: /up.pem}
include:
  - path: ./db/compose.yaml
";
        let expected = ["secrets.env", "./two.env", "./certs/dev.pem", "../up.pem", "./db/compose.yaml"];
        assert_eq!(paths_in(text).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn paths_stay_in_the_worktree() {
        let path = |path: &str| below("/w".into(), Utf8Path::new(path)).map(|path| path.to_string());
        assert_eq!(path("/w/db/../certs/./dev.pem").as_deref(), Some("certs/dev.pem"));
        assert_eq!(path("/w/../up.pem"), None);
        assert_eq!(path("/w/."), None);
    }
}
