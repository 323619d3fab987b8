//! The files that a claim writes: the slot's variables in the worktree, and the files of `[claim]` in the
//! slot's directory. The release removes all of them and no foreign file.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::{Machine, Run};

const ENV: &str = "~/tree/.env.sandbox";
const OVERRIDE: &str = "~/pool/slot-1/docker-compose.override.yml";

/// An applied pool whose claims mount the worktree's code, and a directory to claim for.
fn applied() -> Machine {
    let machine = Machine::small();
    machine.edit_spec(
        "\"conf.txt\" = \"conf.txt\"",
        "\".env.sandbox\" = \"env\"\n\n[claim]\n\"docker-compose.override.yml\" = \"override.yml\"",
    );
    machine.template("env", "WEB_PORT={{ ports.web }}\n");
    machine.template("override.yml", "source: {{ worktree | compose }}\nport: {{ ports.web }}\n");
    machine.kinfra("apply").exits(0);
    fs::create_dir(machine.path("~/tree")).expect("a worktree");
    machine
}

fn run_in(machine: &Machine, dir: &str, arguments: &str) -> Run {
    Run::of(
        machine
            .command(arguments)
            .arg("--spec")
            .arg(machine.path("slots.toml"))
            .current_dir(machine.path(dir)),
    )
    .never_says("panicked")
}

#[test]
fn a_claim_writes_its_files_and_a_release_takes_them_back() {
    let machine = applied();
    let before = machine.tree();
    run_in(&machine, "~/tree", "claim").exits(0);
    let env = machine.read(ENV);
    let (header, variables) = env.split_once('\n').expect("a header");
    let dir = machine.path("~/pool/slot-1");
    assert!(header.starts_with(&format!("# Slot 1, from {}: by `kinfra claim`", dir.display())), "{header}");
    assert_eq!(variables, machine.read("~/pool/slot-1/.env.sandbox"));
    assert_eq!(machine.mode(ENV), 0o600);
    let tree = machine.path("~/tree");
    assert_eq!(machine.read(OVERRIDE), format!("source: \"{}\"\nport: 8001\n", tree.display()));
    // Claiming again changes nothing, and plan and apply do not mind the files.
    let claimed = machine.tree();
    run_in(&machine, "~/tree", "claim").exits(0).prints("is yours already");
    machine.kinfra("plan --detailed-exitcode").exits(0);
    machine.kinfra("apply").exits(0);
    assert_eq!(machine.tree(), claimed);
    run_in(&machine, "~/tree", "release").exits(0).never_says("Left");
    assert_eq!(machine.tree(), before);
}

#[test]
fn missing_files_come_back_when_the_slot_is_claimed_again() {
    let machine = applied();
    run_in(&machine, "~/tree", "claim").exits(0);
    let claimed = machine.tree();
    machine.remove(ENV);
    machine.remove(OVERRIDE);
    run_in(&machine, "~/tree", "claim").exits(0);
    assert_eq!(machine.tree(), claimed);
    // An update of the slot reaches both.
    machine.edit_spec("8000", "8100");
    machine.kinfra("apply --update --include-claimed --auto-approve").exits(0);
    run_in(&machine, "~/tree", "claim").exits(0);
    assert!(machine.read(ENV).ends_with("\nWEB_PORT=8101\n"));
    assert!(machine.read(OVERRIDE).ends_with("\nport: 8101\n"));
    run_in(&machine, "~/tree", "release").exits(0);
    assert!(!machine.exists(ENV) && !machine.exists(OVERRIDE));
}

#[test]
fn a_root_that_was_moved_knows_what_it_wrote() {
    let machine = applied();
    run_in(&machine, "~/tree", "claim").exits(0);
    // The env file of another existing pool is foreign to this one.
    machine.kinfra("apply --root ../home/other").exits(0);
    let env = machine.read(ENV);
    let mut other = machine.command("claim --root ../home/other --for ../home/tree");
    crate::support::Run::of(&mut other)
        .exits(4)
        .says("is not as this pool wrote it, and the slot's variables belong there\nhelp: move it away");
    std::fs::rename(machine.path("~/pool"), machine.path("~/moved")).expect("a move");
    machine.edit_spec("~/pool", "~/moved");
    machine.kinfra("apply").exits(0);
    run_in(&machine, "~/tree", "claim").exits(0).prints("is yours already");
    assert_eq!(machine.read(ENV), env.replace("/pool/slot-1", "/moved/slot-1"));
    std::fs::rename(machine.path("~/moved"), machine.path("~/again")).expect("a move");
    machine.edit_spec("~/moved", "~/again");
    machine.kinfra("apply").exits(0);
    run_in(&machine, "~/tree", "release").exits(0).never_says("Left");
    assert!(!machine.exists(ENV));
}

