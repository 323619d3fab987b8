//! A small repository to try kinfra with. Its stack runs wherever Docker has busybox or alpine.

use anyhow::{Context as _, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};

use crate::fault::Fault;
use crate::file::FileMode;
use crate::host::engine;
use crate::host::fs::{Dir, Umask, exists};
use crate::host::git_program::Git;
use crate::host::invocation::Invocation;
use crate::init::{self, Wanted};

/// Its files. The image stands for any other in [`IMAGES`].
const FILES: [(&str, &str); 2] =
    [("compose.yaml", include_str!("compose.yaml")), ("answer", include_str!("answer"))];

/// The images that have what the stack needs. Compose pulls the first if none of them is there.
const IMAGES: [&str; 2] = ["busybox", "alpine"];

/// A repository that was made.
#[derive(Debug)]
pub struct Demo {
    /// Its directory.
    pub dir: Utf8PathBuf,
    /// The image that its stack runs.
    pub image: String,
}

/// Makes the repository: its files, a `slots.toml` as `kinfra init` writes it, and a commit with both.
///
/// # Errors
/// [`Fault`] when something is in the way, or git fails.
pub(crate) fn make(named: &Utf8Path, umask: Umask, invocation: &Invocation) -> Result<Demo> {
    let dir = invocation.here.join(named);
    let is_taken = || Ok::<_, anyhow::Error>(exists(&dir)? && !Dir::open(&dir)?.names()?.is_empty());
    if is_taken().with_context(|| format!("could not look at `{dir}`"))? {
        let what = format!("`{dir}` is not empty");
        return Err(Fault::refused(what).advise("name another directory: `kinfra demo DIR`").into());
    }
    let made = Dir::make(&dir)?;
    let image = image();
    for (name, text) in FILES {
        let text = text.replace(&format!("image: {}\n", IMAGES[0]), &format!("image: {image}\n"));
        made.write_new(name, text.as_bytes(), FileMode::SHARED)?;
    }
    let (git, there) = (Git::new(&dir, umask), Invocation { here: dir.clone(), ..invocation.clone() });
    git.change(&["init", "--quiet", "--initial-branch=main", "--template="])?;
    let draft = init::prepare(Wanted::Compose(&[]), &there)?;
    init::write(&dir, &draft)?;
    git.change(&["add", "--all"])?;
    let who = ["user.name=kinfra", "user.email=kinfra@localhost", "commit.gpgSign=false"];
    let commit = ["commit", "--quiet", "--no-verify", "--message=A demo of kinfra"];
    let arguments: Vec<&str> = who.into_iter().flat_map(|value| ["-c", value]).chain(commit).collect();
    git.change(&arguments)?;
    Ok(Demo { dir, image })
}

/// The image of the stack: one that is there, else the one to pull.
fn image() -> String {
    let there = engine::images().needed().map_err(|why| anyhow!(why)).unwrap_or_default();
    let of = |wanted: &str| there.iter().find(|image| is_tagged(image, wanted)).cloned();
    IMAGES.into_iter().find_map(of).unwrap_or_else(|| IMAGES[0].to_owned())
}

/// Whether an image is one of a repository, such as `alpine:3.20` of `alpine`.
fn is_tagged(image: &str, repository: &str) -> bool {
    let tag = image.strip_prefix(repository).and_then(|rest| rest.strip_prefix(':'));
    tag.is_some_and(|tag| tag != "<none>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_is_one_with_a_tag_of_the_repository_itself() {
        for (image, is_one) in [
            ("busybox:1.36", true),
            ("busybox:<none>", false),
            ("busybox-x:1", false),
            ("my/busybox:1", false),
        ] {
            assert_eq!(is_tagged(image, "busybox"), is_one, "{image}");
        }
        assert!(FILES[0].1.contains(&format!("image: {}\n", IMAGES[0])));
    }
}
