//! `kinfra plan`: shows every difference and what would resolve it. Writes nothing.

use crate::support::{Machine, Run, Running, SMALL};

#[test]
fn a_clean_machine_would_get_every_slot() {
    let machine = Machine::small();
    let plan = machine.kinfra("plan").exits(0).says("Using ");
    plan.prints_exactly(
        "  + Would create slot 1 (only) at ~/pool/slot-1
      ports    WEB=8001
  + Would create slot 2 (only) at ~/pool/slot-2
      ports    WEB=8002
  Files of each slot in ~/pool: conf.txt

Plan: 2 to add, 0 to change, 0 to destroy.
",
    );
    assert!(machine.tree().is_empty());
}

#[test]
fn the_output_says_which_spec_was_read() {
    let machine = Machine::small();
    let project = machine.project();
    machine.kinfra("plan").says(&format!("Using {}/slots.toml\n", project.display()));
    Machine::new().kinfra("plan").says("Using the embedded slots.toml\n");
}

#[test]
fn dry_run_prints_what_plan_prints_and_writes_nothing() {
    let machine = Machine::small();
    let plan = machine.kinfra("plan").exits(0).stdout;
    machine.kinfra("apply --dry-run").exits(0).prints_exactly(&plan);
    machine.kinfra("sandbox provision --dry-run").exits(0).prints_exactly(&plan);
    assert!(machine.tree().is_empty());
}

#[test]
fn an_applied_pool_has_no_differences() {
    let machine = Machine::small();
    machine.kinfra("plan --detailed-exitcode").exits(2);
    machine.kinfra("apply").exits(0);
    machine.kinfra("plan --detailed-exitcode").exits(0).prints_exactly(
        "No changes: all 2 slots are as slots.toml says.
",
    );
}

#[test]
fn reading_never_writes() {
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    machine.remove("~/pool/.lock");
    machine.write("~/pool/.tmp/left-over", "");
    let before = machine.tree();
    for verb in ["plan", "apply --dry-run", "slots", "slots --json", "ports", "ports --json", "validate"] {
        machine.kinfra(verb).exits(0);
    }
    assert_eq!(machine.tree(), before);
}

/// A change to an applied pool of two slots, and the first and last lines of the plan that follows.
struct Case {
    what: &'static str,
    damage: fn(&Machine),
    first: &'static str,
    last: &'static str,
}

const CASES: [Case; 10] = [
    Case {
        what: "a file is gone",
        damage: |machine| machine.remove("~/pool/slot-1/conf.txt"),
        first: "  ~ Would restore slot 1: conf.txt",
        last: "Plan: 0 to add, 1 to change, 0 to destroy.",
    },
    Case {
        what: "a directory is gone",
        damage: |machine| machine.remove("~/pool/slot-1"),
        first: "  ~ Would restore slot 1: conf.txt",
        last: "Plan: 0 to add, 1 to change, 0 to destroy.",
    },
    Case {
        what: "a file was edited by hand",
        damage: |machine| machine.write("~/pool/slot-1/conf.txt", "mine\n"),
        first: "  ! Slot 1: conf.txt was edited by hand (--overwrite)",
        last: "Blocked: 1 to change (--overwrite).",
    },
    Case {
        what: "the mode of a file was changed",
        damage: |machine| machine.set_mode("~/pool/slot-1/conf.txt", 0o644),
        first: "  ! Slot 1: conf.txt has mode 0644 (--update)",
        last: "Blocked: 1 to change (--update).",
    },
    Case {
        what: "the template changed",
        damage: |machine| machine.template("conf.txt", "new"),
        first: "  ! Slots 1-2: conf.txt differs from slots.toml (--update)",
        last: "Blocked: 2 to change (--update).",
    },
    Case {
        what: "the base of the port changed",
        damage: |machine| machine.edit_spec("web = 8000", "web = 8100"),
        first: "  ! Slot 1: ports.web 8001 → 8101, conf.txt differs from slots.toml (--update)",
        last: "Blocked: 2 to change (--update).",
    },
    Case {
        what: "the profile was renamed",
        damage: |machine| machine.edit_spec("\"only\"", "\"big\""),
        first: "  ! Slots 1-2: profile only → big (--update)",
        last: "Blocked: 2 to change (--update).",
    },
    Case {
        what: "a file was added to the spec and another dropped",
        damage: |machine| machine.edit_spec("\"conf.txt\" =", "\"app.txt\" ="),
        first: "  ! Slots 1-2: app.txt is not there yet, conf.txt is no longer in slots.toml (--update)",
        last: "Blocked: 2 to change (--update).",
    },
    Case {
        what: "the slot was taken out of the spec",
        damage: |machine| machine.edit_spec("ids = \"1-2\"", "ids = \"2\""),
        first: "  ! Slot 1: no longer in slots.toml (--prune)",
        last: "Blocked: 1 to destroy (--prune).",
    },
    Case {
        what: "a link stands in the place of the directory",
        damage: |machine| {
            machine.remove("~/pool/slot-1");
            std::os::unix::fs::symlink("slot-2", machine.path("~/pool/slot-1")).expect("a link");
        },
        first: "  ! Slot 1: its directory is a symbolic link: move it away",
        last: "All that was asked for is blocked.",
    },
];

#[test]
fn every_difference_is_one_line_with_its_flag() {
    for Case { what, damage, first, last } in CASES {
        let machine = Machine::small();
        machine.kinfra("apply").exits(0);
        damage(&machine);
        let before = machine.tree();
        let plan = machine.kinfra("plan --detailed-exitcode").exits(2).stdout;
        assert_eq!(plan.lines().next(), Some(first), "{what}");
        assert_eq!(plan.lines().last(), Some(last), "{what}");
        assert_eq!(machine.tree(), before, "{what}");
    }
}

