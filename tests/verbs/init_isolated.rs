//! What `kinfra init` writes keeps two slots and the main stack apart, as Compose reads them and as a judge
//! sees it that knows nothing of kinfra.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use camino::{Utf8Path, Utf8PathBuf};
use kinfra::compose::model::Model;
use kinfra::compose::overlay::{Slot, overlay};
use kinfra::compose::project::Project;
use kinfra::host::compose::{ComposeCall, config};
use kinfra::host::docker::Answer;
use kinfra::slot::{SlotId, Workers};
use kinfra::spec::Spec;

use super::init::{init, machine_of, projects};
use crate::formats::compose::judge::{common, things};
use crate::support::Machine;

/// A project with something of each kind that a machine has one of.
const HARD: &str = "services:
  db: {image: db, container_name: db, ports: ['5432:5432'], volumes: ['/srv/pg:/var/lib/postgresql/data'], networks: [proxy]}
  web:
    build: .
    image: shop
    ports: ['8080:80', '6005-6007:90']
    deploy: {replicas: 3}
    volumes: ['/srv/media:/app/media', 'cache:/c', 'ext:/e', 'disk:/d']
    networks: {own: {ipv4_address: 172.30.0.5}}
  job: {image: shop}
  dns: {image: dns, ports: ['5300:53/udp', '5300:53']}
volumes:
  cache: {name: shop_cache}
  ext: {external: true}
  disk: {driver_opts: {type: none, o: bind, device: /srv/disk}}
networks:
  proxy: {external: true, name: the-proxy}
  own: {name: shop_net, ipam: {config: [{subnet: 172.30.0.0/16}]}}
";

/// What Compose makes of a worktree's files, with an overlay or without.
fn resolved(project: &Project, name: &str, overlay: Option<&Utf8PathBuf>) -> String {
    let files: Vec<Utf8PathBuf> = project.files.iter().chain(overlay).cloned().collect();
    let call = ComposeCall {
        engine: None,
        project: Some(name),
        files: &files,
        directory: &project.directory,
        env_files: &project.env_files,
        profiles: &["*".to_owned()],
        without: &BTreeSet::new(),
    };
    let Answer::Is(json) = config(&call) else { panic!("{name}: {:?}", config(&call)) };
    json
}

fn assert_apart(name: &str, machine: &Machine) {
    // Slots are on other ports, and what is undecided would stop them.
    init(machine, "").exits(0).never_says("stops a start");
    let home = Utf8PathBuf::from_path_buf(machine.home().canonicalize().expect("a path")).expect("UTF-8");
    let mut spec = Spec::parse(&machine.read("slots.toml")).expect("a valid spec");
    spec.compose = spec.compose.map(|compose| compose.in_home(&home));
    let main = machine.project().canonicalize().expect("a path");
    let main = Utf8PathBuf::from_path_buf(main).expect("UTF-8");
    let compose = spec.compose.clone().expect("[compose]");
    let mut stacks = Vec::new();
    for id in 0..=2 {
        let worktree = if id == 0 { main.clone() } else { copy(&main, &home.join(format!("tree-{id}"))) };
        let project = Project::find(&worktree, &compose).expect("a project");
        let as_main = resolved(&project, "project", None);
        let json = if let Some(id) = SlotId::new(id) {
            let ports = spec.ports.iter();
            let slot = Slot {
                pool: "project",
                id,
                tag: "slot",
                registry: "5f0c",
                root: Utf8Path::new("/root"),
                worktree: &worktree,
                ports: &ports.map(|(name, of)| (name.clone(), of.port(id.get()).expect("a port"))).collect(),
                spec: &spec,
                workers: &Workers::default(),
                environment: &BTreeMap::new(),
                subnet: None,
            };
            let overlay = overlay(&Model::parse(&as_main).expect("a model"), &slot).expect("an overlay");
            assert_eq!(overlay.unpublished, [], "{name}");
            let file = home.join(format!("overlay-{id}.yaml"));
            fs::write(&file, overlay.text).expect("an overlay");
            resolved(&project, &format!("project-slot-{id}"), Some(&file))
        } else {
            as_main
        };
        stacks.push(things(&serde_json::from_str(&json).expect("JSON"), worktree.as_str()));
    }
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        let common = common(&stacks[one], &stacks[other]);
        let silent: Vec<&String> = common.iter().filter(|thing| !thing.ends_with("docker.sock")).collect();
        assert!(silent.is_empty(), "{name}: stacks {one} and {other} share {silent:?}");
    }
}

fn copy(from: &Utf8Path, to: &Utf8Path) -> Utf8PathBuf {
    fn below(from: &Path, to: &Path) {
        fs::create_dir_all(to).expect("a directory");
        for entry in fs::read_dir(from).expect("a directory") {
            let path = entry.expect("an entry").path();
            let to = to.join(path.file_name().expect("a name"));
            if path.is_dir() { below(&path, &to) } else { fs::copy(&path, &to).map(|_| ()).expect("a copy") }
        }
    }
    below(from.as_std_path(), to.as_std_path());
    to.to_owned()
}

#[test]
#[ignore = "needs Docker Compose v2"]
fn slots_of_a_drafted_pool_share_nothing() {
    let hard = Machine::new();
    hard.write("compose.yaml", HARD);
    assert_apart("hard", &hard);
    // Compose refuses a file whose variable has no value.
    for (name, project) in projects().into_iter().filter(|(name, _)| name != "monorepo") {
        assert_apart(&name, &machine_of(&project).0);
    }
}
