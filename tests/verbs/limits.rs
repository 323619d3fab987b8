//! What is too much: templates, specs, names and programs that would take all memory, all time or the stack.

use std::fmt::Write as _;
use std::fs;

use serde_json::Value;

use crate::support::tools::set_mode;
use crate::support::{Machine, Run};

/// A machine with a `docker` that does this.
fn with_docker(machine: Machine, script: &str) -> Machine {
    let docker = machine.tools().join("docker");
    fs::write(&docker, format!("#!/bin/sh\n{script}\n")).expect("a program");
    set_mode(&docker, 0o755);
    machine
}

/// [`Machine::small`] whose one file is Compose's, so that Compose is asked about it.
fn composed() -> Machine {
    let machine = Machine::small();
    machine.edit_spec("\"conf.txt\" = ", "\"docker-compose.yml\" = ");
    machine.template("conf.txt", "services: {a: {image: x, ports: [\"127.0.0.1:{{ ports.web }}:80\"]}}\n");
    machine
}

#[test]
fn a_template_that_takes_too_much_is_a_mistake_at_its_line() {
    let chained = |part: &str| format!("{{{{ 1{} }}}}", part.repeat(50_000));
    let work = "it takes too much work";
    let parts = "more than 200 operators, filters and brackets in one tag";
    let lists = "more than 100 lists and maps";
    let large = "a list or a map is larger than 64 KiB";
    let doubled = |part: &str| format!("{{% set a = range(10)|list %}}{}{{{{ a }}}}", part.repeat(60));
    for (template, mistake) in [
        ("{% for i in range(9000) %}{% for j in range(9000) %}{% endfor %}{% endfor %}".to_owned(), work),
        ("{{ \"x\" * 10 ** 10 }}".to_owned(), work),
        ("{{ \"a\\nb\" | indent(4000000000) }}".to_owned(), work),
        ("{{ \"%9999999999d\" | format(1) }}".to_owned(), work),
        ("{{ range(9000) | join(\"x\" * 90000) }}".to_owned(), work),
        ("{{ (\"%(a)s\" * 5000) | format(a=\"x\" * 600000) }}".to_owned(), work),
        ("{{ (\"a\" * 100000) | replace(\"a\", \"b\" * 100000) | length }}".to_owned(), work),
        ("{{ range(90000) }}".to_owned(), large),
        ("{{ [range(1000)] * 1000 }}".to_owned(), large),
        ("{{ ([range(1000)] * 1000) | string }}".to_owned(), large),
        ("{{ ([range(1000)] * 1000000) ~ 1 }}".to_owned(), large),
        ("{{ ([range(1000)] * 1000000) == ([range(1000)] * 1000000) }}".to_owned(), large),
        ("{{ ([['x' * 1000]] * 1000000) | upper }}".to_owned(), large),
        ("{{ {'a': ['x' * 1000] * 1000000} in [1] }}".to_owned(), large),
        ("{{ dict(a=range(9000), b=range(9000)) | pprint }}".to_owned(), large),
        (doubled("{% set a = [a, a] %}"), large),
        (doubled("{% set a = (a, a) %}"), large),
        (doubled("{% set a = a + a %}"), large),
        (doubled("{% set a = a | zip(a) | list %}"), large),
        (
            doubled(&"{% set a = a | batch(1) | list %}".repeat(2)),
            "more than 100 lists and maps are in each other",
        ),
        ("{{ range(10 ** 9) }}".to_owned(), "range has too many elements"),
        (chained("|string"), parts),
        (chained("~1"), parts),
        (chained(".a"), parts),
        (format!("{{{{ {}1 }}}}", "not ".repeat(50_000)), parts),
        ("{% set a = [a] %}".repeat(50_000), lists),
        (format!("{{% if 1 %}}{}{{% endif %}}", "{% elif 1 %}".repeat(50_000)), "more than 200 `elif`"),
        ("{% if 1 %}".repeat(50_000), "template exceeds maximum recursion limits"),
        // It could hold itself.
        ("{% set n = namespace() %}".to_owned(), "namespace is unknown"),
    ] {
        let machine = Machine::small();
        machine.template("conf.txt", &format!("first\n{template}"));
        let shown: String = template.chars().take(60).collect();
        let refused = machine.kinfra("plan").exits(65);
        assert!(refused.stderr.contains(mistake), "{shown}: {}", refused.stderr);
        assert!(refused.stderr.contains("templates/conf.txt:2:"), "{shown}: {}", refused.stderr);
    }
}

#[test]
fn values_and_subnets_have_the_limits_of_templates() {
    let machine = Machine::small();
    machine.edit_spec("[files]", "[env]\nA = \"{{ 'x' * 10 ** 10 }}\"\n[files]");
    machine.kinfra("plan").exits(65).says("it takes too much work").says("slots.toml:");
}

