//! Worktrees of branches without `slots.toml`, or with another one than the pool was applied from.

use crate::support::{Machine, Run, SMALL};

/// The main worktree `~/shop` of a repository, whose pool is applied, and the linked worktrees `~/older`, on a
/// branch from before `slots.toml`, and `~/newer`.
fn shop() -> Machine {
    let machine = Machine::new();
    let main = machine.path("~/shop");
    machine.write("~/shop/README", "shop\n");
    machine.repository(&main);
    machine.git(&main, "worktree add --quiet -b older ../older");
    machine.write("~/shop/slots.toml", SMALL);
    machine.write("~/shop/templates/conf.txt", "slot {{ slot.id }}\n");
    machine.git(&main, "add --all");
    machine.git(&main, "commit --quiet --message pool");
    machine.git(&main, "worktree add --quiet -b newer ../newer");
    run_in(&machine, "~/shop", "apply").exits(0).says("Using ~/shop/slots.toml\n");
    machine
}

fn run_in(machine: &Machine, dir: &str, arguments: &str) -> Run {
    Run::of(machine.command(arguments).current_dir(machine.path(dir))).never_says("panicked")
}

const USING: &str = "Using ~/shop/slots.toml, this repository's pool: no slots.toml is here\n";

#[test]
fn a_branch_without_a_spec_uses_the_pool_of_its_repository() {
    let machine = shop();
    machine.write("~/older/src/main.c", "");
    for dir in ["~/older", "~/older/src"] {
        run_in(&machine, dir, "plan --detailed-exitcode").exits(0).says(USING);
        run_in(&machine, dir, "slots").exits(0).says(USING).prints("-");
        run_in(&machine, dir, "ports").exits(0).prints("8001");
        run_in(&machine, dir, "validate").says(USING);
    }
    run_in(&machine, "~/older/src", "claim").exits(0).says(USING).prints("Claimed slot 1 (only)");
    run_in(&machine, "~/older", "status").exits(0).prints("Slot 1 (only) is yours");
    run_in(&machine, "~/older", "env").exits(0).prints("'small-slot-1'");
    run_in(&machine, "~/older", "release").exits(0).prints("Released slot 1");
    // Also from elsewhere, where another pool is.
    machine.spec(&SMALL.replace("small", "other").replace("~/pool", "~/other").replace("8000", "9000"));
    machine.template("conf.txt", "x\n");
    machine.kinfra("apply").exits(0);
    machine.kinfra("claim --for ../home/older").exits(0).says(USING).prints("~/pool/slot-1");
    // What is named comes first.
    let spec = machine.path("slots.toml");
    run_in(&machine, "~/older", &format!("plan --spec {}", spec.display()))
        .exits(0)
        .never_says("no slots.toml");
}

#[test]
fn a_directory_of_the_repository_prefers_the_spec_in_the_same_place() {
    let machine = shop();
    for dir in ["~/shop/web", "~/shop/db"] {
        let pool = dir.trim_start_matches("~/shop/");
        let spec = SMALL.replace("small", pool).replace("~/pool", &format!("~/{pool}"));
        let spec = spec.replace("8000", if pool == "web" { "8100" } else { "8200" });
        machine.write(&format!("{dir}/slots.toml"), spec);
        machine.write(&format!("{dir}/templates/conf.txt"), "x\n");
        run_in(&machine, dir, "apply").exits(0);
        machine.write(&format!("~/older/{pool}/main.c"), "");
    }
    run_in(&machine, "~/older/web", "plan").exits(0).says("Using ~/shop/web/slots.toml, ");
    run_in(&machine, "~/older", "plan").exits(0).says(USING);
    machine.remove("~/shop/slots.toml");
    let several = run_in(&machine, "~/older", "plan").exits(65);
    several
        .says("no slots.toml is here, and this repository has applied `")
        .says("help: name one of them with --spec");
    machine.remove("~/shop/web/slots.toml");
    run_in(&machine, "~/older", "plan").exits(0).says("Using ~/shop/db/slots.toml, ");
}

#[test]
fn another_repository_has_nothing_to_do_with_it() {
    let machine = shop();
    machine.write("~/toys/README", "toys\n");
    machine.git(machine.path("~/toys"), "init --quiet");
    machine.write("~/plain/README", "plain\n");
    for dir in ["~/toys", "~/plain"] {
        run_in(&machine, dir, "slots").exits(0).says("creates those of the embedded slots.toml\n");
    }
}

#[test]
fn a_branch_with_another_spec_is_told_so_at_claim() {
    let machine = shop();
    let note = "note: slots.toml here is not the one that the pool was applied from, ~/shop/slots.toml\n\
                help: `kinfra plan` shows how the pool differs from the one here\n";
    run_in(&machine, "~/newer", "claim").exits(0).never_says("note:");
    machine.write("~/newer/slots.toml", SMALL.replace("1-2", "1-3"));
    run_in(&machine, "~/newer", "plan").exits(0).prints("slot 3");
    // Also for the holder, and from elsewhere.
    run_in(&machine, "~/newer", "claim").exits(0).says(note).prints("is yours already");
    run_in(&machine, "~/newer", "release").exits(0);
    run_in(&machine, "~/newer", "claim").exits(0).says(note).prints("Claimed slot 1");
    machine.kinfra("claim --for ../home/newer").exits(0).says(note);
    // A named spec is meant. The main worktree has the one that was applied.
    run_in(&machine, "~/newer", "claim --spec slots.toml").exits(0).never_says("note:");
    run_in(&machine, "~/shop", "claim").exits(0).never_says("note:");
    machine.remove("~/shop/slots.toml");
    run_in(&machine, "~/newer", "claim").exits(0).never_says("note:");
}

