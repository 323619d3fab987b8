//! A pool that is closed to this user: each verb says whose it is and what to do, once.

use std::fs;
use std::process::Command;

use crate::support::{Machine, Run};

/// A pool of root's in the home of another user, who has no name here.
struct Home {
    machine: Machine,
}

impl Home {
    fn new() -> Self {
        let machine = Machine::small();
        machine.edit_spec("root = \"~/pool\"", "root = \"~/.small/pool\"");
        for dir in [machine.home(), machine.project(), machine.tools()] {
            open(&dir, "755");
        }
        open(machine.home().parent().expect("a parent"), "755");
        fs::copy(env!("CARGO_BIN_EXE_kinfra"), machine.path("~/kinfra")).expect("a copy");
        machine.install("setpriv");
        machine.install("chown");
        machine.kinfra("apply").exits(0);
        Self { machine }
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = self.machine.program("setpriv");
        command.args(["--reuid=54321", "--clear-groups"]).arg(self.machine.path("~/kinfra"));
        command.args(arguments.split_whitespace());
        command
    }

    fn kinfra(&self, arguments: &str) -> Run {
        Run::of(&mut self.command(arguments))
    }

    /// Makes a path the user's; with `-R`, also what is below it.
    fn gives(&self, option: &str, path: &str) {
        let mut chown = self.machine.program("chown");
        chown.args([option, "54321"].iter().filter(|it| !it.is_empty())).arg(self.machine.path(path));
        Run::of(&mut chown).exits(0);
    }
}

/// As with users of one machine that share the slots of a pool: it is for the holder's own user to say what became of it.
#[test]
#[ignore = "needs root, to be another user"]
fn a_holder_in_a_home_that_is_closed_is_left_to_its_user() {
    let home = Home::new();
    home.machine.write("~/other/tree/file", "");
    home.gives("-R", "~/");
    let other = home.machine.path("~/other/tree");
    home.kinfra("apply").exits(0);
    home.kinfra(&format!("claim --for {}", other.display())).exits(0);
    let mut chown = home.machine.program("chown");
    Run::of(chown.arg("0").arg(home.machine.path("~/other"))).exits(0);
    open(&home.machine.path("~/other"), "700");
    home.kinfra("reap --auto-approve")
        .exits(0)
        .prints("its directory is closed to you")
        .never_says("cannot be examined");
    // One's own is to be looked at.
    home.gives("", "~/other");
    open(&home.machine.path("~/other"), "000");
    home.kinfra("reap --auto-approve").exits(1).says("not every claim could be judged");
}

fn open(path: &std::path::Path, mode: &str) {
    let mode = u32::from_str_radix(mode, 8).expect("a mode");
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("a new mode");
}

#[test]
#[ignore = "needs root, to be another user"]
fn what_is_closed_to_this_user_is_named_once_with_its_owner_and_the_remedy() {
    let home = Home::new();
    let own = |path: &str| home.gives("", path);
    let own_all = |path: &str| home.gives("-R", path);
    // The index is this user's.
    own_all("~/.local");
    let is_said = |exit: i32, belongs: &str, remedy: &str| {
        let run = home.kinfra("doctor").exits(exit);
        let said = format!("{}{}", run.stdout, run.stderr);
        assert_eq!(said.matches("belongs to root").count(), 1, "{said}");
        assert!(
            said.contains(belongs) && said.contains(&format!("`sudo chown -R 54321 {remedy}`")),
            "{said}"
        );
        assert!(!said.contains("Permission denied") && !said.contains("not readable"), "{said}");
    };
    is_said(4, "`~/.small` belongs to root (user 0), and is closed to user 54321", "~/.small");
    open(&home.machine.path("~/.small"), "755");
    is_said(4, "`~/.small/pool` belongs to root (user 0), and is closed to user 54321", "~/.small");
    open(&home.machine.path("~/.small/pool"), "755");
    let registry = "`~/.small/pool/registry.json` belongs to root (user 0), and is closed to user 54321";
    is_said(1, registry, "~/.small");
    own("~/.small/pool");
    let (file, lock) = ("~/.small/pool/registry.json", "~/.small/pool/.lock");
    let closed = format!("`{file}` belongs to root (user 0), and is closed to user 54321");
    is_said(1, &closed, file);
    for verb in ["slots", "claim", "status", "plan", "apply", "release", "env"] {
        let run = home.kinfra(verb);
        assert!(run.code == Some(5) || run.code == Some(4), "{verb}: {run:?}");
        run.says("belongs to root (user 0), and is closed to user 54321")
            .says(&format!("`sudo chown -R 54321 {file}`"));
    }
    // What can be looked at is not used either, as long as another user can change it.
    open(&home.machine.path(file), "644");
    home.kinfra("slots").exits(4).says(&format!("registry `{file}` belongs to root (user 0), and you are "));
    is_said(1, &format!("`{lock}` belongs to root (user 0), and is closed to user 54321"), lock);
    own(file);
    own("~/.small/pool/registry.json.bak");
    is_said(1, &format!("`{lock}` belongs to root (user 0), and is closed to user 54321"), lock);
    // What the user has closed is opened by its mode, and another user's home is given to none.
    own_all("~/.small");
    fs::create_dir(home.machine.path("~/mine")).expect("a directory");
    own_all("~/mine");
    for dir in ["~/.small/pool", "~/.small/pool/slot-1"] {
        open(&home.machine.path(dir), "555");
        let said = format!("`{dir}` is closed to its owner by its mode, 0555");
        let remedy = format!("open it with `chmod u+rwX {dir}`");
        home.kinfra("doctor").exits(1).prints(&said).prints(&remedy);
        if dir.ends_with("pool") {
            home.kinfra("claim --for ../home/mine")
                .exits(4)
                .says(&format!("error: {said}\nhelp: {remedy}\n"));
        }
        open(&home.machine.path(dir), "700");
    }
    open(&home.machine.path("~/.small"), "0");
    home.kinfra("doctor").exits(4).says(
        "`~/.small` is closed to its owner by its mode, 0000\nhelp: open it with `chmod u+rwX ~/.small`",
    );
    Run::of(home.command("doctor").env("HOME", "/root")).never_says("chown");
}

#[test]
#[ignore = "needs root, to be another user"]
fn an_index_that_is_closed_to_this_user_is_named_with_the_remedy() {
    let home = Home::new();
    for dir in ["~/.local", "~/.local/state", "~/.local/state/kinfra"] {
        open(&home.machine.path(dir), "755");
    }
    let chown = |path: &str| home.gives("-R", path);
    chown("~/.small");
    let index = "~/.local/state/kinfra/pools";
    let closed = format!("`{index}` belongs to root (user 0), and is closed to user 54321");
    for (verb, exit) in [("claim", 5), ("reap", 5), ("slots", 0), ("doctor", 1)] {
        let run = home.kinfra(verb).exits(exit);
        let said = format!("{}{}", run.stdout, run.stderr);
        assert!(said.contains(&closed) && said.contains("`sudo chown -R 54321 ~/.local`"), "{verb}: {said}");
        assert!(!said.contains("have not applied"), "{verb}: {said}");
    }
    chown("~/.local");
    open(&home.machine.path(index), "0");
    let remedy = format!("open it with `chmod u+rwX {index}`");
    home.kinfra("claim").exits(5).says("is closed to its owner by its mode, 0000").says(&remedy);
}
