//! Whose a pool is: what another user owns, or others can change, is not used. And what root does for another
//! user locks that user out of nothing.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use crate::support::{Machine, Run, has_no_file};

/// Every verb that opens a pool.
const VERBS: [&str; 12] = [
    "plan",
    "apply",
    "claim",
    "env",
    "exec true",
    "status",
    "slots",
    "renew",
    "release",
    "reap --auto-approve",
    "clean 1",
    "destroy --auto-approve",
];

#[track_caller]
fn is_refused(machine: &Machine, says: &str) {
    let before = machine.tree();
    for verb in VERBS {
        let run = machine.kinfra(verb).exits(4).says(says);
        assert!(!run.stdout.contains("export"), "{verb}: {}", run.stdout);
    }
    assert_eq!(machine.tree(), before);
}

#[test]
fn a_root_or_registry_that_others_can_write_is_refused() {
    if has_no_file("a registry on a server has no mode") {
        return;
    }
    for (path, mode, by) in [
        ("~/pool", 0o770, "its group"),
        ("~/pool", 0o757, "every user"),
        ("~/pool/registry.json", 0o660, "its group"),
        ("~/pool/registry.json", 0o602, "every user"),
    ] {
        let machine = Machine::claimed();
        let kept = machine.mode(path);
        machine.set_mode(path, mode);
        is_refused(&machine, &format!("can be changed by {by}: its mode is {mode:04o}\nhelp: `chmod go-w "));
        machine.kinfra("doctor").exits(1).prints(&format!("can be changed by {by}"));
        let uid = fs::metadata(machine.path(path)).expect("metadata").uid();
        for (trusted, exit) in [(uid, 0), (uid + 1, 4)] {
            Run::of(machine.command("env").env("KINFRA_TRUST_OWNER", trusted.to_string())).exits(exit);
        }
        Run::of(machine.command("env").env("KINFRA_TRUST_OWNER", "me"))
            .exits(64)
            .says("`me`, which is no user id");
        machine.set_mode(path, kept & !0o022);
        machine.kinfra("env").exits(0);
    }
}

#[test]
fn a_slot_that_others_can_write_hands_out_no_variables() {
    let compose = "~/pool/slot-1/docker-compose.yml";
    for (path, mode) in [("~/pool/slot-1", 0o777), ("~/pool/slot-1/.env.sandbox", 0o666), (compose, 0o666)] {
        let machine = Machine::small();
        machine.edit_spec("\"conf.txt\" = \"conf.txt\"", "\".env.sandbox\" = \"conf.txt\"");
        machine.template("conf.txt", "A={{ slot.id }}\n");
        machine.kinfra("apply").exits(0);
        machine.kinfra("claim").exits(0);
        machine.write(compose, "services: {}\n");
        machine.set_mode(path, mode);
        for verb in ["env", "exec true", "claim"] {
            machine.kinfra(verb).exits(4).says("can be changed by every user");
        }
    }
}

#[test]
fn an_index_that_others_can_write_trusts_nothing() {
    let machine = Machine::claimed();
    machine.set_mode("~/.local/state/kinfra/pools", 0o777);
    machine.kinfra("env").exits(4);
    machine.kinfra("apply").says("the index of pools `").says("can be changed by every user");
    machine.set_mode("~/.local/state/kinfra/pools", 0o700);
    machine.kinfra("env").exits(0);
}

#[test]
fn what_kinfra_makes_is_its_owners_alone_under_any_umask() {
    if has_no_file("a registry on a server has no mode") {
        return;
    }
    let machine = Machine::small();
    let mut shell = machine.program("sh");
    Run::of(shell.args(["-c", "umask 000; kinfra apply && kinfra claim && kinfra env"])).exits(0);
    for path in ["~/pool", "~/pool/slot-1", "~/.local", "~/.local/state/kinfra/pools"] {
        assert_eq!(machine.mode(path), 0o700, "{path}");
    }
    assert_eq!(machine.mode("~/pool/registry.json"), 0o600);
}

/// A user who is not root.
const OTHER: u32 = 65534;

/// A machine in whose home and project another user works, on a root of its own.
struct Shared {
    machine: Machine,
}

