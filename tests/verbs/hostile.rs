//! What a repository, a registry or a template cannot do to the pools, the shell and the files of the user who
//! applies it, or only works beside it.

use std::path::Path;

use serde_json::{Value, json};

use super::compose::Shop;
use super::up::up;
use crate::support::{Machine, Run, SMALL};

/// A second project in `~/NAME`, a repository of its own with a pool in `~/NAME-pool`.
fn project(machine: &Machine, name: &str, port: u16) {
    let spec = SMALL.replace("small", name).replace("~/pool", &format!("~/{name}-pool"));
    machine.write(&format!("~/{name}/slots.toml"), spec.replace("8000", &port.to_string()));
    machine.write(&format!("~/{name}/templates/conf.txt"), "x\n");
    machine.repository(machine.path(&format!("~/{name}")));
}

fn kinfra_in(machine: &Machine, dir: &Path, arguments: &str) -> Run {
    Run::of(machine.command(arguments).current_dir(dir))
}

fn real(path: &Path) -> String {
    path.canonicalize().expect("a path").to_str().expect("UTF-8").to_owned()
}

/// A slot of an old tool's registry that a directory holds.
fn old_slot(slot: u16, holder: &str, more: &Value) -> Value {
    let mut slot = json!({"slot_id": slot, "profile": "only", "workers": {}, "ports": {}, "status": "stopped",
        "infrastructure_path": "x", "claimed_by": holder, "claimed_at": "1999-01-01T00:00:00"});
    slot.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    slot
}

#[test]
fn an_import_gives_no_slot_to_a_worktree_of_another_repository() {
    let machine = Machine::small();
    machine.repository(machine.project());
    let linked = machine.worktree("feature");
    project(&machine, "evil", 9000);
    let evil = machine.path("~/evil");
    machine.git(&evil, &format!("worktree add --quiet -b own {}", machine.path("~/own").display()));
    let gitdir = real(&machine.project().join(".git/worktrees/feature"));
    let (victim, feature, own) = (real(&machine.project()), real(&linked), real(&machine.path("~/own")));
    let gone = format!("{}-later", real(&machine.project()));
    let nothing = json!({});
    let cases = [
        (victim.as_str(), &nothing, false),
        (&feature, &nothing, false),
        // The worktree would be followed to where git has it.
        (&own, &json!({"claimed_gitdir": gitdir}), false),
        // It may become another project's.
        (&gone, &nothing, false),
        (&own, &nothing, true),
    ];
    for (holder, more, is_kept) in cases {
        let spec = machine.read("~/evil/slots.toml");
        let import = format!("import = \"{}\"\n", real(&evil) + "/old.json");
        machine.write("~/evil/slots.toml", spec.replace("[ports]", &format!("{import}[ports]")));
        let slots = json!({"version": 2, "instances": {}, "slots": {"1": old_slot(1, holder, more)}});
        machine.write("~/evil/old.json", slots.to_string());
        let plan = kinfra_in(&machine, &evil, "plan").exits(0);
        let named = plan.stdout.contains("which is outside this repository");
        assert_eq!(named, !is_kept, "{holder}: {}", plan.stdout);
        kinfra_in(&machine, &evil, "apply").exits(0);
        for dir in [machine.project().as_path(), &linked] {
            kinfra_in(&machine, dir, "env").exits(3);
        }
        let registry: Value = serde_json::from_str(&machine.read("~/evil-pool/registry.json")).expect("JSON");
        assert_eq!(registry["slots"]["1"]["claimed_by"].is_string(), is_kept, "{holder}");
        machine.remove("~/evil-pool");
        machine.write("~/evil/slots.toml", spec);
    }
}

#[test]
fn a_git_file_that_leads_into_another_repository_makes_none_of_its_worktrees_its_own() {
    let machine = Machine::small();
    machine.repository(machine.project());
    let linked = machine.worktree("feature");
    let git = real(&machine.project().join(".git"));
    for (forged, is_link) in [(git.clone(), false), (format!("{git}/worktrees/feature"), false), (git, true)]
    {
        let (evil, registry) = ("~/evil", "~/evil-pool/registry.json");
        machine.write("~/evil/templates/conf.txt", "x\n");
        let slots = json!({"version": 2, "instances": {}, "slots": {
            "1": old_slot(1, &real(&machine.project()), &json!({})), "2": old_slot(2, &real(&linked), &json!({}))}});
        machine.write("~/evil/old.json", slots.to_string());
        let spec = SMALL.replace("small", "evil").replace("~/pool", "~/evil-pool").replace("8000", "9000");
        let import = format!("import = \"{}/old.json\"\n[ports]", real(&machine.path(evil)));
        machine.write("~/evil/slots.toml", spec.replace("[ports]", &import));
        if is_link {
            std::os::unix::fs::symlink(&forged, machine.path("~/evil/.git")).expect("a link");
        } else {
            machine.write("~/evil/.git", format!("gitdir: {forged}\n"));
        }
        kinfra_in(&machine, &machine.path(evil), "apply").exits(0);
        let registry: Value = serde_json::from_str(&machine.read(registry)).expect("JSON");
        for slot in ["1", "2"] {
            assert_eq!(registry["slots"][slot]["claimed_by"], Value::Null, "{forged}");
        }
        machine.remove("~/evil-pool");
        machine.remove(evil);
    }
}

