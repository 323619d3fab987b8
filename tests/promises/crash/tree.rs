//! A directory tree as a value, to compare and to build again.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Everything below a directory, by relative path. A directory comes before its entries.
pub(super) type Tree = BTreeMap<PathBuf, Node>;

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) mode: u32,
    /// The content of a file; a directory has none.
    pub(super) text: Option<String>,
}

pub(super) fn look(top: &Path) -> Tree {
    let mut tree = Tree::new();
    visit(top, &mut |path, meta| {
        let text = meta.is_file().then(|| fs::read_to_string(path).expect("a file of text"));
        assert!(meta.is_file() || meta.is_dir(), "{} is neither a file nor a directory", path.display());
        tree.insert(below(path, top), Node { mode: meta.mode() & 0o7777, text });
    });
    tree
}

/// Removes what is below a directory, and puts a tree there. A directory that stays is the same one: a holder
/// is known by it.
pub(super) fn rebuild(top: &Path, tree: &Tree) {
    fs::create_dir_all(top).expect("a directory");
    clear(top, top, tree);
    for (path, Node { mode, text }) in tree {
        let path = top.join(path);
        match text {
            Some(text) => fs::write(&path, text).expect("a written file"),
            None if path.is_dir() => {}
            None => fs::create_dir(&path).expect("a directory"),
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).expect("a mode");
    }
}

fn clear(dir: &Path, top: &Path, tree: &Tree) {
    for entry in fs::read_dir(dir).expect("a directory to list") {
        let entry = entry.expect("an entry");
        let (path, is_dir) = (entry.path(), entry.file_type().expect("its type").is_dir());
        let stays = tree.get(&below(&path, top)).is_some_and(|node| node.text.is_none());
        match (is_dir, stays) {
            (true, true) => clear(&path, top, tree),
            (true, false) => fs::remove_dir_all(&path).expect("a directory to remove"),
            (false, _) => fs::remove_file(&path).expect("a file to remove"),
        }
    }
}

/// Everything about what is below a directory that a run could depend on, as a text.
pub(super) fn fingerprint(top: &Path) -> String {
    let mut lines = Vec::new();
    visit(top, &mut |path, meta| {
        let is_lock = path.file_name().is_some_and(|name| name == ".lock");
        let text =
            if meta.is_file() && !is_lock { fs::read_to_string(path).expect("text") } else { String::new() };
        // Two hard links to one file differ from two files.
        let names = if meta.is_file() { meta.nlink() } else { 0 };
        lines.push(format!("{:?} {:o} {names} {text:?}", below(path, top).to_string_lossy(), meta.mode()));
    });
    lines.sort();
    lines.join("\n")
}

fn below(path: &Path, top: &Path) -> PathBuf {
    path.strip_prefix(top).expect("a path below the top").to_owned()
}

fn visit(dir: &Path, see: &mut impl FnMut(&Path, &fs::Metadata)) {
    for entry in fs::read_dir(dir).expect("a directory to list") {
        let path = entry.expect("an entry").path();
        let meta = path.symlink_metadata().expect("metadata");
        see(&path, &meta);
        if meta.is_dir() {
            visit(&path, see);
        }
    }
}
