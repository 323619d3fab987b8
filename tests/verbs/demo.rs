//! `kinfra demo`

use std::fs;

use crate::support::{Machine, Run};

#[test]
fn a_demo_is_a_repository_whose_pool_can_be_applied() {
    let machine = Machine::new();
    let other = machine.path("~/other");
    fs::create_dir(&other).expect("a directory");
    for top in [machine.project(), other] {
        let demo = top.join("try/it");
        let made = Run::of(machine.command("demo try/it").current_dir(&top)).exits(0);
        made.prints("a repository with a stack of `busybox`. Try:\n  cd try/it\n")
            .prints("  kinfra start blue ");
        assert_eq!(machine.git(&demo, "status --porcelain"), "");
        // The second one is another pool, on ports of its own.
        Run::of(machine.command("apply").current_dir(&demo)).exits(0).says("4 added");
    }
}

#[test]
fn a_demo_writes_into_no_directory_that_has_something() {
    let machine = Machine::new();
    machine.write("used/file", "mine");
    let before = machine.tree();
    machine.kinfra("demo used").exits(4).says("used` is not empty").says("help: name another directory");
    machine.kinfra("demo used/file").exits(1).says("could not look at");
    assert_eq!(machine.tree(), before);
}
