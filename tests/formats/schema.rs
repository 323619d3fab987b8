//! `slots.schema.json`, with which editors complete and check a `slots.toml`. It is generated from the types below, which
//! mirror the file.
//!
//! After a change of the format, `KINFRA_UPDATE_EXPECTED=1 cargo test schema` writes it again. kinfra itself checks what a
//! schema cannot express, such as that ports do not collide.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::acceptance::examples;
use crate::formats::spec::EVERYTHING;
use crate::support::{Machine, Run, SMALL};

const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/slots.schema.json");

const UPDATE: &str = "KINFRA_UPDATE_EXPECTED";

/// A pool of sandbox slots, for kinfra.
#[derive(JsonSchema)]
#[schemars(title = "slots.toml", deny_unknown_fields)]
#[expect(dead_code, reason = "the schema is made from the types alone")]
struct SlotsToml {
    /// The version of this format.
    #[schemars(extend("const" = 1))]
    version: u16,
    /// The pool.
    pool: Pool,
    /// The host ports, base + stride × slot each. Slot 0 is the main stack; the first port is the primary one.
    #[schemars(extend("propertyNames" = { "pattern": NAME }, "minProperties" = 1))]
    ports: BTreeMap<String, Port>,
    /// The size classes, smallest first.
    profiles: Vec<Profile>,
    /// The slots.
    slots: Vec<Slots>,
    /// The files of a slot directory, each with its template in `templates/`. A pool with [compose] needs none.
    #[schemars(default, skip_serializing_if = "BTreeMap::is_empty", extend("propertyNames" = { "pattern": PATH }, "minProperties" = 1))]
    files: BTreeMap<String, File>,
    /// The files that a claim adds to the slot directory, each with its template in `templates/`.
    #[schemars(default, extend("propertyNames" = { "pattern": PATH }))]
    claim: BTreeMap<String, File>,
    /// Further variables for templates.
    #[schemars(default, extend("propertyNames" = { "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" }))]
    env: BTreeMap<String, Variable>,
    /// Runs the worktree's own Compose files, on the slot's ports.
    #[schemars(with = "Compose", default, skip_serializing_if = "Option::is_none")]
    compose: Option<Compose>,
    /// What services of the Compose files get for a slot.
    #[schemars(default, extend("propertyNames" = { "pattern": SERVICE }))]
    services: BTreeMap<String, Service>,
    /// The worktree that holds a slot.
    #[schemars(with = "Worktree", default, skip_serializing_if = "Option::is_none")]
    worktree: Option<Worktree>,
    /// Where the registry is kept, if not in the root. What counts is the file that was applied.
    #[schemars(with = "Registry", default, skip_serializing_if = "Option::is_none")]
    registry: Option<Registry>,
    /// How stacks are started, checked and kept. What counts is the file that was applied.
    #[schemars(with = "Stack", default, skip_serializing_if = "Option::is_none")]
    stack: Option<Stack>,
    /// The project's own verbs: `kinfra NAME` is `kinfra start` with these.
    #[schemars(default, extend("propertyNames" = { "pattern": KIND }, "maxProperties" = 100))]
    verbs: BTreeMap<String, ProjectVerb>,
}

/// What a port, a profile or a kind of worker is called.
const NAME: &str = "^[a-z][a-z0-9_]*$";

/// The name of a service of a Compose file.
const SERVICE: &str = "^[A-Za-z0-9._-]+$";

/// The name of a kind of worker. A service may have a `-`.
const KIND: &str = "^[a-z][a-z0-9_-]*$";

/// An amount of memory.
const MEMORY: &str = "^ *[0-9]+([.][0-9]+)? *([bkmgBKMG][bB]?|[KMGkmg][iI][bB]) *$";

/// Things that slots could share.
const RESOURCE: &str = "^((volume|network|image):.+|(mount|device):(/|~/.).*)$";

/// Things that each slot can have as its own.
const REPLACEABLE: &str = "^((volume|network):.+|mount:(/|~/.).*)$";

/// A relative path. kinfra itself checks that it has no `..`.
const PATH: &str = "^([^/]|[^/].*[^/])$";

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "the schema is made from the types alone")]
struct Pool {
    /// Its name, as in labels and Compose project names: NAME-slot-1.
    #[schemars(regex(pattern = "^[a-z0-9][a-z0-9_-]*$"))]
    name: String,
    /// The directory it lives in, absolute or below `~/`.
    #[schemars(regex(pattern = "^(~/|/).+$"))]
    root: String,
    /// The prefix of the names of the slot's variables.
    #[schemars(
        with = "String",
        default,
        skip_serializing_if = "Option::is_none",
        regex(pattern = "^[A-Z_][A-Z0-9_]*$")
    )]
    env_prefix: Option<String>,
    /// The registry of an older tool, which kinfra takes over once. Absolute or below `~/`.
    #[schemars(
        with = "String",
        default,
        skip_serializing_if = "Option::is_none",
        regex(pattern = "^(~/|/).+$")
    )]
    import: Option<String>,
    /// The port that `kinfra slots` shows: the first one that speaks HTTP, unless it is named here.
    #[schemars(with = "String", default, skip_serializing_if = "Option::is_none", regex(pattern = NAME))]
    primary: Option<String>,
    /// The lease of what an agent claims, such as `8h`, which is the default.
    #[schemars(
        with = "String",
        default,
        skip_serializing_if = "Option::is_none",
        regex(pattern = "^[1-9][0-9]*[smhd]$")
    )]
    agent_lease: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "the schema is made from the types alone")]
