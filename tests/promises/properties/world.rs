//! A directory to apply pools to, and damage to what is in it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use camino::Utf8PathBuf;
use kinfra::apply::{Outcome, apply};
use kinfra::desired::Pool;
use kinfra::diff::diff;
use kinfra::host::lock::LockPolicy;
use kinfra::host::root::Root;
use kinfra::host::signals::Interrupt;
use kinfra::ledger::Ledger;
use kinfra::observe::{Observed, observe};
use kinfra::plan::{Options, Plan, plan};
use kinfra::registry::Registry;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{LAST, PATHS};
use crate::support::without_id;

/// The state of a path: its permissions and its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Dir(u32),
    File(u32, Vec<u8>),
    Link(PathBuf),
    Socket(u32),
}

pub(super) type Tree = BTreeMap<PathBuf, Node>;

/// A directory with room for a root, and with a file that no pool may touch.
pub(super) struct World {
    dir: TempDir,
}

impl World {
    /// In memory where possible, because each case writes and syncs a pool or two.
    pub(super) fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
        let world = Self { dir: dir.expect("a temporary directory") };
        world.clear();
        world
    }

    /// Restores the initial state.
    pub(super) fn clear(&self) {
        let _ = fs::remove_dir_all(self.root());
        fs::write(self.outside(), "not the pool's").expect("a file");
    }

    pub(super) fn root(&self) -> Utf8PathBuf {
        let dir = self.dir.path().canonicalize().expect("a directory");
        Utf8PathBuf::from_path_buf(dir).expect("UTF-8").join("root")
    }

    fn outside(&self) -> PathBuf {
        self.dir.path().join("outside")
    }

    pub(super) fn look(&self, pool: &Pool) -> (Plan, Observed) {
        self.look_with(pool, &Options::default())
    }

    pub(super) fn look_with(&self, pool: &Pool, options: &Options) -> (Plan, Observed) {
        let root = Root::open(&self.root()).expect("a root");
        let observed = observe(root.as_ref(), pool).expect("a registry");
        (plan(pool, &observed, &diff(pool, &observed), options), observed)
    }

    /// Starts over with a pool that was applied and then damaged, and plans another pool for it.
    pub(super) fn damaged(
        &self,
        old: &Pool,
        damage: &[Damage],
        new: &Pool,
        options: &Options,
    ) -> (Plan, Observed) {
        self.clear();
        self.apply(old);
        damage.iter().for_each(|damage| self.inflict(damage));
        self.look_with(new, options)
    }

    /// Runs a plan.
    pub(super) fn run(&self, plan: &Plan, pool: &Pool, observed: &Observed) -> anyhow::Result<Outcome> {
        // A child that another test is just starting inherits the lock for a moment.
        let patience = Duration::from_secs(10);
        let policy = LockPolicy { patience, flag: None, command: "a test", network: false, interrupt: None };
        let mut outcome = Ledger::of(&self.root()).create(&policy, |transaction| {
            Ok(apply(plan, pool, observed, transaction, &Interrupt::default()))
        })?;
        outcome.error.take().map_or(Ok(outcome), Err)
    }

    /// Plans and runs the plan, as `kinfra apply` does. No slot may fail.
    pub(super) fn apply(&self, pool: &Pool) -> Plan {
        let (plan, observed) = self.look(pool);
        if plan.has_work() {
            let outcome = self.run(&plan, pool, &observed).expect("an applied plan");
            assert!(outcome.failed.is_empty(), "{outcome:?}");
        }
        plan
    }

    /// Everything but the lock, the journal, the registry's id and backup, and the name of the directory for temporary
    /// files.
    pub(super) fn tree(&self) -> Tree {
        let mut tree = Tree::new();
        walk(self.dir.path(), &mut tree).expect("a readable tree");
        for name in [".lock", "registry.json.bak", "journal", ".tmp"] {
            tree.remove(self.root().join(name).as_std_path());
        }
        if let Some(Node::File(_, bytes)) = tree.get_mut(self.root().join("registry.json").as_std_path()) {
            *bytes = without_id(&String::from_utf8_lossy(bytes)).into_bytes();
        }
        tree
    }

    /// The registry; an empty one if there is none.
    pub(super) fn registry(&self) -> Registry {
        let text = fs::read_to_string(self.root().join("registry.json")).ok();
        text.map_or_else(Registry::default, |text| Registry::parse(&text).expect("a registry"))
    }

    /// The tree without the registry.
    pub(super) fn files(&self) -> Tree {
        let mut tree = self.tree();
        tree.remove(self.root().join("registry.json").as_std_path());
        tree
    }

    /// Does damage, where there is something to damage.
    pub(super) fn inflict(&self, damage: &Damage) {
        let _ = match damage {
            Damage::File(slot, path, harm) => {
                let path = self.root().join(format!("slot-{slot}")).join(path).into_std_path_buf();
                self.harm(&path, *harm)
            }
            Damage::Slot(slot, harm) => {
                self.harm(self.root().join(format!("slot-{slot}")).as_std_path(), *harm)
            }
            Damage::Entry(slot, harm) => self.harm_entries(*slot, *harm),
            Damage::Registry => {
                let _ = fs::remove_file(self.root().join("registry.json.bak"));
                fs::remove_file(self.root().join("registry.json"))
            }
        };
    }

    fn harm(&self, path: &Path, harm: Harm) -> io::Result<()> {
        fs::create_dir_all(path.parent().unwrap_or(path))?;
        let remove = || if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        match harm {
            Harm::Remove => remove(),
            Harm::Write(text) => fs::write(path, text),
            Harm::Mode(mode) => {
                // Only root may enter a directory without permissions. As another user, neither kinfra nor
                // this test could look.
                let is_shut = path.is_dir() && !rustix::process::geteuid().is_root();
                let mode = if is_shut { mode | 0o100 } else { mode };
                fs::set_permissions(path, fs::Permissions::from_mode(mode))
            }
            Harm::Link => remove().and_then(|()| symlink(self.outside(), path)),
            Harm::Loop => remove().and_then(|()| symlink(path, path)),
            Harm::Directory => remove().and_then(|()| fs::create_dir(path)),
            Harm::Socket => remove().and_then(|()| UnixListener::bind(path).map(drop)),
        }
    }

    fn harm_entries(&self, chosen: Option<u16>, harm: EntryHarm) -> io::Result<()> {
        let path = self.root().join("registry.json");
        let mut document: Value = serde_json::from_str(&fs::read_to_string(&path)?)?;
        let entries = document["slots"].as_object_mut().expect("slots");
        let is_chosen = |slot: &str| chosen.is_none_or(|chosen| slot == chosen.to_string());
        for (_, entry) in entries.iter_mut().filter(|(slot, _)| is_chosen(slot)) {
            match harm {
                EntryHarm::Forget => {}
                EntryHarm::Import => drop(entry["files"].take()),
                EntryHarm::Claim => {
                    entry["claimed_by"] = json!("/home/dev/feature");
                    entry["claimed_at"] = json!("2026-01-01T00:00:00+00:00");
                    entry["status"] = json!("running");
                    entry["remark"] = serde_json::from_str("1e400")?;
                }
            }
        }
        if matches!(harm, EntryHarm::Forget) {
            entries.retain(|slot, _| !is_chosen(slot));
        }
        fs::write(path, document.to_string())
    }
}