/// Puts an obstacle in the place of a file.
type Spoil = fn(&Machine);

#[test]
fn a_foreign_file_is_never_overwritten() {
    let machine = applied();
    let spoil: [(&str, Spoil); 3] = [
        (
            "is not as this pool wrote it, and the slot's variables belong there\nhelp: move it away",
            |machine| {
                machine.write(ENV, "MINE=1\n");
            },
        ),
        ("is a directory\nhelp: move it away", |machine| {
            fs::create_dir(machine.path(ENV)).expect("a directory");
        }),
        ("is a symbolic link\nhelp: move it away", |machine| {
            symlink(machine.path("~/elsewhere"), machine.path(ENV)).expect("a link");
        }),
    ];
    for (why, spoil) in spoil {
        spoil(&machine);
        let before = machine.tree();
        let refused = run_in(&machine, "~/tree", "claim").exits(4);
        refused.says("nothing was claimed: `").says("/tree/.env.sandbox` ").says(why);
        assert_eq!(machine.tree(), before);
        machine.remove(ENV);
    }
    // The file belongs to the claim of the other pool.
    run_in(&machine, "~/tree", "claim").exits(0);
    let mut other = machine.command("apply --root");
    Run::of(other.arg(machine.path("~/other"))).exits(0);
    let mut other = machine.command("claim --for ../home/tree --root");
    Run::of(other.arg(machine.path("~/other")))
        .exits(4)
        .says("is not as this pool wrote it, and the slot's variables belong there\nhelp: move it away");
}

#[test]
fn changed_files_stay_and_are_named() {
    let machine = applied();
    run_in(&machine, "~/tree", "claim").exits(0);
    let env = machine.read(ENV) + "MINE=1\n";
    machine.write(ENV, &env);
    machine.write(OVERRIDE, "mine\n");
    // The holder keeps the slot, and is told of the changed files.
    let again =
        run_in(&machine, "~/tree", "claim").exits(0).says("/tree/.env.sandbox, which was changed since");
    again.says("/slot-1/docker-compose.override.yml, which was changed since");
    let released =
        run_in(&machine, "~/tree", "release").exits(0).says("/tree/.env.sandbox, which was changed since");
    released.says("/slot-1/docker-compose.override.yml, which was changed since");
    assert_eq!([machine.read(ENV), machine.read(OVERRIDE)], [env, "mine\n".to_owned()]);
    // The next holder's code is mounted, and a copy of the old file is kept.
    fs::create_dir(machine.path("~/next")).expect("a worktree");
    let next = run_in(&machine, "~/next", "claim").exits(0).prints("Claimed slot 1");
    next.says("Kept what was there as ").says("/pool/backups/slot-1/docker-compose.override.yml.");
    assert!(machine.read(OVERRIDE).contains("/next\"\n"));
    let backups = fs::read_dir(machine.path("~/pool/backups/slot-1")).expect("backups");
    let kept: Vec<_> =
        backups.map(|entry| fs::read(entry.expect("an entry").path()).expect("a copy")).collect();
    assert_eq!(kept, [b"mine\n"]);
    // An obstacle that is no file is never moved.
    run_in(&machine, "~/next", "release").exits(0);
    fs::create_dir(machine.path(OVERRIDE)).expect("a directory");
    let why = "its docker-compose.override.yml is not a file\nhelp: move it away";
    run_in(&machine, "~/next", "claim --slot 1").exits(4).says(why);
    run_in(&machine, "~/next", "claim").exits(0).prints("Claimed slot 2");
}

#[test]
fn a_worktree_without_a_slot_gives_back_what_the_registry_forgot() {
    let machine = applied();
    let before = machine.read("~/pool/registry.json");
    run_in(&machine, "~/tree", "claim").exits(0);
    machine.write("~/pool/registry.json", before);
    run_in(&machine, "~/tree", "release").exits(0).prints("` holds no slot\n");
    assert!(!machine.exists(ENV));
    machine.write(ENV, "MINE=1\n");
    run_in(&machine, "~/tree", "release").exits(0);
    assert_eq!(machine.read(ENV), "MINE=1\n");
}