#[test]
fn the_embedded_pool_is_claimed_where_it_is_used_or_by_its_flag() {
    let machine = Machine::new();
    let unused = "no slots.toml is here, and this repository has not used the embedded pool\nhelp: ";
    for dir in ["~/first", "~/second"] {
        machine.write(&format!("{dir}/README"), "x\n");
        let dir = machine.path(dir);
        machine.repository(&dir);
    }
    machine.git(machine.path("~/first"), "worktree add --quiet ../first-fix");
    machine.git(machine.path("~/second"), "worktree add --quiet ../second-fix");
    run_in(&machine, "~/first", "claim")
        .exits(3)
        .says("there is no pool of the embedded slots.toml in ")
        .says("`kinfra apply` creates the embedded pool");
    run_in(&machine, "~/first", "claim --embedded").exits(3).says("help: `kinfra apply` creates it");
    run_in(&machine, "~/first", "apply").exits(0);
    run_in(&machine, "~/first-fix", "claim").exits(0).prints("Claimed slot 1");
    let before = machine.tree();
    run_in(&machine, "~/second", "claim").exits(4).says(unused).says("--embedded");
    run_in(&machine, "~/second-fix", "claim").exits(4).says(unused);
    assert_eq!(machine.tree(), before);
    run_in(&machine, "~/second-fix", "claim --embedded").exits(0).prints("Claimed slot 2");
    // It holds one, and it held one.
    run_in(&machine, "~/second", "claim").exits(0).prints("Claimed slot 3");
    run_in(&machine, "~/second", "release").exits(0);
    run_in(&machine, "~/second-fix", "release").exits(0);
    run_in(&machine, "~/second", "claim").exits(0).prints("Claimed slot 2");
    // The next apply knows it still.
    run_in(&machine, "~/second", "release").exits(0);
    run_in(&machine, "~/first", "apply").exits(0);
    run_in(&machine, "~/second-fix", "claim").exits(0);
}

#[test]
fn a_holder_whose_pool_an_older_kinfra_applied_keeps_the_embedded_pool() {
    let machine = Machine::new();
    machine.write("README", "x\n");
    machine.repository(machine.project());
    machine.git(machine.project(), "worktree add --quiet ../fix");
    machine.kinfra("apply").exits(0);
    machine.kinfra("claim").exits(0).prints("Claimed slot 1");
    // Forget what the index knows of repositories.
    let index = std::fs::read_dir(machine.path("~/.local/state/kinfra/pools")).expect("an index");
    let paths = index.map(|entry| entry.expect("an entry").path());
    for path in paths.filter(|path| path.extension().is_some()) {
        let text = std::fs::read_to_string(&path).expect("text");
        let mut entry: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert!(entry.as_object_mut().expect("an entry").remove("repositories").is_some(), "{text}");
        std::fs::write(&path, format!("{entry:#}\n")).expect("a written file");
    }
    machine.kinfra("claim").exits(0).prints("is yours already");
    run_in(&machine, "../fix", "claim").exits(0).prints("Claimed slot 2");
}

#[test]
fn a_claim_says_where_the_spec_of_its_repository_is() {
    let machine = shop();
    machine.remove("~/shop/slots.toml");
    run_in(&machine, "~/older", "claim").exits(4)
        .says("error: branch `older` has no slots.toml. `~/shop/slots.toml`, which this repository applied, is not there now\nhelp: check out a branch that has it in `~/shop`, or name another with --spec");
    let fresh = Machine::new();
    fresh.write("~/shop/README", "shop\n");
    let main = fresh.path("~/shop");
    fresh.repository(&main);
    fresh.git(&main, "worktree add --quiet ../older");
    fresh.write("~/shop/slots.toml", SMALL);
    run_in(&fresh, "~/older", "claim")
        .exits(4)
        .says(
            "error: branch `older` has no slots.toml. `~/shop/slots.toml` is not committed, and was not applied yet\n\
             help: run `kinfra apply` in `~/shop`, then again here; commit it, and other branches can have it\n",
        );
    // Nor is the embedded pool created there by mistake, unless that is said.
    for verb in ["plan", "apply"] {
        run_in(&fresh, "~/older", verb).exits(4).says("error: branch `older` has no slots.toml. `~/shop/");
    }
    fresh.git(&main, "add slots.toml");
    run_in(&fresh, "~/older", "claim").exits(4).says("`~/shop/slots.toml` was not applied yet\n");
    // A linked worktree may have it alone.
    std::fs::rename(main.join("slots.toml"), fresh.path("~/older/slots.toml")).expect("a move");
    run_in(&fresh, "~/shop", "claim").exits(4).says("`~/older/slots.toml` was not applied yet\n");
}
