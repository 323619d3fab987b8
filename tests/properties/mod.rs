//! What holds for every pool, tried on pools and damage made at random. What breaks a property is shrunk and shown.
//!
//! `cargo test` tries each property a few times, `cargo test --release -- --ignored` 10,000 times; `PROPTEST_CASES`
//! overrides both.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use kinfra::apply::{Outcome, apply};
use kinfra::desired::{Place, Pool, TemplateTexts, resolve};
use kinfra::diff::diff;
use kinfra::host::lock::LockPolicy;
use kinfra::host::root::Root;
use kinfra::observe::{Observed, observe};
use kinfra::plan::{Plan, plan};
use kinfra::slot::RelPath;
use kinfra::spec::Spec;
use kinfra::spec::mistake::Source;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::{Config, TestCaseResult, TestRunner};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Makes two tests of each property, a function that takes a number of cases.
macro_rules! properties {
    ($($property:ident: $few:literal,)*) => {$(
        mod $property {
            #[test]
            fn a_few() {
                super::$property($few);
            }

            #[test]
            #[ignore = "takes minutes: 10,000 cases"]
            fn thousands() {
                super::$property(10_000);
            }
        }
    )*};
}

mod pool;
mod ports;
mod registry;
mod template;

/// Tries a property on so many values.
fn check<S: Strategy>(cases: u32, values: S, property: impl Fn(S::Value) -> TestCaseResult) {
    let mut config = Config { failure_persistence: None, max_shrink_iters: 4096, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    if let Err(failure) = TestRunner::new(config).run(&values, property) {
        panic!("{failure}");
    }
}

/// The files that a pool may declare; `etc` only without those below it.
const PATHS: [&str; 7] =
    [".env", "conf.txt", "etc", "etc/app.toml", "etc/deep/er.conf", "etc/other", "two words/é.txt"];
const TEXTS: [&str; 6] = [
    "",
    "version 1\n",
    "version 2\n",
    "slot {{ slot.id }}\n",
    "{{ slot.profile }} has {{ workers }} on {{ ports }}\n",
    "{{ slot.dir }} of {{ pool.root }}\n",
];
/// The highest id of a slot; pools have up to six of them.
const LAST: u16 = 7;
const MODES: [&str; 4] = ["0600", "0640", "0644", "0755"];

/// A declared pool, before it is written as TOML. All its ports differ.
#[derive(Debug, Clone)]
struct Model {
    /// Name, base and stride.
    ports: Vec<(&'static str, u16, u16)>,
    /// How many workers each profile has.
    profiles: Vec<u16>,
    /// The slots with the positions of their profiles.
    slots: BTreeMap<u16, usize>,
    /// The files with template and mode.
    files: BTreeMap<&'static str, (&'static str, &'static str)>,
}

/// Pools of up to six slots.
fn model() -> impl Strategy<Value = Model> {
    // 100 ports apart, so that formulas never meet, but a new formula may meet what another one gave before.
    let bases = Just(vec![8000_u16, 8100, 65_400]).prop_shuffle();
    let names = subsequence(vec!["web", "db", "otlp"], 1..=3).prop_shuffle();
    let formulas = prop::collection::vec((0..4_u16, 1..=5_u16), 3);
    let ports = (names, bases, formulas).prop_map(|(names, bases, formulas)| {
        let formulas = bases.into_iter().zip(formulas);
        names
            .into_iter()
            .zip(formulas)
            .map(|(name, (base, (by, stride)))| (name, base + by, stride))
            .collect()
    });
    let profiles = prop::collection::vec(0..3_u16, 1..=3);
    let slots = prop::collection::btree_map(1..=LAST, 0..3_usize, 0..=6);
    let files = subsequence(PATHS.to_vec(), 1..=PATHS.len()).prop_flat_map(|paths| {
        let each = prop::collection::vec((select(TEXTS.to_vec()), select(MODES.to_vec())), paths.len());
        each.prop_map(move |each| paths.iter().copied().zip(each).collect())
    });
    (ports, profiles, slots, files)
        .prop_map(|(ports, profiles, slots, files)| Model { ports, profiles, slots, files }.tidy())
}

/// A pool and what it was edited into: grown, shrunk, moved to other ports, with other profiles, files and templates.
fn edited() -> impl Strategy<Value = (Model, Model)> {
    (model(), model(), any::<[u16; 2]>(), any::<[bool; 2]>(), 0..3_u16).prop_map(
        |(old, other, [slots, files], [ports, profiles], shift)| {
            let shifted =
                old.ports.iter().map(|&(name, base, stride)| (name, base + shift, stride)).collect();
            let new = Model {
                ports: if ports { other.ports } else { shifted },
                profiles: if profiles { other.profiles } else { old.profiles.clone() },
                slots: mix(&old.slots, &other.slots, slots),
                files: mix(&old.files, &other.files, files),
            };
            (old, new.tidy())
        },
    )
}

/// Takes each entry from one of two maps, present there or not.
fn mix<K: Ord + Clone, V: Clone>(old: &BTreeMap<K, V>, new: &BTreeMap<K, V>, choices: u16) -> BTreeMap<K, V> {
    let keys: BTreeSet<&K> = old.keys().chain(new.keys()).collect();
    let chosen = keys.into_iter().enumerate().filter_map(|(index, key)| {
        let from = if choices >> (index % 16) & 1 == 0 { old } else { new };
        Some((key.clone(), from.get(key)?.clone()))
    });
    chosen.collect()
}

impl Model {
    /// Keeps `etc` from being a file and a directory, and the pool from having no file.
    fn tidy(mut self) -> Self {
        if self.files.keys().any(|path| path.starts_with("etc/")) {
            self.files.remove("etc");
        }
        if self.files.is_empty() {
            self.files.insert(PATHS[0], (TEXTS[0], MODES[0]));
        }
        self
    }

    /// The `[[slots]]` entries, one a slot: ids and profile.
    fn entries(&self) -> Vec<(String, usize)> {
        self.slots.iter().map(|(id, profile)| (id.to_string(), profile % self.profiles.len())).collect()
    }

    /// `slots.toml`, with these `[[slots]]` entries.
    fn toml(&self, entries: &[(String, usize)]) -> String {
        let none = if entries.is_empty() { "slots = []\n" } else { "" };
        let mut text = format!("version = 1\n{none}[pool]\nname = \"p\"\nroot = \"~/p\"\n[ports]\n");
        for (name, base, stride) in &self.ports {
            text += &format!("{name} = {{ base = {base}, stride = {stride} }}\n");
        }
        for (profile, workers) in self.profiles.iter().enumerate() {
            text += &format!("[[profiles]]\nname = \"p{profile}\"\nworkers = {{ w = {workers} }}\n");
        }
        for (ids, profile) in entries {
            text += &format!("[[slots]]\nids = \"{ids}\"\nprofile = \"p{profile}\"\n");
        }
        text += "[files]\n";
        for (path, (_, mode)) in &self.files {
            text += &format!("\"{path}\" = {{ template = \"{path}\", mode = \"{mode}\" }}\n");
        }
        text
    }

    fn pool(&self, root: &Utf8Path) -> Pool {
        self.pool_from(&self.entries(), root)
    }

    fn pool_from(&self, entries: &[(String, usize)], root: &Utf8Path) -> Pool {
        let source = Source { name: "slots.toml".to_owned(), text: self.toml(entries) };
        let spec = Spec::parse(&source.text).expect("a valid spec");
        let path = |path| RelPath::new(path).expect("a relative path");
        let texts: TemplateTexts =
            self.files.iter().map(|(name, (text, _))| (path(name), Ok((*text).to_owned()))).collect();
        resolve(&spec, &source, &texts, Place { root, home: None }).expect("valid templates")
    }
}

/// What stands at a path: its permissions, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Dir(u32),
    File(u32, Vec<u8>),
    Link(PathBuf),
    Socket(u32),
}

type Tree = BTreeMap<PathBuf, Node>;

/// A directory with room for a root, and with a file that no pool may touch.
struct World {
    dir: TempDir,
}

impl World {
    /// In memory where that is possible: each case writes and syncs a pool or two.
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
        let world = Self { dir: dir.expect("a temporary directory") };
        world.clear();
        world
    }

    /// Puts everything back to the beginning.
    fn clear(&self) {
        let _ = fs::remove_dir_all(self.root());
        fs::write(self.outside(), "not the pool's").expect("a file");
    }

    fn root(&self) -> Utf8PathBuf {
        let dir = self.dir.path().canonicalize().expect("a directory");
        Utf8PathBuf::from_path_buf(dir).expect("UTF-8").join("root")
    }

    fn outside(&self) -> PathBuf {
        self.dir.path().join("outside")
    }

    fn look(&self, pool: &Pool) -> (Plan, Observed) {
        let root = Root::open(&self.root()).expect("a root");
        let observed = observe(root.as_ref(), pool).expect("a registry");
        (plan(pool, &observed, &diff(pool, &observed)), observed)
    }

    /// Runs a plan.
    fn run(&self, plan: &Plan, pool: &Pool, observed: &Observed) -> anyhow::Result<Outcome> {
        let locked = Root::make(&self.root())?.lock(&LockPolicy {
            patience: Duration::ZERO,
            command: "a test",
            network: false,
        })?;
        apply(plan, pool, observed, &locked)
    }

    /// Plans and runs the plan, as `kinfra apply` does. No slot may fail.
    fn apply(&self, pool: &Pool) -> Plan {
        let (plan, observed) = self.look(pool);
        if plan.actions().next().is_some() {
            let outcome = self.run(&plan, pool, &observed).expect("an applied plan");
            assert!(outcome.failed.is_empty(), "{outcome:?}");
        }
        plan
    }

    /// Everything but the lock, the backup of the registry, and the name of the directory for temporary files.
    fn tree(&self) -> Tree {
        let mut tree = Tree::new();
        walk(self.dir.path(), &mut tree).expect("a readable tree");
        for name in [".lock", "registry.json.bak", ".tmp"] {
            tree.remove(self.root().join(name).as_std_path());
        }
        tree
    }

    /// Does damage, where there is something to damage.
    fn inflict(&self, damage: &Damage) {
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
            Harm::Mode(mode) => fs::set_permissions(path, fs::Permissions::from_mode(mode)),
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
                    entry["note"] = serde_json::from_str("1e400")?;
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

/// Something that happens to a pool behind kinfra's back.
#[derive(Debug, Clone)]
enum Damage {
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
enum Harm {
    Remove,
    Write(&'static str),
    Mode(u32),
    Link,
    Loop,
    Directory,
    Socket,
}

#[derive(Debug, Clone, Copy)]
enum EntryHarm {
    /// The entry is gone.
    Forget,
    /// It has no hashes, as if an old tool had written it.
    Import,
    /// Someone holds the slot.
    Claim,
}

/// Damage to files and directories.
fn disk_damage() -> impl Strategy<Value = Damage> {
    let strangers = ["stranger", "etc/deep", "etc/stranger", "sub/stranger"];
    let paths = PATHS.into_iter().chain(strangers).collect::<Vec<_>>();
    let mode = || select(vec![0o600, 0o640, 0o644, 0o700, 0o755]).prop_map(Harm::Mode);
    let harm = prop_oneof![
        4 => Just(Harm::Remove),
        2 => select(vec!["", "version 1\n", "slot 1\n", "edited"]).prop_map(Harm::Write),
        2 => mode(),
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
fn damage() -> impl Strategy<Value = Damage> {
    let entry_harm = select(vec![EntryHarm::Forget, EntryHarm::Import, EntryHarm::Claim]);
    prop_oneof![
        8 => disk_damage(),
        4 => (prop::option::of(1..=LAST), entry_harm).prop_map(|(slot, harm)| Damage::Entry(slot, harm)),
        1 => Just(Damage::Registry),
    ]
}