enum Port {
    /// The port of slot 0. The port of each next slot is one higher.
    Base(#[schemars(range(min = 1024, max = 65535))] u16),
    Formula(Formula),
}

/// Host port = base + stride × slot.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "the schema is made from the types alone")]
struct Formula {
    /// The port of slot 0, the main stack.
    #[schemars(range(min = 1024, max = 65535))]
    base: u16,
    /// The distance between the ports of neighbouring slots.
    #[schemars(default = "one", range(min = 1, max = 65535))]
    stride: u16,
    /// The service and its port in the container, such as `web:80`, or `dns:53/udp`; needs [compose].
    #[schemars(
        with = "String",
        default,
        skip_serializing_if = "Option::is_none",
        regex(pattern = "^[A-Za-z0-9._-]+:[0-9]+(/tcp|/udp)?$")
    )]
    publish: Option<String>,
    /// How many ports in a row a slot has for it, one for each replica.
    #[schemars(default = "one", range(min = 1, max = 1000))]
    count: u16,
    /// The scheme of its address, such as `http` or `postgres`.
    #[schemars(
        with = "String",
        default,
        skip_serializing_if = "Option::is_none",
        regex(pattern = "^[a-z][a-z0-9+.-]*$")
    )]
    scheme: Option<String>,
}

fn one() -> u16 {
    1
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "the schema is made from the types alone")]
struct Profile {
    /// Its name.
    #[schemars(regex(pattern = NAME))]
    name: String,
    /// How many workers of each kind a slot runs.
    #[schemars(default, extend("propertyNames" = { "pattern": KIND }))]
    workers: BTreeMap<String, u16>,
    /// The memory that a slot's stack needs, such as `6g`. A start waits or is refused where less is free.
    #[schemars(default, regex(pattern = MEMORY), skip_serializing_if = "Option::is_none")]
    memory: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "the schema is made from the types alone")]
struct Slots {
    /// Their ids, such as `5`, `1-4` or `1-3,7`.
    #[schemars(regex(pattern = "^ *[0-9]+ *(- *[0-9]+ *)?(, *[0-9]+ *(- *[0-9]+ *)?)*$"))]
    ids: String,
    /// Their size class, one of `[[profiles]]`.
    #[schemars(regex(pattern = NAME))]
    profile: String,
    /// The host that has them, as `hostname` prints it. Without one, every host has these slots of its own.
    #[schemars(default, regex(pattern = "^[A-Za-z0-9._-]+$"), skip_serializing_if = "Option::is_none")]
    host: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "the schema is made from the types alone")]
enum File {
    /// Its template, below `templates/`.
    Template(#[schemars(regex(pattern = PATH))] String),
    Detailed(DetailedFile),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "the schema is made from the types alone")]
struct DetailedFile {
    /// Its template, below `templates/`.
    #[schemars(regex(pattern = PATH))]
    template: String,
    /// Its permissions, as four octal digits.
    #[schemars(default = "private", regex(pattern = "^0[67][0-7][0-7]$"))]
    mode: String,
}

fn private() -> String {
    "0600".to_owned()
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "the schema is made from the types alone")]
enum Variable {
    /// Its value, a template; `~/` becomes absolute.
    Value(String),
    Detailed(DetailedVariable),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "the schema is made from the types alone")]
struct DetailedVariable {
    /// Its value, a template; `~/` becomes absolute.
    value: String,
    /// Whether only private files may hold it.
    #[schemars(default)]
    sensitive: bool,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "the schema is made from the types alone")]
struct Compose {
    /// The Compose files, relative to the worktree; without them, those that Compose itself finds.
    #[schemars(
        with = "Vec<String>",
        default,
        skip_serializing_if = "Option::is_none",
        length(min = 1),
        inner(regex(pattern = PATH))
    )]
    files: Option<Vec<String>>,
    /// What slots may use together, such as `mount:/srv/models` or `network:observability`.
    #[schemars(default, inner(regex(pattern = RESOURCE)))]
    shared: Vec<String>,
    /// What each slot has its own of, in place of a shared one.
    #[schemars(default, extend("propertyNames" = { "pattern": REPLACEABLE }))]
    per_slot: BTreeMap<String, PerSlot>,
}

