//! `kinfra skill install` and `kinfra help agents`: what agents are told.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;

use clap::Parser as _;
use kinfra::cli::Cli;

use super::hook::repository;
use crate::support::{Machine, Run};

#[test]
fn the_skill_is_written_once_and_replaced_only_if_asked() {
    let machine = repository();
    let path = ".claude/skills/kinfra/SKILL.md";
    machine.kinfra("skill install --dry-run").exits(0).prints("+ name: kinfra");
    assert!(!machine.exists(".claude"));
    machine.kinfra("skill install").exits(0).says("Made ");
    let text = machine.read(path);
    machine.kinfra("help agents").exits(0).prints_exactly(&text);
    machine.kinfra("skill install").exits(0).says("Nothing to do");
    machine.write(path, text.replace("## Never", "## Always"));
    machine.kinfra("skill install").exits(4).prints("- ## Always").prints("+ ## Never").says("no terminal");
    assert!(machine.read(path).contains("## Always"));
    machine.kinfra("skill install --auto-approve").exits(0).says("Changed ");
    assert_eq!(machine.read(path), text);
    // In a directory of its own, for another tool.
    let home = machine.path("~/skills/kinfra");
    Run::of(machine.command("skill install --path").arg(&home)).exits(0);
    assert_eq!(machine.read("~/skills/kinfra/SKILL.md"), text);
    machine.remove(path);
    symlink("/nowhere", machine.path(path)).expect("a link");
    machine.kinfra("skill install --auto-approve").exits(4).says("a symbolic link");
}

#[test]
fn the_skill_says_only_what_is_so() {
    let text = Machine::new().kinfra("help agents").exits(0).stdout;
    assert!(text.lines().count() <= 120, "{} lines", text.lines().count());
    assert!(text.starts_with("---\nname: kinfra\ndescription: "), "{text}");
    let commands: Vec<&str> =
        text.split('`').skip(1).step_by(2).filter(|code| code.starts_with("kinfra ")).collect();
    for verb in ["claim", "up", "status", "logs", "release", "done"] {
        assert!(commands.iter().any(|command| command.starts_with(&format!("kinfra {verb}"))), "no {verb}");
    }
    for command in commands {
        let words = command.split(' ').filter(|word| *word != "ARGS");
        let parsed = Cli::try_parse_from(words);
        let is_help = |error: &clap::Error| error.exit_code() == 0;
        assert!(parsed.as_ref().err().is_none_or(is_help), "{command}: {}", parsed.expect_err("an error"));
    }
    // Every code has the meaning of the help, word for word; those of commands are their own.
    let help = Machine::new().kinfra("help exit-codes").exits(0).stdout;
    let (_, codes) = help.split_once(":\n").expect("a heading");
    let codes: BTreeMap<u8, &str> = codes.lines().map(|line| code(line.trim().split_once("  "))).collect();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
    let rows = rows.filter(|(code, _)| code.parse::<u8>().is_ok());
    let rows: BTreeMap<u8, &str> =
        rows.map(|(row, rest)| code(rest.split_once(" | ").map(|(meaning, _)| (row, meaning)))).collect();
    let known = codes.iter().filter(|(_, meaning)| !meaning.starts_with("exec, "));
    assert_eq!(rows, known.map(|(code, meaning)| (*code, *meaning)).collect());
}

fn code<'text>(row: Option<(&'text str, &'text str)>) -> (u8, &'text str) {
    let (code, meaning) = row.expect("a code and its meaning");
    (code.parse().expect("a code"), meaning)
}
