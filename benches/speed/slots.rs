//! How the time that `kinfra slots` takes grows with the claims.

use std::fs;
use std::path::Path;
use std::process::Command;

use camino::Utf8PathBuf;
use kinfra::host::holder_mark::ensure_mark;
use kinfra::registry::{Claim, Holder, Registry};
use kinfra::slot::SlotId;

use super::{kinfra, median, ms, ratio, spec_of, time};

/// Lists a pool of a hundred slots and one of four thousand, by turns. A linked worktree holds each slot, and there
/// is no `docker`.
pub(crate) fn measure(dir: &Path) {
    let mut pools = [100, 4000].map(|slots| {
        let (spec, root) = (spec_of(dir, slots), dir.join(format!("held-{slots}")));
        time(&mut kinfra("apply", &spec, &root));
        hold(&root, &dir.join(format!("holders-{slots}")), slots);
        (spec, root, Vec::new())
    });
    for _ in 0..31 {
        for (spec, root, lists) in &mut pools {
            lists.push(time(kinfra("slots", spec, root).env("PATH", "/nonexistent")));
        }
    }
    let [hundred, thousands] = pools.map(|(_, _, mut lists)| median(&mut lists));
    println!("slots, 4,000 claimed: {} ms; 100 claimed: {} ms", ms(thousands), ms(hundred));
    println!("    {:.2} times 100 claimed slots (at most 20)", ratio(thousands, hundred));
}

/// Has a linked worktree hold each slot, and notes what its claim would. So many claims would take minutes.
fn hold(root: &Path, dir: &Path, slots: u16) {
    time(Command::new("git").args(["init", "--quiet"]).arg(dir.join("main")));
    let dir = Utf8PathBuf::from_path_buf(dir.canonicalize().expect("a directory")).expect("UTF-8");
    let file = root.join("registry.json");
    let mut registry = Registry::parse(&fs::read_to_string(&file).expect("a registry")).expect("a registry");
    for slot in (1..=slots).filter_map(SlotId::new) {
        let branch = format!("feature-{slot}");
        let (worktree, own) = (dir.join(&branch), dir.join("main/.git/worktrees").join(&branch));
        for directory in [&worktree, &own] {
            fs::create_dir_all(directory).expect("a directory");
        }
        for (file, text) in [
            (worktree.join(".git"), format!("gitdir: {own}")),
            (own.join("gitdir"), format!("{worktree}/.git")),
            (own.join("commondir"), "../..".to_owned()),
            (own.join("HEAD"), format!("ref: refs/heads/{branch}")),
        ] {
            fs::write(file, text + "\n").expect("a file");
        }
        let mark = ensure_mark(&worktree);
        let at = Some("2026-01-01T00:00:00+00:00".to_owned());
        let claim = Claim::of(Holder::Directory(worktree), at);
        let claim = Claim { claimed_gitdir: Some(own.into_string()), mark, ..claim };
        registry.slot_mut(slot).expect("a slot").claim = Some(claim);
    }
    fs::write(file, registry.to_text().expect("a registry")).expect("a file");
}
