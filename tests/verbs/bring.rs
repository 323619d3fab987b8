//! The files that git does not bring into a worktree: `kinfra claim` copies those that slots.toml lists, and
//! names the others that Compose needs.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};

use serde_json::{Value, json};

use crate::support::{Machine, Run, SHOP};

const COMPOSE: &str = "services:\n  web:\n    image: web\n    env_file: [web.env]\n    \
                       volumes:\n      - ./certs/dev.pem:/dev.pem:ro\n      - ./static:/static\n";

/// The main worktree `~/shop` of a repository, and a linked one, `~/fix`. The pool is applied, and lists these
/// files.
fn shop(copy: &str) -> Machine {
    let machine = Machine::new();
    let copy = if copy.is_empty() { String::new() } else { format!("[worktree]\ncopy = [{copy}]\n") };
    machine.write("~/shop/slots.toml", format!("{SHOP}{copy}"));
    machine.write("~/shop/compose.yaml", COMPOSE);
    machine.write("~/shop/static/index.html", "hello\n");
    let main = machine.path("~/shop");
    machine.repository(&main);
    machine.git(&main, "worktree add --quiet ../fix");
    run_in(&machine, "~/shop", "apply").exits(0);
    machine
}

fn run_in(machine: &Machine, dir: &str, arguments: &str) -> Run {
    Run::of(machine.command(arguments).current_dir(machine.path(dir))).never_says("panicked")
}

#[test]
fn listed_files_are_copied_from_the_main_worktree() {
    let machine = shop("\".env\", \"certs/deep/dev.pem\"");
    machine.write("~/shop/.env", "SECRET=1\n");
    machine.write("~/shop/certs/deep/dev.pem", vec![7; 100_000]);
    machine.set_mode("~/shop/.env", 0o640);
    machine.set_mode("~/shop/certs/deep", 0o750);
    run_in(&machine, "~/fix", "claim").exits(0).says("Copied .env, certs/deep/dev.pem from ~/shop\n");
    assert_eq!((machine.read("~/fix/.env").as_str(), machine.mode("~/fix/.env")), ("SECRET=1\n", 0o640));
    assert_eq!(fs::read(machine.path("~/fix/certs/deep/dev.pem")).expect("a copy"), vec![7; 100_000]);
    assert_eq!(machine.mode("~/fix/certs/deep"), 0o750);
    let names = fs::read_dir(machine.path("~/fix")).expect("a directory").map(|name| name.expect("a name"));
    assert!(names.into_iter().all(|name| !name.file_name().to_string_lossy().ends_with("-tmp")));
    // Claiming again copies what is missing again, and nothing else.
    let inode = |path| fs::metadata(machine.path(path)).expect("a file").ino();
    let before = inode("~/fix/.env");
    machine.remove("~/fix/certs");
    run_in(&machine, "~/fix", "claim").exits(0).says("Copied certs/deep/dev.pem from ~/shop\n");
    assert_eq!(inode("~/fix/.env"), before);
    // A release leaves them: they are the worktree's own.
    run_in(&machine, "~/fix", "release").exits(0);
    assert!(machine.exists("~/fix/.env"));
    // The main worktree has what it has.
    machine.remove("~/shop/.env");
    run_in(&machine, "~/shop", "claim").exits(0).never_says(".env from").never_says("note:");
}

#[test]
fn nothing_is_overwritten_and_no_link_leaves_the_worktree() {
    let machine = shop("\".env\", \"local.env\", \"out/x.env\", \"in/x.env\"");
    for file in [".env", "local.env", "out/x.env", "in/x.env"] {
        machine.write(&format!("~/shop/{file}"), "main's\n");
    }
    machine.write("~/fix/.env", "mine\n");
    symlink("nowhere", machine.path("~/fix/local.env")).expect("a link");
    fs::create_dir(machine.path("~/elsewhere")).expect("a directory");
    symlink("../elsewhere", machine.path("~/fix/out")).expect("a link");
    fs::create_dir(machine.path("~/fix/real")).expect("a directory");
    symlink("real", machine.path("~/fix/in")).expect("a link");
    let run = run_in(&machine, "~/fix", "claim").exits(0).prints("Claimed slot 1");
    run.says("Copied in/x.env from ~/shop\n")
        .says("note: out/x.env was not copied: `")
        .says("/fix/out` is a symbolic link that leaves the worktree\n");
    assert_eq!(machine.read("~/fix/.env"), "mine\n");
    assert!(machine.path("~/fix/local.env").is_symlink() && !machine.exists("~/fix/nowhere"));
    assert!(!machine.exists("~/elsewhere/x.env"));
    assert_eq!(machine.read("~/fix/real/x.env"), "main's\n");
}

