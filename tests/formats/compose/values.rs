//! Compose reads every value of `[env]` exactly as it was declared.

use std::fmt::Write as _;

use kinfra::dotenv;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::Value;

use super::config;
use crate::support::Machine;

const NASTY: &[&str] = &[
    "",
    " ",
    "plain",
    " leading",
    "trailing ",
    "\ttabs\t",
    "two\nlines",
    "\nfirst line empty",
    "last line empty\n",
    "windows\r\nlines\r\n",
    "it's",
    "'",
    "''",
    "'quoted'",
    "\"",
    "\"\"",
    "\"quoted\"",
    "'\"'\"'",
    "both ' and \"",
    "$",
    "$$",
    "$5",
    "$HOME",
    "${X}",
    "${X:-default}",
    "${X:?error}",
    "$(date)",
    "`date`",
    "\\$HOME",
    "\\${X}",
    "'$HOME'",
    "it's ${X}",
    "ends with $",
    "#",
    "# no comment",
    "no # comment",
    "'#'",
    "\\",
    "\\\\",
    "\\\\\\",
    "ends with \\",
    "ends with \\\\",
    "'ends with \\",
    "\"ends with \\",
    "a\\'b",
    "a\\\"b",
    "\\n",
    "\\\\n",
    "it's \\n, not a newline",
    "\\t\\r\\v\\a\\b\\f\\u0041\\x41\\101",
    "it's \\t\\r\\v\\a\\b\\f\\u0041\\x41\\101",
    "C:\\Users\\new\\table",
    "=",
    "a=b=c",
    "=a",
    "a: b",
    "- a",
    "export A=1",
    "{{ slot.id }}",
    "{% if %}",
    "{# #}",
    "}}",
    "[1, 2]",
    "null",
    "~",
    "0123",
    "!important",
    "größe",
    "日本語",
    "😀",
    "\u{feff}bom",
    "\u{a0}no break\u{a0}",
    "\u{85}\u{2028}\u{2029}",
    "\u{202e}right to left",
];

/// What generated values are made of.
const PIECES: &[&str] = &[
    "a", "n", "t", "0", " ", "\n", "\r", "\t", "'", "\"", "\\", "$", "{", "}", "${V0}", "$V0", "#", "=", ":",
    "-", "`", "!", "%", "&", ";", ",", "~", "(", ")", "é", "日", "😀", "\u{a0}", "\u{85}", "\u{2028}",
    "\u{feff}",
];

const GENERATED: usize = 600;

/// One service gets the variables by interpolation, the other by `env_file`.
const COMPOSE_FILE: &str = r#"
services:
  interpolated:
    image: none
    environment:
{% for name in env %}
      {{ name }}: "{{ '${' ~ name ~ '}' }}"
{% endfor %}
  from_file:
    image: none
    env_file: .env.sandbox
"#;

#[test]
#[ignore = "needs Docker Compose v2"]
fn compose_reads_back_the_values_that_were_declared() {
    let values: Vec<String> = NASTY.iter().map(|value| (*value).to_owned()).chain(generated()).collect();
    let machine = Machine::new();
    machine.spec(&spec(&values));
    machine.template("env.sandbox", include_str!("../../../templates/env.sandbox"));
    machine.template("docker-compose.yml", COMPOSE_FILE);
    machine.kinfra("apply").exits(0);

    let env = machine.read("~/values/slot-1/.env.sandbox");
    let lines: Vec<&str> = env.lines().filter(|line| line.starts_with('V')).collect();
    assert_eq!(lines.len(), values.len(), "a value added a line to {env}");

    let services = &config(&machine, &machine.path("~/values/slot-1"))["services"];
    for (number, value) in values.iter().enumerate() {
        for service in ["interpolated", "from_file"] {
            let read = &services[service]["environment"][format!("V{number}")];
            let read = read.as_str().map(|read| read.replace("$$", "$"));
            assert_eq!(read.as_ref(), Some(value), "{service}, written as {}", lines[number]);
        }
    }

    machine.kinfra("claim").exits(0);
    let document: Value =
        serde_json::from_str(&machine.kinfra("env --format json").exits(0).stdout).expect("JSON");
    for (number, value) in values.iter().enumerate() {
        assert_eq!(document["variables"][format!("V{number}")], *value, "written as {}", lines[number]);
    }
}

#[test]
#[ignore = "needs Docker Compose v2"]
fn compose_and_kinfra_read_one_file_alike() {
    // Values as people might write them. Only those that kinfra accepts count.
    let written = generated().enumerate().map(|(number, value)| {
        let quote = ["", "'", "\""][number % 3];
        format!("{quote}{value}{quote}")
    });
    let is_read =
        |value: &String| dotenv::read(&format!("V={value}")).is_ok_and(|variables| variables.len() == 1);
    let values: Vec<String> = written.filter(is_read).collect();
    assert!(values.len() > GENERATED / 4, "{} of {GENERATED}", values.len());

    let machine = Machine::new();
    machine.spec(&spec(&vec![String::new(); values.len()]));
    machine.template("env.sandbox", "");
    machine.template("docker-compose.yml", COMPOSE_FILE);
    machine.kinfra("apply").exits(0);
    machine.kinfra("claim").exits(0);
    let lines = values.iter().enumerate().map(|(number, value)| format!("V{number}={value}\n"));
    machine.write("~/values/slot-1/.env.sandbox", lines.collect::<String>());

    let services = &config(&machine, &machine.path("~/values/slot-1"))["services"];
    let run = machine.kinfra("env --format json").exits(0);
    let document: Value = serde_json::from_str(&run.stdout).expect("JSON");
    for (number, value) in values.iter().enumerate() {
        let name = format!("V{number}");
        let read = services["interpolated"]["environment"][&name].as_str().expect("a value");
        assert_eq!(document["variables"][&name], read.replace("$$", "$"), "written as {value:?}");
    }
}

/// The same values in every run.
fn generated() -> impl Iterator<Item = String> {
    let value = prop::collection::vec(select(PIECES), 1..10).prop_map(|pieces| pieces.concat());
    let mut runner = TestRunner::deterministic();
    (0..GENERATED).map(move |_| value.new_tree(&mut runner).expect("a value").current())
}

/// A pool that declares the values as `V0`, `V1`, …
fn spec(values: &[String]) -> String {
    let mut spec = r#"version = 1
pool = { name = "values", root = "~/values" }
ports = { web = 8000 }
profiles = [{ name = "only" }]
slots = [{ ids = "1", profile = "only" }]
files = { ".env.sandbox" = "env.sandbox", "docker-compose.yml" = "docker-compose.yml" }
[env]
"#
    .to_owned();
    for (number, value) in values.iter().enumerate() {
        // A value is a template, this one of itself. JSON writes a string as TOML does.
        let template = value.replace('{', "{{ '{' }}");
        writeln!(spec, "V{number} = {}", Value::from(template)).expect("text grows");
    }
    spec
}