impl Shared {
    fn new() -> Self {
        let machine = Machine::small();
        let top = machine.home().parent().expect("a parent").to_owned();
        fs::set_permissions(&top, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("a mode");
        let program = machine.tools().join("kinfra");
        fs::remove_file(&program).expect("a link");
        fs::copy(env!("CARGO_BIN_EXE_kinfra"), &program).expect("a program");
        let shared = Self { machine };
        Self::give(&shared.machine.home());
        Self::give(&shared.machine.project());
        shared
    }

    /// Gives a directory, and all that is in it, to the other user.
    fn give(path: &Path) {
        chown_all(path, OTHER);
    }

    fn of_root(&self, arguments: &str) -> Command {
        let mut command = self.machine.program("kinfra");
        command.args(arguments.split_whitespace());
        command
    }

    fn of_other(&self, arguments: &str) -> Run {
        let mut command = self.of_root(arguments);
        Run::of(command.uid(OTHER).gid(OTHER))
    }

    /// The owners of all that is below a path.
    fn owners(&self, path: &str) -> Vec<u32> {
        let mut owners = Vec::new();
        let mut left = vec![self.machine.path(path)];
        while let Some(path) = left.pop() {
            owners.push(fs::symlink_metadata(&path).expect("metadata").uid());
            left.extend(
                fs::read_dir(&path).into_iter().flatten().map(|entry| entry.expect("an entry").path()),
            );
        }
        owners.sort_unstable();
        owners.dedup();
        owners
    }
}

fn chown_all(path: &Path, user: u32) {
    chown(path, Some(user), Some(user)).expect("this test needs root");
    for entry in fs::read_dir(path).into_iter().flatten() {
        chown_all(&entry.expect("an entry").path(), user);
    }
}

#[test]
#[ignore = "needs root"]
fn root_uses_no_pool_of_another_user() {
    let shared = Shared::new();
    shared.of_other("apply").exits(0);
    shared.of_other("claim").exits(0);
    for verb in VERBS.into_iter().chain(["env --format json", "doctor --repair --auto-approve"]) {
        let run = Run::of(&mut shared.of_root(verb)).exits(4).says("` belongs to ").says("(user 65534)");
        assert!(!run.stdout.contains("export"), "{verb}: {}", run.stdout);
        Run::of(shared.of_root(verb).env("SUDO_UID", "65534")).exits(4).says("run kinfra without sudo");
    }
    let root = shared.machine.path("~/pool").display().to_string();
    Run::of(shared.of_root("env").env("KINFRA_ROOT", root)).exits(4);
    assert_eq!(shared.owners("~/"), [OTHER]);
    shared.of_other("env").exits(0);
    // One file in it that is another's.
    chown(shared.machine.path("~/pool/registry.json"), Some(0), Some(0)).expect("this test needs root");
    shared.machine.set_mode("~/pool/registry.json", 0o644);
    shared.of_other("env").exits(4).says("registry.json` belongs to root (user 0), and you are ");
}

#[test]
#[ignore = "needs root"]
fn what_root_makes_in_a_pool_that_it_may_use_is_the_owners() {
    let shared = Shared::new();
    shared.of_other("apply").exits(0);
    for verb in ["claim", "exec true", "release", "claim", "apply --update", "reap --auto-approve"] {
        for sudo in ["", "65534"] {
            let mut command = shared.of_root(verb);
            Run::of(command.env("KINFRA_TRUST_OWNER", "65534").env("SUDO_UID", sudo));
            assert_eq!(shared.owners("~/"), [OTHER], "{verb}");
            assert_eq!(shared.owners("slots.toml"), [OTHER], "{verb}");
        }
    }
    shared.of_other("env").exits(0);
    shared.of_other("release").exits(0);
    shared.of_other("claim").exits(0);
}

#[test]
#[ignore = "needs root"]
fn a_pool_that_its_owner_opened_to_another_plain_user_is_read_at_most() {
    let shared = Shared::new();
    shared.of_other("apply").exits(0);
    shared.of_other("claim").exits(0);
    let mut open = shared.machine.program("/bin/chmod");
    Run::of(open.args(["-R", "a+rwX"]).arg(shared.machine.path("~/pool"))).exits(0);
    shared.machine.set_mode("~/pool/.lock", 0o600);
    let mut third = shared.of_root("release 1 --force");
    third.uid(OTHER - 1).gid(OTHER - 1).env("KINFRA_TRUST_OWNER", OTHER.to_string());
    third.env("KINFRA_ROOT", shared.machine.path("~/pool")).env("HOME", "/nonexistent");
    Run::of(&mut third)
        .exits(4)
        .says(".lock` belongs to ")
        .says("and is closed to ")
        .says("help: run kinfra as ");
}

#[test]
#[ignore = "needs root"]
fn a_second_name_of_a_file_of_roots_stays_roots() {
    let shared = Shared::new();
    shared.of_other("apply").exits(0);
    let secret = shared.machine.home().parent().expect("a parent").join("secret");
    fs::write(&secret, "root's").expect("a file");
    for name in ["~/pool/.lock", "~/.local/state/kinfra/pools/.lock"] {
        let _ = fs::remove_file(shared.machine.path(name));
        fs::hard_link(&secret, shared.machine.path(name)).expect("a link");
    }
    Run::of(shared.of_root("claim").env("KINFRA_TRUST_OWNER", "65534"));
    assert_eq!(fs::metadata(&secret).expect("metadata").uid(), 0);
}

#[test]
#[ignore = "needs root"]
fn a_root_that_was_emptied_and_made_by_another_user_is_not_the_one_that_was_applied() {
    // As a root in /tmp after the next start of the machine.
    let shared = Shared::new();
    Run::of(&mut shared.of_root("apply")).exits(0);
    Run::of(&mut shared.of_root("claim")).exits(0);
    let text = shared.machine.read("~/pool/registry.json");
    shared.machine.remove("~/pool");
    shared.machine.write("~/pool/registry.json", text);
    Shared::give(&shared.machine.path("~/pool"));
    for verb in VERBS {
        Run::of(&mut shared.of_root(verb)).exits(4).says("pool` belongs to ");
    }
}

#[test]
#[ignore = "needs root"]
fn under_sudo_nothing_is_written_below_another_users_home() {
    let shared = Shared::new();
    let sudo = |arguments: &str| {
        let mut command = shared.of_root(arguments);
        command.env("SUDO_UID", "65534");
        command
    };
    let nothing = "under sudo, kinfra writes nothing below `";
    Run::of(&mut sudo("apply")).exits(4).says(nothing).says("run kinfra without sudo");
    Run::of(&mut sudo("plan --out plan.json")).exits(4).says(nothing);
    assert!(!shared.machine.exists("~/pool") && !shared.machine.exists("~/.local"));
    assert!(!shared.machine.exists("plan.json"));

    // A pool of root's, elsewhere: its claim would write into the worktree.
    let elsewhere = tempfile::tempdir().expect("a directory");
    let root = elsewhere.path().join("pool").display().to_string();
    let with_root = |arguments: &str| {
        let mut command = sudo(arguments);
        command.env("KINFRA_ROOT", &root).env("XDG_STATE_HOME", elsewhere.path());
        command
    };
    Run::of(&mut with_root("apply")).exits(0);
    Run::of(&mut with_root("claim")).exits(4).says(nothing);
    Run::of(&mut with_root("slots")).exits(0).prints("    1  only     stopped      8001  -\n");
    assert_eq!(shared.owners("slots.toml"), [OTHER]);
    assert!(!shared.machine.exists(".env.sandbox"));
}

#[test]
#[ignore = "needs root"]
fn root_without_sudo_works_in_a_checkout_that_is_another_users() {
    // A job of a CI whose container runs as root, with a home and a checkout of the host's user.
    let shared = Shared::new();
    for verb in ["apply", "claim", "env", "exec true", "release", "claim", "slots"] {
        Run::of(&mut shared.of_root(verb)).exits(0);
    }
    assert_eq!(shared.owners("~/pool"), [0]);
}

#[test]
#[ignore = "needs root"]
fn a_repository_of_another_user_is_no_project_of_this_one() {
    let shared = Shared::new();
    let machine = &shared.machine;
    machine.git(machine.project(), "init -q");
    chown_all(&machine.path(".git"), 54321);
    for file in ["slots.toml", "templates/conf.txt"] {
        machine.write(&format!("mine/{file}"), machine.read(file));
    }
    Shared::give(&machine.path("mine"));
    let run = |directory: &str, verb: &str| {
        let mut command = shared.of_root(verb);
        Run::of(command.uid(OTHER).gid(OTHER).current_dir(machine.path(directory)))
    };
    run("mine", "apply").exits(0);
    run("mine", "claim").exits(0);
    run("mine", "release").exits(0);
    // What lies above it has the same name and root.
    let refused =
        run(".", "claim").exits(4).says("the repository `").says("belongs to user 54321, and you are");
    refused.says("KINFRA_TRUST_OWNER=54321 allows it");
    run("mine", "claim").exits(0);
}
