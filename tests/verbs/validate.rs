//! `kinfra validate`: shows all mistakes in a pool at once, before it is applied. Writes nothing.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::formats::compose::docker_config;
use crate::support::{Machine, Run, SMALL};

/// Runs it with a stand-in for docker that prints this message about every Compose file.
fn validate(machine: &Machine, flags: &str, wrong: &str) -> Run {
    let before = machine.tree();
    let fake = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/fake-docker");
    let mut command = machine.command(&format!("validate {flags}"));
    let run = Run::of(with_own_tmp(machine, &mut command).env("PATH", fake).env("CONFIG", wrong));
    assert_eq!(machine.tree(), before, "{run:#?}");
    assert_eq!(left_over(machine), 0, "{run:#?}");
    run
}

fn with_own_tmp<'a>(machine: &Machine, command: &'a mut Command) -> &'a mut Command {
    machine.write("tmp/keep", "");
    command.env("TMPDIR", machine.path("tmp"))
}

/// How many entries the directory for temporary files gained.
fn left_over(machine: &Machine) -> usize {
    machine.path("tmp").read_dir().map_or(0, |names| names.count() - 1)
}

/// [`Machine::small`] whose one file is Compose's.
fn composed(text: &str) -> Machine {
    let machine = Machine::small();
    machine.edit_spec("\"conf.txt\" = ", "\"docker-compose.yml\" = ");
    machine.template("conf.txt", text);
    machine
}

#[test]
fn a_valid_pool_says_what_was_looked_at() {
    let machine = Machine::small();
    validate(&machine, "", "").exits(0).says("Using ").prints_exactly(
        "  ✓ spec: 2 slots, 1 port each, no port used twice or by the main stack
  ✓ templates: 1 file a slot
  ✓ pools: no other pool on this machine has its name or its ports
  ✓ in use: no port of a new slot is
  ✓ compose: no slot has a Compose file

The pool is valid.
",
    );
    assert!(machine.tree().is_empty());
    validate(&Machine::new(), "", "")
        .exits(0)
        .prints("✓ compose: accepts the files of slots 1,5-6, one of each kind\n");
}

#[test]
fn all_findings_come_at_once() {
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    machine.spec(
        &SMALL.replace("small", "other").replace("~/pool", "~/pool-2").replace("web = 8000", "web = 7999"),
    );
    machine.write("other/slots.toml", machine.read("slots.toml"));
    machine.spec(SMALL);
    machine.write("other/templates/conf.txt", "{{ ports.wob }}\n");
    validate(&machine, "--spec other/slots.toml", "")
        .exits(65)
        .prints("error: `ports.wob` is not defined\n")
        .prints(" --> ")
        .prints("templates/conf.txt:1:4\n")
        .prints("help: did you mean `ports.web`?\n")
        .prints("  ✗ pools: port 8000 is `web` of slot 1 and also `web` of the main stack (slot 0) of the pool `small` in `")
        .prints("      the smallest stride that frees `web` is 4\n")
        .prints("\nThe pool is not valid: 2 errors.\n");
}

#[test]
fn mistakes_of_the_spec_are_all_shown() {
    let machine = Machine::small();
    machine.edit_spec("8000", "80");
    machine.edit_spec("profile = \"only\"", "profile = \"largest\"");
    validate(&machine, "", "")
        .exits(65)
        .prints("error: a base must be between 1024 and 65535, not 80\n")
        .prints("slots.toml:8:7\n")
        .prints("error: profile `largest` is not defined\n")
        .prints("\nThe pool is not valid: 2 errors.\n");
    validate(&machine, "--spec nowhere.toml", "")
        .exits(65)
        .prints("  ✗ spec: spec `nowhere.toml`, from --spec or KINFRA_SPEC, does not exist\n");
}

#[test]
fn a_root_that_cannot_be_used_is_a_finding() {
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    validate(&machine, "--root ~/pool/slot-1/in", "")
        .exits(65)
        .prints("  ✗ root: root `")
        .prints("is inside a slot");
    machine.edit_spec("~/pool", "~/new");
    validate(&machine, "", "").exits(65).prints("  ✗ root: `").prints("changed the pool's root");
}

#[test]
fn a_port_in_use_is_a_warning_unless_the_pool_s_own_slot_has_it() {
    let machine = Machine::small().with_real_ports();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    machine.edit_spec("8000", &(port - 2).to_string());
    validate(&machine, "", "")
        .exits(0)
        .prints(&format!("  ! in use: port {port}, `web` of slot 2, is used by "))
        .prints(", or move the base of `web` in slots.toml\n")
        .prints("\nThe pool is valid.\n");
    machine.kinfra("apply").exits(0);
    validate(&machine, "", "").exits(0).prints("✓ in use: no port of a new slot is\n");
    machine.write("~/pool/registry.json", "{");
    validate(&machine, "", "")
        .exits(0)
        .prints("  ! registry: ")
        .prints("which ports are in use was not looked at");
}