#[test]
fn a_registry_of_another_pool_that_names_a_worktree_does_not_win() {
    // Whatever the names of the roots, by whose hash the index is sorted.
    for name in ["evil", "mallory", "eve", "zed", "abc", "other"] {
        let machine = Machine::small();
        machine.repository(machine.project());
        project(&machine, name, 9000);
        machine.kinfra("apply").exits(0);
        machine.kinfra("claim").exits(0);
        let there = machine.path(&format!("~/{name}"));
        kinfra_in(&machine, &there, "apply").exits(0);
        let file = format!("~/{name}-pool/registry.json");
        let mut registry: Value = serde_json::from_str(&machine.read(&file)).expect("JSON");
        registry["slots"]["1"]["claimed_by"] = json!(real(&machine.project()));
        registry["slots"]["1"]["claimed_at"] = json!("1999-01-01T00:00:00.000000+00:00");
        machine.write(&file, registry.to_string());
        machine.kinfra("env --format json").exits(0).prints("home/pool/slot-1\"");
    }
}

#[test]
fn a_registry_of_another_pool_gives_no_slot_to_a_worktree_that_has_nothing_of_it() {
    for has_spec in [true, false] {
        let machine = Machine::small();
        machine.repository(machine.project());
        project(&machine, "evil", 9000);
        machine.kinfra("apply").exits(0);
        let there = machine.path("~/evil");
        kinfra_in(&machine, &there, "apply").exits(0);
        let file = "~/evil-pool/registry.json";
        let mut registry: Value = serde_json::from_str(&machine.read(file)).expect("JSON");
        registry["slots"]["1"]["claimed_by"] = json!(real(&machine.project()));
        registry["slots"]["1"]["claimed_at"] = json!("1999-01-01T00:00:00.000000+00:00");
        machine.write(file, registry.to_string());
        if !has_spec {
            machine.git(machine.project(), "mv slots.toml elsewhere.toml");
        }
        for verb in ["env", "exec -- true", "renew"] {
            machine.kinfra(verb).exits(3);
        }
        if has_spec {
            machine.kinfra("status").exits(0).prints("holds no slot");
            machine.kinfra("claim").exits(0).prints("~/pool/slot-1\n");
        }
        // Naming the pool is another matter.
        let spec = there.join("slots.toml").display().to_string();
        machine.kinfra(&format!("status --spec {spec}")).exits(0).prints("Slot 1 (only) is yours");
    }
}

#[test]
fn of_two_pools_that_have_a_worktree_the_older_claim_counts_and_the_other_is_named() {
    for (first, second) in [("one", "two"), ("two", "one"), ("abc", "xyz"), ("xyz", "abc")] {
        let machine = Machine::new();
        for (name, port) in [(first, 8000), (second, 9000)] {
            project(&machine, name, port);
            kinfra_in(&machine, &machine.path(&format!("~/{name}")), "apply").exits(0);
        }
        machine.repository(machine.project());
        for name in [first, second] {
            let spec = machine.path(&format!("~/{name}/slots.toml")).display().to_string();
            machine.kinfra(&format!("claim --spec {spec}")).exits(0);
            // What the first claim wrote would stop the second.
            machine.remove(".env.sandbox");
        }
        for verb in ["env", "exec true", "status"] {
            let run = machine.kinfra(verb).exits(0);
            run.says(&format!("~/{first}-pool` has the older claim")).says(&format!("~/{second}-pool`"));
        }
        machine.kinfra("env").prints(&format!("{first}-slot-1"));
    }
}

#[test]
fn the_check_that_runs_is_the_one_that_was_applied() {
    let shop = Shop::new();
    let with = |check: &str| {
        format!("{}[stack]\nverify = [\"/bin/sh\", \"-c\", \"{check}\"]\n", crate::support::SHOP)
    };
    shop.machine.spec(&with(": > ~/applied"));
    shop.machine.kinfra("apply").exits(0);
    // A pull brings another check, and a branch has one of its own.
    shop.machine.spec(&with(": > ~/pulled"));
    shop.machine.write("~/fix/slots.toml", with(": > ~/branch"));
    Run::of(&mut up(&shop, "")).exits(0);
    let ran = |name: &str| shop.machine.exists(&format!("~/{name}"));
    assert!(ran("applied") && !ran("pulled") && !ran("branch"));
    // An apply with nothing to do takes it.
    shop.machine.kinfra("apply").exits(0);
    Run::of(&mut up(&shop, "")).exits(0);
    assert!(ran("pulled") && !ran("branch"));
}

#[test]
fn a_first_plan_names_the_root_and_every_file() {
    let machine = Machine::small();
    machine.edit_spec(
        "[files]",
        "[claim]\n\"start/x.vim\" = \"conf.txt\"\n\n[files]\n\"plugin/y.vim\" = \"conf.txt\"",
    );
    let files = "  Files of each slot in ~/pool: conf.txt, plugin/y.vim; once it is claimed: start/x.vim\n";
    machine.kinfra("plan").exits(0).prints(files);
    machine.kinfra("apply").exits(0).prints(files);
    assert!(!machine.kinfra("plan").exits(0).stdout.contains("Files of each slot"));
}
