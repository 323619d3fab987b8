//! What `--help` and `help` say.

use kinfra::fault::Exit;

use crate::support::Machine;

#[test]
fn every_exit_code_is_listed() {
    let machine = Machine::new();
    let run = machine.kinfra("help exit-codes").exits(0);
    let listed: Vec<i32> = run
        .stdout
        .lines()
        .filter_map(|line| line.trim_start().split_once("  ").and_then(|(code, _)| code.parse().ok()))
        .collect();
    let all = [
        Exit::Done,
        Exit::Failed,
        Exit::Differences,
        Exit::NoSlot,
        Exit::Refused,
        Exit::Unreadable,
        Exit::Locked,
        Exit::DoesNotRun,
        Exit::NotInTime,
        Exit::Docker,
        Exit::Usage,
        Exit::Spec,
        Exit::Unprinted,
        Exit::NotExecutable,
        Exit::NoCommand,
        Exit::Interrupted,
    ];
    assert_eq!(listed, all.map(|exit| i32::from(exit.code())));
    machine.kinfra("exit-codes").exits(0).prints_exactly(&run.stdout);
    machine
        .kinfra("--help")
        .exits(0)
        .prints("`kinfra help exit-codes` lists the exit codes. `kinfra help agents` is for agents.")
        .never_says("List the exit");
}

#[test]
fn every_verb_says_what_its_flags_do() {
    for verb in [
        "plan",
        "apply",
        "destroy",
        "claim",
        "release",
        "renew",
        "reap",
        "clean",
        "status",
        "env",
        "exec",
        "start",
        "done",
        "worktrees",
        "up",
        "down",
        "logs",
        "shell",
        "reset",
        "completions",
        "slots",
        "history",
        "open",
        "ports",
        "validate",
        "init",
        "demo",
        "hook install",
        "hook run",
        "skill install",
        "doctor",
    ] {
        let help = Machine::new().kinfra(&format!("{verb} --help")).exits(0).stdout;
        let options = help.split("Options:").nth(1).expect("options").lines();
        for (line, next) in
            options.clone().zip(options.skip(1)).filter(|(line, _)| line.trim_start().starts_with("--"))
        {
            let is_explained = line.trim().split_once("  ").is_some() || next.starts_with("          ");
            assert!(is_explained, "{verb}: {line}");
        }
    }
}

#[test]
fn verbs_and_flags_of_other_tools_get_one_tip() {
    let machine = Machine::small();
    for (typed, tip) in [
        ("ps", "`kinfra status` says what runs"),
        ("ls", "`kinfra slots` lists the slots"),
        ("stop", "`kinfra down`"),
        ("restart", "`kinfra up`"),
        ("psql", "`kinfra shell SERVICE -- psql`"),
        ("rm", "`kinfra down`"),
        ("apply --yes", "did you mean `--auto-approve`?"),
        ("destroy -y", "did you mean `--auto-approve`?"),
        ("claim --wait 10m", "write `--wait=10m`"),
    ] {
        let run = machine.kinfra(typed).exits(64).says(tip).never_says("to pass '");
        assert_eq!(run.stderr.matches("tip:").count(), 1, "{}", run.stderr);
    }
    // What is nothing of the kind gets what clap says.
    machine.kinfra("apply --dry").exits(64).says("--dry-run");
    machine.kinfra("releases").exits(64).says("similar subcommand").says("'release'");
}

#[test]
fn a_name_or_a_path_in_the_place_of_a_slot_is_told_what_to_write() {
    let machine = Machine::small();
    let path = "a slot is a number, such as `2`; for another worktree's, write `--for ../shop-fix-login`";
    for (typed, tip) in [
        ("release ../shop-fix-login", path),
        ("down --slot ../shop-fix-login", path),
        ("claim --slot main", "a slot is a number, such as `2`: `kinfra slots` lists them"),
        ("clean ../shop-fix-login", "a slot is a number, such as `2`: `kinfra slots` lists them"),
    ] {
        machine.kinfra(typed).exits(64).says(tip);
    }
}

#[test]
fn each_next_command_is_one_that_there_is() {
    let machine = Machine::new();
    for text in
        [kinfra::report::up::next(false), kinfra::report::up::next(true), kinfra::report::claim::next()]
    {
        let commands: Vec<&str> = text.split('`').skip(1).step_by(2).collect();
        assert!(!commands.is_empty(), "{text:?} names no command");
        for command in commands {
            let arguments = command.strip_prefix("kinfra ").expect("a command of kinfra's");
            let verb = arguments.split(" -- ").next().expect("a verb");
            machine.kinfra(&format!("{verb} --help")).exits(0).prints("Usage: kinfra ");
        }
    }
}
