//! The values of `[env]` are in private files of the slots and nowhere else.
//!
//! ```text
//! cargo test secrets
//! cargo test -- --ignored secrets     # with strace: what other processes are told
//! ```

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use crate::rig::{figure, through};
use crate::support::{Machine, Run, SMALL};
use crate::verbs::doctor::fake_docker;

/// A value that no output contains by chance.
const CANARY: &str = "canary-9f3c27";

const SENSITIVE: &str = "[env]\nPASSWORD = { value = \"canary-9f3c27\", sensitive = true }\n";
const PLAIN: &str = "[env]\nPASSWORD = \"canary-9f3c27\"\n";

/// A small pool whose files hold the canary.
fn secretive(env: &str) -> Machine {
    let machine = Machine::small();
    machine.spec(&format!("{SMALL}\n{env}"));
    machine.template("conf.txt", "password={{ env.PASSWORD }} on {{ ports.web }}\n");
    machine
}

/// Asserts that no output contains the canary.
#[track_caller]
fn keeps_quiet(run: Run) -> Run {
    run.never_says(CANARY).never_says("canary").never_says("panicked")
}

/// The files of the home that hold the canary, with their modes.
fn holders(machine: &Machine) -> Vec<(PathBuf, u32)> {
    let tree = machine.tree();
    let holders = tree.into_iter().filter(|(_, state)| state.contains(CANARY));
    holders
        .map(|(path, _)| {
            let mode = fs::metadata(&path).expect("metadata").permissions().mode() & 0o7777;
            (path, mode)
        })
        .collect()
}

#[test]
fn no_verb_shows_a_value_and_only_private_files_hold_it() {
    for env in [SENSITIVE, PLAIN] {
        let machine = secretive(env);
        let verbs = |verbs: &[&str]| {
            for verb in verbs {
                keeps_quiet(machine.kinfra(verb));
            }
        };
        verbs(&[
            "plan",
            "apply --dry-run",
            "apply",
            "apply",
            "slots",
            "slots --json",
            "ports --json",
            "claim --json",
        ]);
        assert_eq!(holders(&machine).len(), 2, "both slots have their file");
        // Edited, missing, outdated and surplus; then a registry that is broken, and one that is repaired.
        machine.write("~/pool/slot-1/conf.txt", format!("edited {CANARY}"));
        machine.remove("~/pool/slot-2/conf.txt");
        verbs(&["plan", "apply", "release", "doctor", "validate", "validate --json"]);
        machine.edit_spec("1-2", "2");
        machine.template("conf.txt", "{{ env.PASSWORD }}");
        verbs(&["plan", "apply", "claim", "slots"]);
        machine.write("~/pool/registry.json", "{");
        verbs(&[
            "plan",
            "apply",
            "slots --json",
            "claim",
            "doctor",
            "doctor --repair --auto-approve",
            "plan",
        ]);
        let holders = holders(&machine);
        assert_eq!(holders.len(), 2, "{holders:?}");
        assert!(
            holders.iter().all(|(path, mode)| path.ends_with("conf.txt") && *mode == 0o600),
            "{holders:?}"
        );
    }
}

#[test]
fn no_mistake_in_the_spec_shows_a_value() {
    let broken = [
        // The mistake is on the line of the value, and the file parses.
        "[env]\nPASSWORD = { value = \"canary-9f3c27\", sensitive = \"yes\" }",
        "[env]\nPASSWORD = { value = \"canary-9f3c27\", sensitve = true }",
        "[env]\nPASSWORD = { valeu = \"canary-9f3c27\", sensitive = true }",
        "[env]\nPASSWORD = { value = [\"canary-9f3c27\"], sensitive = true }",
        "[env]\nPASSWORD = [\"canary-9f3c27\"]",
        "[env]\n\"PASS WORD\" = \"canary-9f3c27\"",
        "[env]\nSLOT_ID = { value = \"canary-9f3c27\", sensitive = true }",
        "[env]\nSLOT_ID = \"canary-9f3c27\"",
        "[env]\nPASSWORD = { value = \"canary-9f3c27 {{ nothing }}\", sensitive = true }",
        "[env]\nPASSWORD = \"canary-9f3c27 {{ nothing }}\"",
        "[env]\nPASSWORD = \"canary-9f3c27 {{ 5 +\"",
        "[env]\nPASSWORD = \"\"\"\ncanary-9f3c27\n{{ nothing }}\"\"\"",
        "[env.PASSWORD]\nvalue = \"canary-9f3c27\"\nsensitve = true",
        "[[env.PASSWORD]]\nvalue = \"canary-9f3c27\"\nsensitive = true",
        // The value is between two places that are shown.
        "[env]\nSLOT_ID = \"a\"\nPASSWORD = \"canary-9f3c27\"\nCOMPOSE_PROJECT_NAME = \"b\"",
        // The file does not parse.
        "[env]\nPASSWORD = { value = \"canary-9f3c27, sensitive = true }",
        "[env]\nPASSWORD = { value = \"canary-9f3c27\", sensitive = true",
        "[env]\nPASSWORD = canary-9f3c27",
        "[env]\nPASSWORD = \"canary-9f3c27\" x",
        "[env]\nPASSWORD = \"canary-9f3c27\\q\"",
        "[env]\nPASSWORD = \"canary-9f3c27\"\nPASSWORD = \"canary-9f3c27\"",
        "[ env ]\n  PASSWORD = \"canary-9f3c27",
        "[env.PASSWORD]\nvalue = \"canary-9f3c27\nsensitive = true",
        "[env]\nPASSWORD = \"\"\"\n[canary-9f3c27]\ncanary-9f3c27",
        "[env]\nPASSWORD \"canary-9f3c27\"",
    ];
    for env in broken {
        let machine = secretive(env);
        for verb in ["plan", "apply", "claim", "slots", "ports", "doctor", "validate", "validate --json"] {
            let run = keeps_quiet(machine.kinfra(verb));
            assert!(matches!(run.code, Some(0 | 1 | 3 | 65)), "{env}: {run:#?}");
        }
        machine.kinfra("plan").exits(65).says("slots.toml:");
    }
    // Before any table.
    for line in ["env.PASSWORD = \"canary-9f3c27\" x", "env = { PASSWORD = \"canary-9f3c27\" "] {
        let machine = secretive("");
        machine.spec(&SMALL.replacen("version = 1", &format!("version = 1\n{line}"), 1));
        keeps_quiet(machine.kinfra("plan").exits(65));
    }
    figure(&format!("mistakes beside a secret: {} shown, none with its value", broken.len() + 2));
}