#[test]
fn findings_of_compose_are_told_once_without_values_and_paths_of_the_copy() {
    let machine = composed("services: {}\n");
    machine.write(
        "slots.toml",
        machine.read("slots.toml")
            + "[env]\nA = { value = \"pw\", sensitive = true }\nB = \"{{ slot.id }}-value\"\nC = \"x\"\n",
    );
    let wrong = "time=\"2026-01-01T00:00:00Z\" level=warning msg=\"The \\\"X\\\" variable is not set.\"\nbad: pw, 1-value, x";
    validate(&machine, "", wrong)
        .exits(65)
        .prints("  ! compose: slot 1: The \"X\" variable is not set.\n")
        .prints("  ✗ compose: slot 1: bad: ***, 1***, x\n      fix `templates/conf.txt`\n")
        .prints("\nThe pool is not valid: 1 error.\n");
}

#[test]
fn without_compose_it_says_that_the_files_were_not_checked() {
    let machine = composed("services: {}\n");
    let mut command = machine.command("validate");
    Run::of(command.env("PATH", machine.project()))
        .exits(0)
        .prints("  ! compose: the files were not checked: there is no `docker compose`\n      install Docker Compose 2")
        .prints("\nThe pool is valid.\n");
    let mut command = machine.command("validate");
    let fake = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/fake-docker");
    Run::of(command.env("PATH", fake).env("COMPOSE", "1.29.2")).exits(0).prints("version 1.29.2 is too old");
}

#[test]
fn a_copy_that_cannot_be_made_is_told() {
    let machine = composed("services: {}\n");
    let mut command = machine.command("validate");
    let fake = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/fake-docker");
    Run::of(command.env("PATH", fake).env("TMPDIR", machine.path("nowhere")))
        .exits(0)
        .prints("  ! compose: slot 1: not checked: could not open `");
}

#[test]
fn programs_get_one_document() {
    let machine = Machine::small();
    machine.template("conf.txt", "one\n{{ ports.wob }}\n");
    let run = validate(&machine, "--json", "").exits(65);
    let mut document: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let file = document["mistakes"][0]["file"].take();
    assert!(file.as_str().is_some_and(|file| file.ends_with("project/templates/conf.txt")), "{file}");
    let note = document["mistakes"][0]["note"].take();
    assert!(
        note.as_str().is_some_and(|note| note.ends_with("uses this template for `conf.txt` of slot 1")),
        "{note}"
    );
    assert_eq!(document["format_version"], "1.0");
    assert_eq!(document["valid"], false);
    assert_eq!(
        document["mistakes"],
        json!([{
            "file": null, "line": 2, "column": 4,
            "message": "`ports.wob` is not defined", "help": "did you mean `ports.web`?", "note": null,
        }])
    );
    let subjects = document["findings"].as_array().expect("a list").iter();
    let subjects: Vec<_> =
        subjects.map(|finding| (finding["severity"].clone(), finding["subject"].clone())).collect();
    assert_eq!(subjects, ["spec", "pools", "in use"].map(|subject| (json!("fine"), json!(subject))));
    assert_eq!(validate(&machine, "--json", "").stdout, run.stdout);
}

#[test]
#[ignore = "needs Docker Compose v2"]
fn compose_itself_reads_the_files_as_up_would() {
    let run = |machine: &Machine| {
        machine.install("docker");
        let mut command = machine.command("validate");
        let command = with_own_tmp(machine, &mut command);
        let run = Run::of(command.env("DOCKER_CONFIG", docker_config()).env("COMPOSE_FILE", "/nowhere.yml"));
        assert_eq!(left_over(machine), 0);
        run
    };
    run(&Machine::new()).exits(0).prints("✓ compose: accepts the files of slots 1,5-6, one of each kind\n");
    for (text, code, said) in [
        ("services:\n  a:\n    image: b\n    prots: [1]\n", 65, "Additional property prots is not allowed"),
        ("services: [\n", 65, "✗ compose: slot 1: yaml: "),
        ("services:\n  a:\n    image: b:$NOPE\n", 0, "! compose: slot 1: The \"NOPE\" variable is not set."),
        ("services:\n  a:\n    image: b\n    env_file: missing.env\n", 65, "~/pool/slot-1/missing.env"),
    ] {
        let machine = composed(text);
        run(&machine).exits(code).prints(said);
    }
}

#[test]
fn files_of_a_slot_find_each_other_before_there_is_a_slot() {
    let machine = composed("include:\n- {{ slot.dir }}/more.yml\n");
    machine.edit_spec("[files]", "[files]\n\"more.yml\" = \"more.yml\"");
    machine.template("more.yml", "{}\n");
    // A stand-in that opens the included files.
    machine.write(
        "bin/docker",
        "#!/bin/sh
case \"$*\" in
'compose version --short') echo 2.26.1 ;;
*) while read -r dash path; do
    [ \"$dash\" != - ] || [ -e \"$path\" ] || { echo \"no $path\" >&2; exit 1; }
    done < docker-compose.yml ;;
esac\n",
    );
    machine.set_mode("bin/docker", 0o755);
    let run = || {
        let mut command = machine.command("validate");
        Run::of(with_own_tmp(&machine, &mut command).env("PATH", machine.path("bin")))
    };
    run().exits(0).prints("accepts the files of slots 1-2");
    machine.template("conf.txt", "include:\n- {{ slot.dir }}/more.yml\n- {{ slot.dir }}/none.yml\n");
    // Each slot has another text, and all have the same mistake.
    run().exits(65).prints("  ✗ compose: slots 1-2: no ~/pool/slot-N/none.yml\n");
    machine.edit_spec("1-2", "2");
    run().exits(65).prints("  ✗ compose: slot 2: no ~/pool/slot-2/none.yml\n");
}