fn walk(path: &Path, tree: &mut Tree) -> io::Result<()> {
    let meta = path.symlink_metadata()?;
    let mode = meta.permissions().mode() & 0o7777;
    let node = if meta.is_dir() {
        for entry in fs::read_dir(path)? {
            walk(&entry?.path(), tree)?;
        }
        Node::Dir(mode)
    } else if meta.is_symlink() {
        Node::Link(fs::read_link(path)?)
    } else if meta.file_type().is_socket() {
        Node::Socket(mode)
    } else {
        Node::File(mode, fs::read(path)?)
    };
    tree.insert(path.to_owned(), node);
    Ok(())
}

/// Damage to a pool, done by another program.
#[derive(Debug, Clone)]
pub(super) enum Damage {
    /// To a file of a slot, or one beside them.
    File(u16, &'static str, Harm),
    /// To a slot directory.
    Slot(u16, Harm),
    /// To an entry of the registry, or to all of them.
    Entry(Option<u16>, EntryHarm),
    /// The registry and its backup are gone.
    Registry,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Harm {
    Remove,
    Write(&'static str),
    Mode(u32),
    Link,
    Loop,
    Directory,
    Socket,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum EntryHarm {
    /// The entry is gone.
    Forget,
    /// It has no hashes, as if an old tool had written it.
    Import,
    /// A worktree holds the slot.
    Claim,
}

/// Damage to files and directories.
pub(super) fn disk_damage() -> impl Strategy<Value = Damage> {
    let strangers = ["stranger", "etc/deep", "etc/stranger", "sub/stranger"];
    let paths = PATHS.into_iter().chain(strangers).collect::<Vec<_>>();
    let mode = || select(vec![0o600, 0o640, 0o644, 0o700, 0o755]).prop_map(Harm::Mode);
    let harm = prop_oneof![
        4 => Just(Harm::Remove),
        1 => select(vec!["", "version 1\n", "slot 1\n", "edited"]).prop_map(Harm::Write),
        1 => mode(),
        1 => select(vec![Harm::Link, Harm::Loop, Harm::Directory, Harm::Socket]),
    ];
    let slot_harm = prop_oneof![
        4 => Just(Harm::Remove),
        1 => select(vec![0o700, 0o755]).prop_map(Harm::Mode),
        1 => select(vec![Harm::Link, Harm::Loop, Harm::Directory, Harm::Socket]),
    ];
    prop_oneof![
        3 => (1..=LAST, select(paths), harm).prop_map(|(slot, path, harm)| Damage::File(slot, path, harm)),
        1 => (1..=LAST, slot_harm).prop_map(|(slot, harm)| Damage::Slot(slot, harm)),
    ]
}

/// Damage to anything.
pub(super) fn damage() -> impl Strategy<Value = Damage> {
    let entry_harm = select(vec![EntryHarm::Forget, EntryHarm::Import, EntryHarm::Claim]);
    prop_oneof![
        8 => disk_damage(),
        4 => (prop::option::of(1..=LAST), entry_harm).prop_map(|(slot, harm)| Damage::Entry(slot, harm)),
        1 => Just(Damage::Registry),
    ]
}