/// `volume` or `worktree:DIR` for a mount, `own` for a volume or a network.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the schema is made from the types alone")]
struct PerSlot(#[schemars(regex(pattern = "^(own|volume|worktree:.+)$"))] String);

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "the schema is made from the types alone")]
struct Service {
    /// Further values of its environment; they win over the project's own.
    #[schemars(default, extend("propertyNames" = { "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" }))]
    environment: BTreeMap<String, Variable>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "the schema is made from the types alone")]
struct Worktree {
    /// Where `kinfra start` makes the worktree of a branch, from the main worktree: `../{repo}-{branch}` by default.
    #[schemars(
        with = "String",
        default,
        skip_serializing_if = "Option::is_none",
        regex(pattern = r"\{branch\}")
    )]
    path: Option<String>,
    /// Files that git does not bring: copied from the repository's main worktree where they are missing.
    #[schemars(default, inner(regex(pattern = PATH)))]
    copy: Vec<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "the schema is made from the types alone")]
struct Registry {
    /// The PostgreSQL database that several machines share, such as `postgres://db.example/infra`. Without a password.
    #[schemars(regex(pattern = "^postgres(ql)?://"))]
    url: String,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "the schema is made from the types alone")]
struct Stack {
    /// The project's own last check of a stack: a command and its arguments, run in the worktree.
    #[schemars(with = "Vec<String>", default, skip_serializing_if = "Option::is_none", length(min = 1))]
    verify: Option<Vec<String>>,
    /// Services that run to their end, and not again while their inputs are the same.
    #[schemars(default, inner(regex(pattern = SERVICE)))]
    once: Vec<String>,
    /// How long the data of a released slot is kept for its worktree, such as `7d`.
    #[schemars(
        with = "String",
        default,
        skip_serializing_if = "Option::is_none",
        regex(pattern = "^[0-9]+[smhd]$")
    )]
    keep_data: Option<String>,
    /// After how long without use `kinfra reap` stops a stack, such as `4h`. Without it, never.
    #[schemars(
        with = "String",
        default,
        skip_serializing_if = "Option::is_none",
        regex(pattern = "^[0-9]+[smhd]$")
    )]
    idle_stop: Option<String>,
    /// The service that `kinfra shell` enters if none is named.
    #[schemars(with = "String", default, skip_serializing_if = "Option::is_none", regex(pattern = SERVICE))]
    shell: Option<String>,
    /// The block of IPv4 addresses that each slot has for its networks, such as `10.213.{{ slot.id }}.0/24`.
    #[schemars(with = "String", default, skip_serializing_if = "Option::is_none")]
    subnet: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "the schema is made from the types alone")]
struct ProjectVerb {
    /// The branch, with a place for the name that is typed: `impl/{name}`.
    #[schemars(default = "name", regex(pattern = r"^[^{}]*\{name\}[^{}]*$"))]
    branch: String,
    /// Where a new branch begins. Without it, at the commit of the main worktree.
    #[schemars(with = "String", default, skip_serializing_if = "Option::is_none", regex(pattern = "^[^-]"))]
    from: Option<String>,
    /// The smallest size class that the slot may have.
    #[schemars(with = "String", default, skip_serializing_if = "Option::is_none", regex(pattern = NAME))]
    profile: Option<String>,
    /// How long the claim lasts unless it is renewed, such as `8h`. Without it, the claim has no end.
    #[schemars(
        with = "String",
        default,
        skip_serializing_if = "Option::is_none",
        regex(pattern = "^[1-9][0-9]*[smhd]$")
    )]
    lease: Option<String>,
    /// Whether the stack is started.
    #[schemars(default = "yes")]
    up: bool,
}

fn name() -> String {
    "{name}".to_owned()
}

fn yes() -> bool {
    true
}

fn generated() -> Value {
    SchemaSettings::draft07().into_generator().into_root_schema_for::<SlotsToml>().to_value()
}

#[test]
fn the_schema_is_that_of_the_types() {
    let generated = format!("{:#}\n", generated());
    if std::env::var_os(UPDATE).is_some() {
        fs::write(SCHEMA, &generated).expect("a written schema");
    }
    let checked_in = fs::read_to_string(SCHEMA).unwrap_or_default();
    assert!(checked_in == generated, "slots.schema.json is out of date: {UPDATE}=1 cargo test schema");
}

/// The keys that the schema knows in a table.
fn keys(table: &Value) -> BTreeSet<String> {
    table["properties"].as_object().expect("properties").keys().cloned().collect()
}