#[test]
fn a_claim_is_named_where_it_is_in_the_way() {
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    machine.kinfra("claim --slot 2").exits(0);
    machine.template("conf.txt", "new");
    let holder = machine.project().canonicalize().expect("a project");
    machine.kinfra("plan").prints(&format!(
        "  ! Slot 2: conf.txt differs from slots.toml, held by {} (--update, --include-claimed)\n",
        holder.display()
    ));
    machine.edit_spec("ids = \"1-2\"", "ids = \"1\"");
    machine
        .kinfra("plan")
        .prints(&format!("  ! Slot 2: no longer in slots.toml, held by {}\n", holder.display()));
}

#[test]
fn a_slot_that_kinfra_did_not_write_is_skipped_and_says_what_differs() {
    let machine = Machine::small();
    machine.write("~/pool/slot-1/conf.txt", "foreign");
    machine.write("~/pool/slot-2/conf.txt", "slot 2 on 8002\n");
    machine.set_mode("~/pool/slot-2/conf.txt", 0o600);
    machine.kinfra("plan").exits(0).prints_exactly(
        "  ! Slot 1: already exists, skipping: conf.txt differs (--overwrite)
  + Would adopt slot 2 (only) at ~/pool/slot-2

Plan: 1 to add, 0 to change, 0 to destroy.
Blocked: 1 to change (--overwrite).
",
    );
}

#[test]
fn a_port_that_an_old_entry_keeps_is_not_given_away() {
    let machine = Machine::small();
    machine.spec(&SMALL.replace("1-2", "1-3"));
    machine.kinfra("apply").exits(0);
    machine.spec(&SMALL.replace("1-2", "1-4").replace("8000", "7999"));
    let plan = machine.kinfra("plan").exits(0);
    plan.prints("  ! Slot 4: WEB 8003 is still slot 3's (--update)\n")
        .prints("1 to add (--update), 3 to change");
    machine.kinfra("apply").exits(4).says("Apply refused: all that was asked for is blocked.");
    assert!(!machine.exists("~/pool/slot-4"));
    assert_eq!(machine.read("~/pool/registry.json").matches("\"web\": 8003").count(), 1);
}

#[test]
fn a_closed_pipe_is_no_error() {
    let machine = Machine::new();
    let mut command = machine.command("plan");
    let mut child = Running::start(command.stdout(std::process::Stdio::piped()));
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("kinfra ends").code(), Some(0));
}

#[test]
fn colour_only_where_it_is_wanted() {
    let machine = Machine::small();
    machine.kinfra("plan").never_says("\u{1b}");
    let forced = |no_color: &str| {
        let mut command = machine.command("plan");
        command.env("CLICOLOR_FORCE", "1").env("NO_COLOR", no_color);
        Run::of(&mut command).exits(0).stdout
    };
    assert!(forced("").contains("\u{1b}[32m+"));
    assert!(!forced("1").contains('\u{1b}'));
}

#[test]
fn a_long_plan_is_a_line_for_each_profile_and_what_happens_to_it() {
    let machine = Machine::small();
    let spec = "[[profiles]]\nname = \"big\"\n\n[[slots]]\nids = \"801-1000\"\nprofile = \"big\"\n\n[files]";
    machine.edit_spec("[files]", spec);
    machine.edit_spec("1-2", "1-800");
    let lines = |run: &Run| run.stdout.lines().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(
        lines(&machine.kinfra("plan").exits(0)),
        [
            "  + Would create 800 slots (only): 1-800",
            "  + Would create 200 slots (big): 801-1000",
            "  Each slot by itself: -v",
            "  Files of each slot in ~/pool: conf.txt",
            "",
            "Plan: 1000 to add, 0 to change, 0 to destroy.",
        ]
    );
    assert_eq!(lines(&machine.kinfra("plan -v").exits(0)).len(), 2000 + 3);
    machine.kinfra("apply --only 1-100").exits(0).says("Created slot 100").prints("Would create slot 100 ");
    let apply =
        machine.kinfra("apply").exits(0).says("Created 900 slot(s)\n").never_says("Created slot 101 ");
    apply.says("Skipped 100 existing slot(s)\n");
    machine.write("~/pool/slot-7/conf.txt", "mine\n");
    machine.remove("~/pool/slot-9/conf.txt");
    machine.edit_spec("1-800", "1-790");
    machine.edit_spec("801-1000", "791,801-1000");
    let rest = "(only): 1-6,8,10-790";
    assert_eq!(
        lines(&machine.kinfra("plan --out plan").exits(0)),
        [
            &format!("  = 788 slots {rest}").replace("(only)", "(only) already exist, skipping"),
            "  ! 1 slot (only) blocked (--overwrite): 7",
            "  ~ Would restore 1 slot (only): 9",
            "  ! 1 slot (big) blocked (--update): 791",
            "  ! 9 slots blocked (--prune): 792-800",
            "  = 200 slots (big) already exist, skipping: 801-1000",
            "  Each slot by itself: -v",
            "",
            "Plan: 0 to add, 1 to change, 0 to destroy.",
            "Blocked: 2 to change (--update, --overwrite), 9 to destroy (--prune).",
        ]
    );
    machine.kinfra("show plan").exits(0).prints("\n  ~ Would restore 1 slot (only): 9\n");
    machine.kinfra("show plan --verbose").exits(0).prints("\n  ~ Would restore slot 9: conf.txt\n");
    let verbose = machine
        .kinfra("plan --verbose")
        .exits(0)
        .prints("  ! Slots 792-800: no longer in slots.toml (--prune)\n");
    verbose.never_says("Each slot by itself");
}