#[test]
fn what_cannot_be_copied_is_named_and_the_claim_stands() {
    let machine = shop("\".env\", \"certs\", \"secret.env\", \"blocked/x\", \"gone\"");
    machine.write("~/secret.env", "S=1\n");
    machine.write("~/shop/certs/dev.pem", "x");
    machine.write("~/shop/blocked/x", "x");
    machine.write("~/fix/blocked", "a file\n");
    symlink("../secret.env", machine.path("~/shop/secret.env")).expect("a link");
    symlink("nowhere", machine.path("~/shop/gone")).expect("a link");
    let run = run_in(&machine, "~/fix", "claim --json").exits(0);
    let document: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(document["slot_id"], 1);
    // certs/dev.pem is missing too, because compose.yaml mounts it.
    let missing = json!([".env", "certs", "secret.env", "blocked/x", "gone", "certs/dev.pem"]);
    assert_eq!((document.get("copied"), &document["missing"]), (None, &missing));
    run.says("note: .env was not copied: `")
        .says("/shop` does not have it\n")
        .says("/shop/certs` is a directory: list its files\n")
        .says("/shop/secret.env` is a symbolic link that leaves the worktree\n")
        .says("note: blocked/x was not copied: `")
        .says("/fix/blocked` is a file, where a directory belongs: move it away\n")
        .says("note: gone was not copied: `");
    assert!(!machine.exists("~/fix/certs") && !machine.exists("~/fix/secret.env"));
}

#[test]
fn what_compose_needs_and_git_did_not_bring_is_named() {
    let machine = shop("\".env\"");
    for file in [".env", "compose.override.yaml", "web.env", "certs/dev.pem", "notes.txt"] {
        machine.write(&format!("~/shop/{file}"), "x\n");
    }
    // A branch may do without a tracked file.
    machine.write("~/shop/static/more.html", "x\n");
    let run = run_in(&machine, "~/fix", "claim --json").exits(0);
    run.says("Copied .env from ~/shop\n")
        .says(
            "note: certs/dev.pem, compose.override.yaml, web.env are missing here, and are in ~/shop\n\
         help: to have a claim copy what git does not bring, write in slots.toml:\n      [worktree]\n      \
         copy = [\".env\", \"certs/dev.pem\", \"compose.override.yaml\", \"web.env\"]\n",
        )
        .never_says("notes.txt");
    let document: Value =
        serde_json::from_str(&run_in(&machine, "~/fix", "claim --json").stdout).expect("JSON");
    let missing = json!(["certs/dev.pem", "compose.override.yaml", "web.env"]);
    assert_eq!((document.get("copied"), &document["missing"]), (None, &missing));
    // What is there, or tracked by the main worktree's branch alone, is no news.
    for file in ["certs/dev.pem", "web.env"] {
        machine.write(&format!("~/fix/{file}"), "x\n");
    }
    run_in(&machine, "~/fix", "claim")
        .says("note: compose.override.yaml is missing here, and is in ~/shop\n");
    machine.git(machine.path("~/shop"), "add compose.override.yaml");
    let quiet = run_in(&machine, "~/fix", "claim --json").exits(0).never_says("note:");
    assert!(!quiet.stdout.contains("missing"), "{}", quiet.stdout);
    run_in(&machine, "~/shop", "claim").exits(0).never_says("note:");
}

#[test]
fn a_repository_without_a_main_worktree_has_nothing_to_copy_from() {
    let machine = shop("\".env\"");
    let clone = machine.home();
    machine.git(&clone, "clone --quiet --bare shop bare.git");
    machine.git(machine.path("~/bare.git"), "worktree add --quiet ../bare-fix HEAD");
    run_in(&machine, "~/bare-fix", "apply").exits(0);
    let run = run_in(&machine, "~/bare-fix", "claim").exits(0);
    run.says("note: .env was not copied: its repository has no main worktree\n");
    // A listed file that is there is no news.
    machine.write("~/bare-fix/.env", "x");
    run_in(&machine, "~/bare-fix", "claim").exits(0).never_says("note:");
}

#[test]
fn a_project_below_the_top_has_its_files_there() {
    let machine = shop("");
    let main = machine.path("~/shop");
    machine.write(
        "~/shop/web/slots.toml",
        format!(
            "{}[worktree]\ncopy = [\".env\"]\n",
            SHOP.replace("8000", "8090").replace("~/pool", "~/web").replace("shop", "web")
        ),
    );
    machine.write("~/shop/web/compose.yaml", COMPOSE);
    machine.git(&main, "add --all");
    machine.git(&main, "commit --quiet --message web");
    machine.git(&main, "worktree add --quiet ../below");
    for file in [".env", "web/.env", "web/web.env", "web/compose.override.yaml", "web/certs/dev.pem"] {
        machine.write(&format!("~/shop/{file}"), format!("{file}\n"));
    }
    machine.git(&main, "add --force web/compose.override.yaml");
    run_in(&machine, "~/shop/web", "apply").exits(0);
    run_in(&machine, "~/below/web", "claim")
        .exits(0)
        .says("Copied .env from ~/shop/web\n")
        .says("note: certs/dev.pem, web.env are missing here, and are in ~/shop/web\n");
    assert_eq!(machine.read("~/below/web/.env"), "web/.env\n");
    assert!(!machine.exists("~/below/.env"));
}