#[test]
fn a_file_of_a_forgotten_claim_is_replaced() {
    let machine = applied();
    run_in(&machine, "~/tree", "claim").exits(0);
    let old = machine.read(ENV);
    run_in(&machine, "~/tree", "release").exits(0);
    machine.write(ENV, &old);
    run_in(&machine, "~/tree", "claim --slot 2").exits(0);
    assert!(machine.read(ENV).starts_with("# Slot 2, "));
    // An empty file, as a power cut leaves it, is replaced, too.
    machine.write(ENV, "");
    machine.write("~/pool/slot-2/docker-compose.override.yml", "");
    run_in(&machine, "~/tree", "claim").exits(0);
    assert!(machine.read(ENV).starts_with("# Slot 2, "));
    assert!(machine.read("~/pool/slot-2/docker-compose.override.yml").ends_with("port: 8002\n"));
}

#[test]
fn a_worktree_that_is_gone_or_closed_does_not_keep_its_slot() {
    let machine = applied();
    run_in(&machine, "~/tree", "claim").exits(0);
    machine.remove("~/tree");
    machine.kinfra("release 1 --force").exits(0);
    assert!(!machine.exists(OVERRIDE) && !machine.exists("~/tree"));
    run_in(&machine, ".", "claim").exits(0).prints("Claimed slot 1");
}

#[test]
fn the_list_that_hides_the_file_is_the_one_that_git_reads_and_no_link() {
    let machine = applied();
    let main = machine.path("~/main");
    fs::create_dir(&main).expect("a repository");
    machine.repository(&main);
    machine.write("~/apart/.git", format!("gitdir: {}\n", main.join(".git").display()));
    machine.write("~/main/.git/info/exclude", "mine\n");
    run_in(&machine, "~/apart", "claim").exits(0);
    assert_eq!(machine.read("~/main/.git/info/exclude"), "mine\n.env.sandbox\n.env.sandbox.kinfra-tmp\n");
    run_in(&machine, "~/apart", "release").exits(0);
    machine.write("~/theirs", "theirs\n");
    machine.remove("~/main/.git/info/exclude");
    symlink(machine.path("~/theirs"), main.join(".git/info/exclude")).expect("a link");
    run_in(&machine, "~/apart", "claim").exits(0);
    assert_eq!(machine.read("~/theirs"), "theirs\n");
}

#[test]
fn git_does_not_see_the_file_in_any_worktree() {
    let machine = applied();
    let main = machine.path("~/main");
    fs::create_dir(&main).expect("a repository");
    machine.repository(&main);
    machine.git(&main, "worktree add --quiet ../linked");
    machine.write("~/main/.git/info/exclude", "no newline");
    for (dir, slot) in [("~/linked", "slot 1"), ("~/main", "slot 2")] {
        run_in(&machine, dir, "claim").exits(0).prints(slot);
        assert_eq!(machine.git(machine.path(dir), "status --porcelain"), "", "{dir}");
    }
    let exclude = "no newline\n.env.sandbox\n.env.sandbox.kinfra-tmp\n";
    assert_eq!(machine.read("~/main/.git/info/exclude"), exclude);
    // A branch that ignores nothing, and a commit of everything.
    machine.git(machine.path("~/linked"), "add --all");
    assert_eq!(machine.git(machine.path("~/linked"), "ls-files"), "");
}

#[test]
fn a_branch_without_the_spec_completes_its_claim_from_the_one_that_was_applied() {
    let machine = applied();
    run_in(&machine, "~/tree", "claim").exits(0);
    machine.remove(OVERRIDE);
    let mut again = machine.command("claim");
    Run::of(again.current_dir(machine.path("~/tree"))).exits(0).prints("is yours already");
    assert!(machine.exists(OVERRIDE));
    // If that spec is gone, too, the files stay as they are.
    fs::rename(machine.path("slots.toml"), machine.path("moved.toml")).expect("a moved spec");
    let mut again = machine.command("claim");
    Run::of(again.current_dir(machine.path("~/tree"))).exits(0);
    assert!(machine.exists(OVERRIDE));
    let mut release = machine.command("release");
    Run::of(release.current_dir(machine.path("~/tree"))).exits(0);
    assert!(!machine.exists(OVERRIDE) && !machine.exists(ENV));
}

