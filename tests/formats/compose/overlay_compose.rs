//! Overlays as the real Compose reads them, judged without kinfra.

use std::collections::BTreeSet;
use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use kinfra::compose::model::Model;
use kinfra::compose::project::Project;
use kinfra::file::RelPath;
use kinfra::host::compose::{ComposeCall, config};
use kinfra::host::docker::Answer;
use kinfra::spec::ComposeSpec;
use serde_json::Value;

use super::judge::{Things, common, things};
use super::overlay_cases::{Case, cases};

/// Three worktrees with the same files: the main one, and those of slots 1 and 2.
struct Trial {
    _dir: tempfile::TempDir,
    base: Utf8PathBuf,
}

impl Trial {
    fn of(case: &Case) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let base = Utf8PathBuf::from_path_buf(dir.path().canonicalize().expect("a path")).expect("UTF-8");
        for worktree in ["main", "one", "two"] {
            for (name, text) in case.files {
                let file = base.join(worktree).join(name);
                fs::create_dir_all(file.parent().expect("a directory")).expect("a directory");
                fs::write(file, text).expect("a file");
            }
        }
        Self { _dir: dir, base }
    }

    /// What Compose makes of a worktree's files, with an overlay or without.
    fn resolved(&self, worktree: &str, name: &str, overlay: Option<&str>) -> String {
        let project = Project::find(&self.base.join(worktree), &ComposeSpec::default()).expect("a project");
        let mut files = project.files;
        if let Some(text) = overlay {
            let file = self.base.join(format!("overlay-{worktree}.yaml"));
            fs::write(&file, text).expect("an overlay");
            files.push(file);
        }
        let call = ComposeCall {
            project: Some(name),
            without: &BTreeSet::new(),
            engine: None,
            files: &files,
            directory: &project.directory,
            env_files: &project.env_files,
            profiles: &["*".to_owned()],
        };
        match config(&call) {
            Answer::Is(json) => json,
            other @ (Answer::NoCommand | Answer::NoDaemon | Answer::Silent(_) | Answer::Failed(_)) => {
                panic!("{name}: {other:?}\n{}", overlay.unwrap_or_default())
            }
        }
    }

    fn things(&self, worktree: &str, json: &str) -> (Value, Things) {
        let value: Value = serde_json::from_str(json).expect("JSON");
        let things = things(&value, self.base.join(worktree).as_str());
        (value, things)
    }
}

fn strings(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
#[ignore = "needs Docker Compose v2"]
fn with_their_overlays_two_slots_and_the_main_stack_share_nothing() {
    for case in cases() {
        let trial = Trial::of(&case);
        let (_, main) = trial.things("main", &trial.resolved("main", "main", None));
        let (_, without) = trial.things("one", &trial.resolved("one", "shop-slot-1", None));
        assert_eq!(common(&main, &without), strings(case.at_stake), "{}: what is at stake", case.name);

        let mut stacks = vec![main];
        for (id, worktree) in [(1, "one"), (2, "two")] {
            let model = Model::parse(&trial.resolved(worktree, "main", None)).expect("a model");
            let overlay = case.declared.overlay(&model, id, &trial.base.join(worktree));
            assert_eq!(overlay, case.declared.overlay(&model, id, &trial.base.join(worktree)));
            let json = trial.resolved(worktree, &format!("shop-slot-{id}"), Some(&overlay.text));
            let (value, things) = trial.things(worktree, &json);
            if id == 1 {
                for (pointer, expected) in &case.slot {
                    let found = value.pointer(pointer).unwrap_or(&Value::Null);
                    assert_eq!(found, expected, "{}: {pointer}\n{}\n{value:#}", case.name, overlay.text);
                }
            }
            assert_labelled(&value, case.name);
            stacks.push(things);
        }
        let shared = strings(&case.declared.shared);
        for (one, other) in [(0, 1), (0, 2), (1, 2)] {
            let common = common(&stacks[one], &stacks[other]);
            let silent: Vec<&String> = common.difference(&shared).collect();
            assert!(silent.is_empty(), "{}: stacks {one} and {other} share {silent:?}", case.name);
        }
    }
}

/// Whatever the stack makes says whose it is.
fn assert_labelled(config: &Value, case: &str) {
    let groups = ["services", "volumes", "networks"].map(|group| config[group].as_object());
    for (name, made) in groups.into_iter().flatten().flatten().filter(|(_, made)| made["external"] != true) {
        assert_eq!(made["labels"]["kinfra.id"], "5f0c", "{case}: {name}");
    }
}

#[test]
#[ignore = "needs Docker Compose v2"]
fn what_compose_says_of_a_bad_file_is_passed_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let base = Utf8Path::from_path(dir.path()).expect("UTF-8");
    let file = base.join("compose.yaml");
    let files = [file.clone()];
    let call = ComposeCall {
        engine: None,
        project: Some("x"),
        files: &files,
        directory: base,
        env_files: &[],
        profiles: &[],
        without: &BTreeSet::new(),
    };
    fs::write(&file, "services: {web: {image: x, prots: []}}\n").expect("a file");
    let Answer::Failed(said) = config(&call) else { panic!("it was taken") };
    assert!(said.contains("prots") && said.lines().count() <= 5, "{said}");
    // Nothing of where the tests run decides what files come to.
    fs::write(&file, "services: {web: {image: x, volumes: ['${PWD}/a:/a']}}\n").expect("a file");
    let Answer::Is(json) = config(&call) else { panic!("it was refused") };
    assert!(json.contains(&format!("{base}/a")), "{json}");
}