#[test]
fn what_all_slots_render_together_is_limited_too() {
    let machine = Machine::small();
    machine.edit_spec("ids = \"1-2\"", "ids = \"1-4000\"");
    machine.edit_spec("[files]", "[env]\nA = \"{{ 'x' * 200000 }}\"\n[files]");
    let refused = machine.kinfra("plan").exits(65).says("all slots together take too much work");
    assert_eq!(refused.stderr.matches("error: ").count(), 1, "{}", refused.stderr);
    // Each of very many variables takes too much work.
    let machine = Machine::small();
    let mut variables = "[env]\n".to_owned();
    for number in 0..5000 {
        let _ = writeln!(variables, "V{number} = \"{{{{ 'x' * 10 ** 10 }}}}\"");
    }
    machine.edit_spec("[files]", &format!("{variables}[files]"));
    machine.kinfra("plan").exits(65).says("it takes too much work").says("\n… and 1 more\n");
}

#[test]
fn a_usual_template_is_far_from_the_limits() {
    let machine = Machine::small();
    let loops =
        "{% for a in range(50) %}{% for b in [1, 2, 'c'] %}{{ a ~ '-' ~ b }}\n{% endfor %}{% endfor %}";
    machine.template("conf.txt", &format!("{loops}{}\n", "text ".repeat(50_000)));
    machine.kinfra("apply").exits(0);
}

#[test]
fn of_very_many_mistakes_the_first_are_shown_and_the_others_counted() {
    let machine = Machine::small();
    let mut spec = machine.read("slots.toml");
    for number in 0..50_000 {
        let _ = writeln!(spec, "key{number} = 1");
    }
    machine.spec(&spec);
    let refused = machine.kinfra("plan").exits(65).says("slots.toml:19:").says("\n… and 49950 more\n");
    assert!(refused.stderr.len() < 50_000, "{} bytes", refused.stderr.len());
    let json: Value =
        serde_json::from_str(&machine.kinfra("validate --json").exits(65).stdout).expect("JSON");
    assert_eq!(
        (json["mistakes"].as_array().map(Vec::len), &json["more_mistakes"]),
        (Some(200), &49_800.into())
    );
}

#[test]
fn a_spec_that_is_nested_too_deep_or_too_large_is_refused() {
    for nested in ["[".repeat(100_000), "{a=".repeat(100_000), format!("{}1", "a.".repeat(100_000))] {
        let machine = Machine::small();
        let spec = machine.read("slots.toml");
        machine.spec(&format!("{spec}\nb = {nested}"));
        let refused = machine.kinfra("plan").exits(65);
        assert!(refused.stderr.len() < 400_000, "{} bytes", refused.stderr.len());
    }
    let machine = Machine::small();
    fs::File::options()
        .write(true)
        .open(machine.path("slots.toml"))
        .expect("a file")
        .set_len(1 << 30)
        .expect("a size");
    machine.kinfra("plan").exits(65).says("it is larger than 16 MiB");
}

#[test]
fn a_name_that_no_file_system_takes_is_a_mistake_at_its_line() {
    let (longest, long) = ("n".repeat(255), "n".repeat(256));
    let deep = "d/".repeat(2100);
    let planned = |from: &str, to: &str| {
        let machine = Machine::small();
        machine.edit_spec(from, to);
        machine.kinfra("plan")
    };
    planned("\"conf.txt\" = ", &format!("\"{longest}\" = ")).exits(0);
    for (from, to, mistake) in [
        ("\"conf.txt\" = ", format!("\"{long}\" = "), "has 256 bytes: a file system takes 255"),
        ("\"conf.txt\" = ", format!("\"a/{long}/b\" = "), "has 256 bytes: a file system takes 255"),
        ("\"conf.txt\" = ", format!("\"{deep}f\" = "), "has 4201 bytes: a system takes 4095"),
        // Too long only below the root.
        ("\"conf.txt\" = ", format!("\"{}f\" = ", "d/".repeat(2045)), "bytes: a system takes 4095"),
        ("\"~/pool\"", format!("\"~/{long}\""), "has 256 bytes: a file system takes 255"),
        ("\"~/pool\"", format!("\"~/{deep}pool\""), "bytes: a system takes 4095"),
    ] {
        let refused = planned(from, &to).exits(65).says(mistake).says("slots.toml:");
        assert!(refused.stderr.len() < 20_000, "{} bytes", refused.stderr.len());
    }
}

