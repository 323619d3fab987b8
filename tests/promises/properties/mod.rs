//! Properties of every pool, tried on random pools. A pool that breaks one is shrunk and shown.
//!
//! `cargo test` tries each property a few times, `cargo test --profile ci -- --ignored` 10,000 times;
//! `PROPTEST_CASES` overrides both.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;
use kinfra::desired::{Pool, RenderInputs, TemplateTexts, render_pool};
use kinfra::file::RelPath;
use kinfra::spec::Spec;
use kinfra::spec::mistake::{Source, SourceKind};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::{Config, TestCaseResult, TestRunner};

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

mod change;
mod env;
mod init;
mod isolation;
mod overlay;
mod pool;
mod ports;
mod registry;
mod subnets;
mod template;
mod world;

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

/// The highest id of a slot.
const LAST: u16 = 7;

/// The files that a pool may declare; `etc` only without those below it.
const PATHS: [&str; 7] =
    [".env", "conf.txt", "etc", "etc/app.toml", "etc/deep/er.conf", "etc/other", "two words/é.txt"];

/// Their templates.
const TEXTS: [&str; 6] = [
    "",
    "version 1\n",
    "version 2\n",
    "slot {{ slot.id }}\n",
    "{{ slot.profile }} has {{ workers }} on {{ ports }}\n",
    "{{ slot.dir }} of {{ pool.root }}\n",
];

/// Their modes.
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
    // 100 ports apart, so that formulas never collide. A new formula may still give a port that another one
    // gave before.
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

/// A pool and what it was edited into: grown, shrunk, moved to other ports, with other profiles, files and
/// templates.
fn edited() -> impl Strategy<Value = (Model, Model)> {
    let rarely = || prop::bool::weighted(0.25);
    let choices = || prop_oneof![Just(0), any::<u16>()];
    let shift = prop_oneof![Just(0), 0..3_u16];
    (model(), model(), rarely(), shift, rarely(), choices(), choices()).prop_map(
        |(old, other, ports, shift, profiles, slots, files)| {
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

/// Takes each entry from one of two maps, at random. If that map lacks it, so does the result.
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
        let source =
            Source { name: "slots.toml".to_owned(), text: self.toml(entries).into(), kind: SourceKind::Spec };
        let spec = Spec::parse(&source.text).expect("a valid spec");
        let path = |path| RelPath::new(path).expect("a relative path");
        let texts: TemplateTexts =
            self.files.iter().map(|(name, (text, _))| (path(name), Ok((*text).to_owned()))).collect();
        let inputs = RenderInputs { spec: &spec, source: &source, templates: &texts, root, home: None };
        render_pool(inputs).expect("valid templates")
    }
}