#[test]
fn a_project_is_found_as_compose_finds_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let base = Utf8Path::from_path(dir.path()).expect("UTF-8");
    let write = |name: &str, text: &str| {
        let file = base.join(name);
        fs::create_dir_all(file.parent().expect("a directory")).expect("a directory");
        fs::write(file, text).expect("a file");
    };
    let spec = |files: &[&str]| ComposeSpec {
        files: Some(files.iter().map(|name| RelPath::new(name).expect("a path")).collect()),
        ..ComposeSpec::default()
    };
    let find = |spec: &ComposeSpec| Project::find(base, spec).map_err(|error| error.to_string());
    let joined = |names: &[&str]| names.iter().map(|name| base.join(name)).collect::<Vec<_>>();

    assert!(
        find(&ComposeSpec::default()).unwrap_err().contains("has no Compose file: none of compose.yaml,")
    );
    for name in
        ["docker-compose.yaml", "compose.yml", "docker-compose.override.yml", "dev/a.yaml", "dev/.env"]
    {
        write(name, "");
    }
    let found = find(&ComposeSpec::default()).expect("a project");
    assert_eq!(found.files, joined(&["compose.yml", "docker-compose.override.yml"]));
    assert_eq!((found.directory.as_path(), found.env_files.is_empty()), (base, true));

    write(".env", "COMPOSE_FILE=dev/a.yaml:compose.yml\n");
    let found = find(&ComposeSpec::default()).expect("a project");
    assert_eq!(found.files, joined(&["dev/a.yaml", "compose.yml"]));
    assert_eq!(found.directory, base.join("dev"));
    assert_eq!(found.env_files, joined(&["dev/.env", ".env"]));

    // What slots.toml names goes first, and then `.env` named no file.
    let found = find(&spec(&["dev/a.yaml"])).expect("a project");
    assert_eq!(
        (found.files.clone(), found.env_files.clone()),
        (joined(&["dev/a.yaml"]), joined(&["dev/.env"]))
    );
    assert_eq!(found.clone().with_slot(&base.join("slot")).expect("a project"), found);
    write("slot/.env.sandbox", "");
    let of_slot = found.with_slot(&base.join("slot")).expect("a project");
    assert_eq!(of_slot.env_files, joined(&["dev/.env", "slot/.env.sandbox"]));

    let missing = find(&spec(&["gone.yaml"])).unwrap_err();
    assert!(missing.contains("`files` of [compose] in slots.toml names `gone.yaml`"), "{missing}");
    write(".env", "COMPOSE_FILE=dev\n");
    let missing = find(&ComposeSpec::default()).unwrap_err();
    assert!(missing.contains("`COMPOSE_FILE` in `.env` names `dev`, which is not a file"), "{missing}");
}