#[test]
fn text_that_is_no_value_is_shown_as_it_is() {
    let machine = secretive("[env]\nPASSWORD = { value = \"größe\", sensitve = true } # why");
    let stars = "PASSWORD = { value = *********, sensitve = **** } # why";
    machine.kinfra("plan").exits(65).says(stars).says("did you mean `sensitive`?");
    // The expression that a mistake is in names no text of its own.
    let machine = secretive("[env]\nURL = \"http://me:hunter2@x:{{ ports.wob }}/{{ 'hunter2' }}\"");
    let run = machine.kinfra("plan").exits(65).says("*{{ ports.wob }}*").says("did you mean `ports.web`?");
    run.never_says("hunter2");
    let machine = secretive("[env]\nPASSWORD = \"secret\n[pool]\nname = \"again\"");
    machine.kinfra("plan").exits(65).says("PASSWORD =*");
}

#[test]
fn no_mistake_in_a_template_shows_a_value() {
    let expressions = [
        "env.PASSWORD.nothing",
        "env.PASSWORD / 2",
        "env.PASSWORD | int",
        "env.PASSWORD | items",
        "env.PASSWORD | batch(0)",
        "env.PASSWORD | indent(env.PASSWORD)",
        "env.PASSWORD | replace(1)",
        "env.PASSWORD | nothing",
        "env.PASSWORD is nothing",
        "range(env.PASSWORD)",
        "{}[env.PASSWORD]",
        "[3, 4] | map(env.PASSWORD) | list",
        "[3, 4] | select(env.PASSWORD) | list",
        "[3, 4] | sort(attribute=env.PASSWORD)",
        "dict(env.PASSWORD)",
        "env.PASSWORD()",
        "env.PASSWORD | split(5)",
        "1 | round(env.PASSWORD)",
        "env | tojson(indent=env.PASSWORD)",
        "(env.PASSWORD ~ '\x1b') | dotenv",
    ];
    let mut failed = 0;
    for (expression, env) in
        expressions.iter().flat_map(|expression| [(expression, SENSITIVE), (expression, PLAIN)])
    {
        let machine = secretive(env);
        machine.template("conf.txt", &format!("{{{{ {expression} }}}}"));
        let run = keeps_quiet(machine.kinfra("plan"));
        failed += usize::from(run.code == Some(65));
    }
    assert!(failed > expressions.len(), "only {failed} failed");
}

#[test]
fn a_secret_is_not_written_where_others_may_read_it() {
    let machine = secretive(SENSITIVE);
    let open = "\"conf.txt\" = { template = \"conf.txt\", mode = \"0644\" }";
    machine.edit_spec("\"conf.txt\" = \"conf.txt\"", open);
    for template in
        ["{{ env.PASSWORD }}", "{{ env.PASSWORD | upper }}", "{% for k, v in env|items %}{{ v }}{% endfor %}"]
    {
        machine.template("conf.txt", template);
        keeps_quiet(machine.kinfra("apply"))
            .exits(65)
            .says("`conf.txt` contains a sensitive value, and its mode 0644");
    }
    assert!(!machine.exists("~/pool"));
    // The same file without the secret, and the same value when it is not sensitive.
    machine.template("conf.txt", "{{ env | length }} on {{ ports.web }}");
    machine.kinfra("plan").exits(0);
    machine.template("conf.txt", "{{ env.PASSWORD }}");
    machine.edit_spec(", sensitive = true", "");
    machine.kinfra("plan").exits(0);
}

#[test]
#[ignore = "needs strace"]
fn no_process_is_told_a_value() {
    let machine = secretive(SENSITIVE);
    let mut started = 0;
    for verb in ["plan", "apply", "claim", "slots", "release", "doctor"] {
        let trace = machine.path("trace");
        let strace = ["strace", "-f", "-qq", "-v", "-s", "65536", "--trace=execve,prctl", "-o"];
        let mut kinfra = machine.command(verb);
        kinfra.env("PATH", fake_docker());
        let command = through(strace.into_iter().chain([trace.to_str().expect("a path")]), &kinfra);
        keeps_quiet(Run::of(&mut { command }));
        let trace = machine.read("trace");
        assert!(!trace.contains("canary"), "{verb}: {trace}");
        started += trace.matches("execve(").count();
    }
    // Each verb itself, and the programs that the doctor starts.
    assert!(started > 6, "only {started} processes");
}