#[test]
fn a_docker_that_floods_is_ended_and_its_messages_are_cut() {
    let machine = with_docker(Machine::small(), "exec cat /dev/zero");
    machine.kinfra("apply").exits(0);
    let doctor = machine.kinfra("doctor");
    let said = doctor.prints("docker printed more than 32 MiB and was ended");
    assert!(said.stdout.len() < 50_000, "{} bytes", said.stdout.len());
    let flood = |bytes: u32| format!("head -c {bytes} /dev/zero | tr '\\0' x >&2; exit 1");
    for (bytes, said) in [(60_000, "x".repeat(400)), (5_000_000, FLOODED.to_owned())] {
        let machine = with_docker(Machine::small(), &flood(bytes));
        machine.kinfra("apply").exits(0);
        let said = machine.kinfra("doctor").prints(&said);
        assert!(said.stdout.len() < 50_000, "{} bytes", said.stdout.len());
    }
}

/// What is said of a `docker` with too many messages.
const FLOODED: &str = "docker failed with more than 64 KiB of messages";

#[test]
fn a_docker_that_floods_or_is_killed_says_nothing_of_the_files() {
    for (flood, said) in [
        ("exec cat /dev/zero", "docker printed more than 32 MiB and was ended"),
        ("head -c 70000 /dev/zero >&2; exit 1", FLOODED),
        ("kill -KILL $$", "docker was ended by signal 9"),
    ] {
        let machine =
            with_docker(composed(), &format!("case \"$*\" in *version*) echo 2.30.0 ;; *) {flood} ;; esac"));
        let valid = machine.kinfra("validate").exits(0).prints("The pool is valid.");
        valid.prints(&format!("compose: slot 1: not checked: {said}"));
    }
}

#[test]
fn env_files_of_very_many_lines_are_read_in_linear_time() {
    let machine = Machine::small();
    machine.edit_spec("\"conf.txt\" = ", "\".env.sandbox\" = ");
    let mut template = String::new();
    for number in 0..20_000 {
        let _ = writeln!(template, "A{number}='x'\nLD_{number}=\"{number}\"");
    }
    machine.template("conf.txt", &template);
    machine.kinfra("apply").exits(0).says("no slot may set `LD_19999`");
    machine.kinfra("claim").exits(0);
    machine.kinfra("env").exits(0).prints("A19999=");
}

#[test]
fn a_docker_that_hangs_is_asked_once_and_says_nothing_of_the_files() {
    let script =
        "case \"$*\" in *version*) echo 2.30.0 ;; *) echo x >> \"$HOME/asked\"; sleep 600 & wait ;; esac";
    let machine = with_docker(composed(), script);
    let mut command = machine.command("validate");
    let said = Run::of(command.env("KINFRA_TEST_DOCKER_SECONDS", "1")).exits(0);
    let said = said.prints("compose: slot 1: not checked: docker did not answer within 1s");
    said.prints("The pool is valid.");
    assert_eq!(machine.read("~/asked"), "x\n", "of two slots, the second one is not asked about");
}

#[test]
fn a_registry_that_is_nested_too_deep_or_too_large_is_unreadable_and_stays() {
    for text in ["[".repeat(200_000), "{\"a\":".repeat(200_000), " ".repeat(65 << 20)] {
        let machine = Machine::small();
        machine.kinfra("apply").exits(0);
        machine.write("~/pool/registry.json", &text);
        for verb in ["slots", "claim", "plan"] {
            machine.kinfra(verb).exits(5).says("registry.json");
        }
        assert!(machine.read("~/pool/registry.json") == text, "it was changed");
    }
}

#[test]
fn twenty_thousand_tickets_of_dead_waiters_hold_no_claim_up() {
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    for number in 1..=20_000 {
        machine.write(&format!("~/pool/.queue/{number}"), "any\n/gone\n");
    }
    machine.kinfra("claim").exits(0);
    assert_eq!(fs::read_dir(machine.path("~/pool/.queue")).expect("a directory").count(), 0);
}

#[test]
fn a_compose_file_that_repeats_itself_or_is_nested_too_deep_is_not_read() {
    let mut repeats = "x-0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for number in 1..12 {
        let _ = writeln!(
            repeats,
            "x-{number}: &a{number} [{}]",
            vec![format!("*a{}", number - 1); 10].join(", ")
        );
    }
    for (text, refused) in [
        (format!("{repeats}services: {{a: {{image: x}}}}\n"), "the file repeats too many values"),
        (format!("services: {{a: {{ports: {}", "[".repeat(200_000)), "recursion limit exceeded"),
        (format!("services: {{a: {{ports: {}", "{a: ".repeat(200_000)), "recursion limit exceeded"),
    ] {
        let machine = Machine::new();
        machine.write("compose.yaml", &text);
        machine.kinfra("init").exits(1).says(refused);
    }
}

#[test]
fn a_saved_plan_that_is_nested_too_deep_is_no_plan() {
    let machine = Machine::small();
    machine.write("deep", "[".repeat(200_000));
    machine.kinfra("show deep").exits(64).says("is not a plan");
}