#[test]
fn any_path_works() {
    let machine = applied();
    for name in
        ["two words", "it's", "\"quoted\"", "$HOME", "a#b", "größe", "new\nline", "back\\slash", "tab\there"]
    {
        let dir = format!("~/{name}");
        fs::create_dir(machine.path(&dir)).expect("a worktree");
        run_in(&machine, &dir, "claim").exits(0);
        let json = run_in(&machine, &dir, "env --format json").exits(0);
        let document: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
        assert_eq!(document["variables"]["WEB_PORT"], "8001", "{name:?}");
        assert_eq!(machine.read(&format!("{dir}/.env.sandbox")).lines().count(), 2, "{name:?}");
        run_in(&machine, &dir, "release").exits(0);
        assert_eq!(fs::read_dir(machine.path(&dir)).expect("a directory").count(), 0, "{name:?}");
    }
}

#[test]
fn mistakes_in_what_a_claim_writes_are_found_by_plan() {
    let machine = applied();
    machine.template("override.yml", "{{ wortree }}\n");
    let run =
        machine.kinfra("plan").exits(65).says("`wortree` is not defined").says("templates/override.yml");
    run.says("did you mean `worktree`");
    // `worktree` is defined only in files that a claim writes.
    machine.template("override.yml", "");
    machine.template("env", "{{ worktree }}\n");
    machine.kinfra("plan").exits(65).says("`worktree` is not defined");
}

#[test]
fn a_claim_that_cannot_write_says_so_and_is_completed_by_the_next() {
    let machine = applied();
    machine.template("override.yml", "{{ 'x' * 200000 }}");
    let run = limited(&machine, 60, "claim").exits(1);
    run.says("error: slot 1 is claimed, but not all of its files are written: ")
        .says("File too large")
        .says("\nhelp: mend that, and run again: it writes what is missing\n");
    machine.kinfra("claim").exits(0).prints("is yours already");
    assert_eq!(machine.read(OVERRIDE).len(), 200_000);
}

/// Runs a verb that may write no file of more than so many blocks.
fn limited(machine: &Machine, blocks: u32, verb: &str) -> Run {
    let mut shell = machine.program("sh");
    let line = format!("ulimit -f {blocks}; exec \"$0\" {verb}");
    Run::of(shell.args(["-c", &line, env!("CARGO_BIN_EXE_kinfra")]))
}

#[test]
fn a_run_that_cannot_write_gives_its_slot_back() {
    let machine = applied();
    machine.template("override.yml", "{{ 'x' * 200000 }}");
    let run = limited(&machine, 60, "run --no-up -- true").exits(1);
    run.says("error: slot 1 is not claimed: not all of its files could be written: ")
        .says("File too large")
        .says("\nhelp: mend that, and run again\n");
    assert!(!machine.exists(OVERRIDE) && !machine.exists(".env.sandbox"));
    machine.kinfra("run --no-up -- true").exits(0).says("Claimed slot 1");
}

#[test]
fn a_claim_whose_end_cannot_be_saved_is_said_to_go_on_without_its_files() {
    let machine = applied();
    machine.repository(machine.project());
    let said = "error: slot 1 stays claimed, without its files in the worktree: ";
    let advice = "\nhelp: mend that; then run again, or have the files back with `kinfra claim`\n";
    machine.kinfra("claim").exits(0);
    let whole = machine.read(".env.sandbox");
    limited(&machine, 0, "release").exits(1).says(said).says(advice);
    assert!(!machine.exists(".env.sandbox"));
    machine.kinfra("claim").exits(0).prints("is yours already");
    assert_eq!(machine.read(".env.sandbox"), whole);
    machine.kinfra("release").exits(0);
    let gone = machine.worktree("gone");
    Run::of(machine.command("claim").current_dir(&gone)).exits(0);
    machine.git(machine.project(), &format!("worktree remove --force {}", gone.display()));
    limited(&machine, 0, "reap --auto-approve").exits(1).says(said).says(advice);
    machine.kinfra("reap --auto-approve").exits(0).says("1 released");
}