#[test]
fn the_schema_knows_the_keys_that_kinfra_knows() {
    let schema = generated();
    let definition = |name: &str| keys(&schema["definitions"][name]);
    let everything = SMALL.to_owned()
        + "[env]\nB = { value = \"b\" }\n[compose]\n[services.web]\n[worktree]\n[registry]\nurl = \"postgres://h/d\"\n[stack]\n[verbs.x]\n";
    for (at, title, known) in [
        ("version = 1", "the file", keys(&schema)),
        ("name = \"small\"", "[pool]", definition("Pool")),
        ("name = \"only\"", "[[profiles]]", definition("Profile")),
        ("ids = \"1-2\"", "[[slots]]", definition("Slots")),
        ("web = { base = 8000", "a port", definition("Formula")),
        ("\"conf.txt\" = { template = \"conf.txt\"", "a file", definition("DetailedFile")),
        ("B = { value = \"b\"", "a variable", definition("DetailedVariable")),
        ("[compose]", "[compose]", definition("Compose")),
        ("[services.web]", "[services.web]", definition("Service")),
        ("[worktree]", "[worktree]", definition("Worktree")),
        ("[registry]", "[registry]", definition("Registry")),
        ("[stack]", "[stack]", definition("Stack")),
        ("[verbs.x]", "[verbs.x]", definition("ProjectVerb")),
    ] {
        let spec = everything
            .replace("web = 8000", "web = { base = 8000 }")
            .replace("= \"conf.txt\"", "= { template = \"conf.txt\" }");
        let between = if at.contains('{') { ", " } else { "\n" };
        let machine = Machine::small();
        machine.spec(&spec.replace(at, &format!("{at}{between}qqqqqqqqqq = 1")));
        let said = machine.kinfra("plan").exits(65).stderr;
        let list = said.split_once(&format!("{title} takes ")).map(|(_, list)| list.lines().next());
        let list = list.flatten().unwrap_or_else(|| panic!("{title}: {said}"));
        let taken: BTreeSet<String> = list.split(", ").map(|key| key.trim_matches('`').to_owned()).collect();
        assert_eq!(known, taken, "keys of {title}");
    }
}

#[test]
fn every_slots_toml_names_the_schema() {
    let root = Path::new(SCHEMA).parent().expect("a directory");
    for dir in examples::dirs().iter().map(PathBuf::as_path).chain([root]) {
        let text = fs::read_to_string(dir.join("slots.toml")).expect("a slots.toml");
        let named = text.lines().next().and_then(|line| line.strip_prefix("#:schema "));
        let named = named.unwrap_or_else(|| panic!("{} names no schema", dir.display()));
        assert_eq!(
            dir.join(named).canonicalize().expect("a schema"),
            Path::new(SCHEMA).canonicalize().expect("it")
        );
    }
}

/// Checks a file with the schema that it names, as editors do.
fn taplo(path: &Path) -> Run {
    // `pip install taplo` brings it.
    Run::of(Command::new("taplo").args(["check", "--no-auto-config"]).arg(path).stdin(Stdio::null()))
}

#[test]
#[ignore = "needs taplo"]
fn a_language_server_accepts_what_kinfra_accepts() {
    let root = Path::new(SCHEMA).parent().expect("a directory");
    for dir in examples::all().iter().map(examples::Example::dir).chain([root]) {
        taplo(&dir.join("slots.toml")).exits(0);
    }
}

#[test]
#[ignore = "needs taplo"]
fn a_language_server_marks_what_kinfra_refuses() {
    let machine = Machine::small();
    let checked = |text: &str| {
        machine.spec(&format!("#:schema {SCHEMA}\n{text}"));
        taplo(&machine.path("slots.toml"))
    };
    checked(SMALL).exits(0);
    checked(EVERYTHING).exits(0);
    for (from, to) in [
        ("version = 1", "version = 2"),
        ("name = \"small\"", "title = \"small\""),
        ("\"~/pool\"", "\"pool\""),
        ("8000", "80"),
        ("8000", "{ base = 8000, stride = 0 }"),
        ("web", "Web"),
        ("\"1-2\"", "\"1 to 2\""),
        ("= \"conf.txt\"", "= { template = \"conf.txt\", mode = \"644\" }"),
        ("\"conf.txt\" =", "\"/conf.txt\" ="),
        ("[files]\n\"conf.txt\" = \"conf.txt\"\n", "[files]\n"),
        ("profile = \"only\"\n", ""),
        ("8000", "{ base = 8000, publish = \"web\" }"),
        ("[files]", "[compose]\nshared = [\"disk:/x\"]\n[files]"),
        ("[files]", "[compose.per_slot]\n\"image:x\" = \"own\"\n[files]"),
        ("[files]", "[compose.per_slot]\n\"mount:/x\" = \"mine\"\n[files]"),
    ] {
        let text = SMALL.replace(from, to);
        checked(&text).exits(1);
        machine.kinfra("plan").exits(65);
    }
}
