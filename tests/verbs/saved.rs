//! Saved plans: reviewed now, applied later, and refused as a whole if anything that they depend on changed.

use std::fs;

use serde_json::Value;

use crate::support::{Machine, Run, SMALL};
use crate::verbs::doctor::fake_docker;

/// An applied pool of slots 1 to 3, each with its port in a file.
fn applied() -> Machine {
    let machine = Machine::small();
    machine.edit_spec("1-2", "1-3");
    machine.kinfra("apply").exits(0);
    machine
}

fn claim(machine: &Machine, slot: u16) {
    let dir = machine.path(&format!("~/tree-{slot}"));
    fs::create_dir_all(&dir).expect("a worktree");
    machine.kinfra(&format!("claim --slot {slot} --for {}", dir.display())).exits(0);
}

/// A row's change to an applied pool.
type Edit = fn(&Machine);

/// Everything that can happen to a pool between two applies.
const TABLE: [(&str, Edit); 19] = [
    ("nothing", |_| {}),
    ("slot added", |machine| machine.edit_spec("1-3", "1-4")),
    ("slot removed, free", |machine| machine.edit_spec("1-3", "1-2")),
    ("slot removed, claimed", |machine| {
        machine.edit_spec("1-3", "1-2");
        claim(machine, 3);
    }),
    ("slot removed, running", |machine| {
        machine.edit_spec("1-3", "1-2");
        machine.write("~/projects", "small-slot-3");
    }),
    ("slot removed, directory with foreign files", |machine| {
        machine.edit_spec("1-3", "1-2");
        machine.write("~/pool/slot-3/data/notes.txt", "mine\n");
    }),
    ("profile changed, free", change_profile),
    ("profile changed, claimed", |machine| {
        change_profile(machine);
        claim(machine, 3);
    }),
    ("port base changed", |machine| machine.edit_spec("8000", "8100")),
    ("port base changed and pool grown in one edit", |machine| {
        machine.edit_spec("8000", "8003");
        machine.edit_spec("1-3", "1-6");
    }),
    ("base moved by one stride while a slot is claimed", |machine| {
        machine.edit_spec("8000", "8001");
        claim(machine, 2);
    }),
    ("template changed", |machine| machine.template("conf.txt", "new {{ ports.web }}\n")),
    ("file deleted", |machine| machine.remove("~/pool/slot-2/conf.txt")),
    ("file edited by hand", |machine| machine.write("~/pool/slot-2/conf.txt", "mine\n")),
    ("both edited and changed", |machine| {
        machine.write("~/pool/slot-2/conf.txt", "mine\n");
        machine.template("conf.txt", "new {{ ports.web }}\n");
    }),
    ("registry entry deleted", |machine| {
        let text = machine.read("~/pool/registry.json");
        let mut registry: Value = serde_json::from_str(&text).expect("JSON");
        registry["slots"].as_object_mut().expect("slots").remove("2");
        machine.write("~/pool/registry.json", format!("{registry:#}\n"));
    }),
    ("directory deleted", |machine| machine.remove("~/pool/slot-2")),
    ("directory deleted and template changed", |machine| {
        machine.remove("~/pool/slot-2");
        machine.template("conf.txt", "new {{ ports.web }}\n");
    }),
    ("root changed", |machine| machine.edit_spec("~/pool", "~/elsewhere")),
];

fn change_profile(machine: &Machine) {
    machine
        .edit_spec("name = \"only\"", "name = \"only\"\n[[profiles]]\nname = \"big\"\nworkers = { job = 4 }");
    machine.edit_spec("ids = \"1-3\"", "ids = \"3\"\nprofile = \"big\"\n[[slots]]\nids = \"1-2\"");
}

/// Runs kinfra with a stand-in for Docker that has the row's containers.
fn run(machine: &Machine, arguments: &str) -> Run {
    let projects = if machine.exists("~/projects") { machine.read("~/projects") } else { String::new() };
    let mut command = machine.command(arguments);
    Run::of(command.env("PATH", fake_docker()).env("CONTAINERS", projects)).never_says("panicked")
}

/// Everything in a home, without paths and times, which differ between two machines.
fn comparable(machine: &Machine) -> Vec<(String, String)> {
    let (home, project) = (machine.home().display().to_string(), machine.project().display().to_string());
    let name = |path: &str| match path.split_once("/backups/") {
        Some((_, copy)) => format!("~/backups/{}", copy.split(".20").next().unwrap_or(copy)),
        None => path.replace(&home, "~"),
    };
    let text = |text: &str| {
        let is_own = |line: &&str| {
            let own = [
                "\"claimed_at\"",
                "\"claimed_place\"",
                "\"claimed_above\"",
                "\"claimed_repository\"",
                "\"claim_marked\"",
                "\"claimed_token\"",
                "\"claim_id\"",
                "\".env.sandbox\"",
            ];
            own.iter().any(|key| line.contains(key))
        };
        let lines = text.lines().filter(|line| !is_own(line));
        lines.map(|line| line.replace(&home, "~").replace(&project, ".") + "\n").collect::<String>()
    };
    let tree = machine.tree();
    // The index names pools by the hash of their root, which lies elsewhere on each machine.
    let tree = tree
        .iter()
        .filter(|(path, _)| !path.starts_with(machine.path("~/.local")) && !path.ends_with(".kinfra-claim"));
    tree.map(|(path, state)| (name(&path.display().to_string()), text(state))).collect()
}

/// Runs each row with these flags twice: applied directly, and saved and then applied.
fn table(flags: &str) {
    let mut acted = 0;
    for (row, edit) in TABLE {
        let [directly, from_file] = [applied(), applied()];
        edit(&directly);
        edit(&from_file);
        let what = format!("{row}, {flags}");
        let before = from_file.tree();
        let plan = run(&from_file, &format!("plan {flags} --out ../plan"));
        assert_eq!(plan.stdout, run(&from_file, &format!("plan {flags}")).stdout, "{what}");
        assert_eq!(from_file.tree(), before, "{what}: a plan changes nothing of the pool");
        let direct = run(&directly, &format!("apply --auto-approve {flags}"));
        if row == "root changed" {
            assert_eq!((plan.code, direct.code), (Some(4), Some(4)), "{what}: {direct:#?}");
            plan.says("changed the pool's root, and the pool is still in").says("/pool");
            assert!(!from_file.exists("../plan"), "{what}");
            continue;
        }
        plan.exits(0);
        let shown = run(&from_file, "show ../plan").exits(0);
        assert_eq!(shown.stdout, run(&from_file, &format!("plan {flags}")).stdout, "{what}");
        let saved = run(&from_file, "apply ../plan");
        let is_refused = shown.stdout.ends_with("All that was asked for is blocked.\n");
        let code = Some(if is_refused { 4 } else { 0 });
        assert_eq!((direct.code, saved.code), (code, code), "{what}: {saved:#?}");
        acted += u32::from(from_file.tree() != before);
        assert_eq!(comparable(&from_file), comparable(&directly), "{what}");
        // Afterwards nothing is left to do, except what these flags do not allow.
        let again = run(&from_file, &format!("plan {flags}")).exits(0);
        let is_settled = again.stdout.contains("No changes: ");
        let is_blocked = again.stdout.contains("Plan: 0 to add, 0 to change, 0 to destroy.\nBlocked: ");
        assert!(is_settled || is_blocked, "{what}: {again:#?}");
    }
    assert!(acted >= 5, "only {acted} of the rows changed anything");
}

#[test]
fn a_stack_that_was_started_since_blocks_the_saved_plan() {
    let machine = applied();
    machine.edit_spec("1-3", "1-2");
    run(&machine, "plan --prune --out ../plan").exits(0).prints("Would remove slot 3");
    machine.write("~/projects", "small-slot-3");
    let before = machine.tree();
    // A saved plan is all or nothing.
    let saved = run(&machine, "apply ../plan").exits(4);
    let saved = saved.says("error: the saved plan is blocked: nothing was done\n");
    let saved = saved.says("or plan with --exclude 3\n").says("Slot 3: ").says("it has containers");
    saved.never_says("stale");
    assert_eq!(machine.tree(), before);
}

#[test]
fn every_row_without_a_flag() {
    table("");
}

#[test]
fn every_row_with_update() {
    table("--update");
}

#[test]
fn every_row_with_overwrite() {
    table("--overwrite");
}

#[test]
fn every_row_with_prune() {
    table("--prune");
}

#[test]
fn every_row_with_update_and_include_claimed() {
    table("--update --include-claimed");
}

#[test]
fn every_row_with_every_flag() {
    table("--update --overwrite --prune --include-claimed");
}

#[test]
fn a_plan_is_saved_for_its_owner_only_and_is_the_same_each_time() {
    let machine = applied();
    machine.template("conf.txt", "new {{ ports.web }}\n");
    machine.kinfra("plan --update --out one").exits(0).says("kinfra apply one\n");
    machine.kinfra("plan --update --out two --json").exits(0).prints("\"format_version\"");
    assert_eq!(machine.read("one"), machine.read("two"));
    assert_eq!(machine.mode("one"), 0o600);
    machine.set_mode("one", 0o644);
    machine.kinfra("plan --update --out one").exits(0);
    assert_eq!(machine.mode("one"), 0o600, "the new one replaces the old one");
    let names = fs::read_dir(machine.project()).expect("a project").count();
    assert_eq!(names, 4, "slots.toml, templates and two plans");
    let shown = machine.kinfra("show one").exits(0).prints("  ~ Would update slot 2: conf.txt\n");
    shown.says("/slots.toml\n");
    let json = machine.kinfra("show one --json").exits(0);
    json.prints_exactly(&machine.kinfra("plan --update --json").stdout);
    // It has the spec's path, so it can be applied from any directory.
    let mut elsewhere = machine.command("apply ../project/one");
    Run::of(elsewhere.current_dir(machine.home())).exits(0).says("Updated 3 slots");
}

#[test]
fn secrets_are_in_no_saved_plan() {
    let machine = applied();
    machine
        .edit_spec("[files]", "[env]\nPASSWORD = { value = \"correct horse\", sensitive = true }\n\n[files]");
    machine.template("conf.txt", "{{ env.PASSWORD }} {{ ports.web }}\n");
    machine.kinfra("plan --update --out plan").exits(0);
    assert!(!machine.read("plan").contains("correct horse"));
    machine.kinfra("apply plan").exits(0);
    assert_eq!(machine.read("~/pool/slot-1/conf.txt"), "correct horse 8001\n");
}

/// A plan that updates slots 1 to 3 and creates slot 4.
fn planned() -> Machine {
    let machine = applied();
    machine.edit_spec("1-3", "1-4");
    machine.template("conf.txt", "new {{ ports.web }}\n");
    machine.kinfra("plan --update --out plan").exits(0);
    machine
}

fn edit_entry(machine: &Machine, slot: &str, edit: impl FnOnce(&mut Value)) {
    let text = machine.read("~/pool/registry.json");
    let mut registry: Value = serde_json::from_str(&text).expect("JSON");
    edit(&mut registry["slots"][slot]);
    machine.write("~/pool/registry.json", format!("{registry:#}\n"));
}

#[test]
fn a_removal_depends_on_who_holds_the_slot_and_on_all_that_is_in_it() {
    let rows: [(Edit, &str); 3] = [
        (|machine| claim(machine, 3), "\n  slot 3: held by: nothing → "),
        (
            |machine| machine.write("~/pool/slot-3/notes.txt", "mine\n"),
            "\n  slot 3: notes.txt on disk: nothing → not kinfra's\n",
        ),
        (
            |machine| edit_entry(machine, "3", |entry| entry["files"] = serde_json::json!({})),
            "\n  slot 3: conf.txt in the registry: sha256 ",
        ),
    ];
    for (edit, line) in rows {
        let machine = applied();
        machine.edit_spec("1-3", "1-2");
        machine.kinfra("plan --prune --out plan").exits(0);
        edit(&machine);
        let before = machine.tree();
        machine.kinfra("apply plan").exits(4).says(line);
        assert_eq!(machine.tree(), before, "{line:?}");
    }
}

#[test]
fn a_stale_plan_does_nothing_and_lists_what_changed() {
    let rows: [(Edit, &str); 15] = [
        (|machine| machine.edit_spec("\"small\"", "\"other\""), "\n  the pool: name: small → other\n"),
        (
            |machine| machine.edit_spec("name = \"only\"", "name = \"only\"\nworkers = { job = 4 }"),
            "\n  slots 1-4: workers.job in slots.toml: nothing → 4\n",
        ),
        (
            |machine| edit_entry(machine, "2", |entry| entry["workers"]["job"] = 7.into()),
            "\n  slot 2: workers.job in the registry: nothing → 7\n",
        ),
        (
            |machine| edit_entry(machine, "2", |entry| entry["infrastructure_path"] = "/x".into()),
            "\n  slot 2: infrastructure_path in the registry: ",
        ),
        (
            |machine| {
                edit_entry(machine, "2", |entry| {
                    entry["pending"] = serde_json::json!({ "files": entry["files"] });
                });
            },
            "\n  slot 2: unfinished: nothing → a change\n",
        ),
        (|machine| machine.write("~/pool/slot-4", "in the way"), "\n  slot 4: directory: nothing → a file\n"),
        (
            |machine| machine.write("~/pool/slot-4/conf.txt/in", "the way"),
            "\n  slot 4: conf.txt on disk: nothing → a directory\n",
        ),
        (|machine| machine.edit_spec("8000", "8100"), "\n  slot 2: ports.web in slots.toml: 8002 → 8102\n"),
        (|machine| machine.edit_spec("1-4", "1-5"), "\n  slot 5: profile in slots.toml: nothing → only"),
        (|machine| machine.edit_spec("1-4", "1-3"), "\n  slot 4: profile in slots.toml: only → nothing"),
        (|machine| machine.template("conf.txt", "newer\n"), "\n  slot 1: conf.txt in slots.toml: sha256 "),
        (
            |machine| machine.write("~/pool/slot-2/conf.txt", "mine\n"),
            "\n  slot 2: conf.txt on disk: sha256 ",
        ),
        (|machine| machine.set_mode("~/pool/slot-2/conf.txt", 0o640), " with mode 0640"),
        (
            |machine| machine.write("~/pool/slot-4/conf.txt", "mine\n"),
            "\n  slot 4: conf.txt on disk: nothing → ",
        ),
        (|machine| claim(machine, 3), "\n  slot 3: held by: nothing → "),
    ];
    for (edit, line) in rows {
        let machine = planned();
        edit(&machine);
        let before = machine.tree();
        machine
            .kinfra("apply plan")
            .exits(4)
            .says("the saved plan is stale: nothing was done\n")
            .says("\nhelp: plan again\n")
            .says(line);
        let json = machine.kinfra("apply plan --json").exits(4);
        let summary: Value = serde_json::from_str(&json.stdout).expect("a summary");
        assert!(summary["error"].as_str().is_some_and(|error| error.contains(line.trim_end())), "{summary}");
        assert_eq!(machine.tree(), before, "{line:?}");
    }
}

#[test]
fn what_a_plan_does_not_depend_on_does_not_make_it_stale() {
    let unrelated: [(&str, &str, Edit); 4] = [
        ("--only 2 --update", "Updated 1 slot", |machine| claim(machine, 1)),
        ("--only 2 --update", "Updated 1 slot", |machine| {
            machine.write("~/pool/slot-1/conf.txt", "mine\n");
        }),
        ("--update --include-claimed", "Updated 3 slots", |machine| claim(machine, 1)),
        ("", "Restored 1 slot", |machine| claim(machine, 3)),
    ];
    for (flags, done, edit) in unrelated {
        let machine = applied();
        if flags.is_empty() {
            machine.remove("~/pool/slot-2/conf.txt");
        } else {
            machine.template("conf.txt", "new {{ ports.web }}\n");
        }
        machine.kinfra(&format!("plan {flags} --out plan")).exits(0);
        edit(&machine);
        machine.kinfra("apply plan").exits(0).says(done);
    }
    // Creating a slot disturbs no holder, so a claim made meanwhile does not block it.
    let machine = applied();
    machine.edit_spec("1-3", "1-4");
    machine.kinfra("plan --out plan").exits(0);
    claim(&machine, 1);
    machine.kinfra("apply plan").exits(0).says("Created slot 4");
    machine.kinfra("apply plan").exits(4).says("the saved plan was applied already");
    // It is stale if the spec no longer wants it.
    machine.edit_spec("1-4", "1-5");
    machine.kinfra("plan --out plan").exits(0);
    machine.edit_spec("1-5", "1-4");
    machine.kinfra("apply plan").exits(4).says("slot 5: profile in slots.toml: only → nothing");
}

#[test]
fn a_saved_plan_needs_no_flag_and_no_terminal() {
    let machine = planned();
    for flag in
        ["--update", "--overwrite", "--prune", "--include-claimed", "--only 1", "--exclude 1", "--dry-run"]
    {
        machine.kinfra(&format!("apply plan {flag}")).exits(64).says("cannot be used with");
    }
    machine
        .kinfra("apply plan --root ../other")
        .exits(64)
        .says("and --root or KINFRA_ROOT names another\nhelp: leave --root or KINFRA_ROOT out\n");
    machine
        .kinfra("apply plan --spec other.toml")
        .exits(64)
        .says("and --spec or KINFRA_SPEC names another\n");
    // The spelling of the paths does not matter.
    std::os::unix::fs::symlink(machine.path("~/pool"), machine.path("link")).expect("a link");
    machine.kinfra("apply plan --spec templates/../slots.toml --root link").exits(0).says("Updated 3 slots");
}

#[test]
fn a_plan_with_a_root_or_the_embedded_spec_remembers_that() {
    let machine = Machine::new();
    machine.kinfra("plan --root ~/mine --out plan").exits(0);
    machine.spec(crate::support::SMALL);
    machine.kinfra("apply plan").exits(0).says("Using the embedded slots.toml").says("Created 6 slot(s)");
    assert!(machine.exists("~/mine/slot-6") && !machine.exists("~/pool"));
}

#[test]
fn a_plan_of_a_directory_with_control_characters_can_be_applied() {
    let machine = Machine::new();
    let dir = machine.path("~/a\nb\u{1b}[2Jc\u{202e}");
    fs::create_dir_all(dir.join("templates")).expect("directories");
    fs::write(dir.join("slots.toml"), SMALL).expect("a spec");
    fs::write(dir.join("templates/conf.txt"), "text\n").expect("a template");
    let there = |arguments: &str| Run::of(machine.command(arguments).current_dir(&dir));
    let escaped = "a\\u{a}b\\u{1b}[2Jc\\u{202e}/slots.toml";
    there("plan --out p --root ~/mine").exits(0).says(escaped);
    there("show p").exits(0).says(escaped).never_says("\u{1b}");
    there("apply p").exits(0).says(escaped).never_says("\u{1b}");
}

#[test]
fn only_a_plan_is_read_as_one_or_replaced() {
    let machine = planned();
    let mistaken = |arguments: &str, code, text: &str| {
        machine.kinfra(arguments).exits(code).says(text).never_says("panicked");
    };
    mistaken("apply slots.toml", 64, "`slots.toml` is not a plan that `kinfra plan --out` saved");
    mistaken("show templates", 64, "plan `templates` cannot be read: it is a directory");
    mistaken("show none", 64, "plan `none` does not exist\nhelp: make it with `kinfra plan --out none`\n");
    let spec = machine.read("slots.toml");
    mistaken(
        "plan --out slots.toml",
        4,
        "`slots.toml` exists and is not a saved plan\nhelp: give --out another name\n",
    );
    mistaken("plan --out templates", 4, "`templates` exists and is not a saved plan");
    mistaken("plan --out none/plan", 1, "could not save the plan as `none/plan`");
    assert_eq!(machine.read("slots.toml"), spec);
    let plan = machine.read("plan");
    machine.write("newer", plan.replace("\"kinfra_plan\": 1", "\"kinfra_plan\": 2"));
    mistaken(
        "apply newer",
        5,
        "plan `newer` cannot be read: kinfra_plan: this kinfra reads version 1 only\nhelp: plan again, or upgrade kinfra\n",
    );
    machine.write("half", plan.replace("\"options\"", "\"opinions\""));
    mistaken("apply half", 5, "plan `half` cannot be read: the plan: missing field `options`");
    let forged = |from: &str, to: &str| {
        assert!(plan.contains(from), "{from} is not in {plan}");
        machine.write("forged", plan.replace(from, to));
    };
    forged("\"spec\": \"/", "\"spec\": \"./");
    mistaken("show forged", 5, "plan `forged` cannot be read: spec: expected an absolute path");
    forged("\"root\": \"/", "\"root\": \"/\\u001b[2J/");
    machine.kinfra("show forged").exits(0).prints("at /\\u{1b}[2J/").never_says("\u{1b}");
    forged("\"root\": \"/", "\"root\": \"");
    mistaken("show forged", 5, "plan `forged` cannot be read: root: expected an absolute path");
    forged("\"4\": {\n        \"profile\"", "\"5\": {\n        \"profile\"");
    mistaken("apply forged", 5, "plan `forged` cannot be read: slot 4: its action does not fit what it says");
    // The file is not trusted: only the plan that would be made now is run.
    machine.write("forged", plan.replace("\"replace\"", "\"overwrite\""));
    let before = machine.tree();
    mistaken(
        "apply forged",
        4,
        "the saved plan is stale: nothing was done\n  ~ Would update slot 1: conf.txt",
    );
    assert_eq!(machine.tree(), before);
    machine.remove("slots.toml");
    mistaken("apply plan", 4, "the plan is stale: its spec `");
}

#[test]
fn applying_a_plan_shows_what_it_leaves_as_it_is() {
    let machine = applied();
    machine.template("conf.txt", "new {{ ports.web }}\n");
    machine.kinfra("plan --out plan").exits(0);
    let run = machine.kinfra("apply plan").exits(0).prints("! Slots 1-3: conf.txt differs from slots.toml");
    run.prints("Blocked: 3 to change (--update).").says("Skipped 3 existing").never_says("No changes");
    machine.kinfra("apply plan --detailed-exitcode").exits(2);
    let json = machine.kinfra("apply plan --json").exits(0).stdout;
    let event: Value = serde_json::from_str(json.lines().next().expect("an event")).expect("JSON");
    assert_eq!(event["slots"][1]["blocked"][0]["reason"], "outdated");
    // If slots were named, the others are not mentioned.
    machine.kinfra("plan --only 1 --update --out plan").exits(0);
    machine.kinfra("apply plan").exits(0);
    machine.kinfra("plan --only 1 --out plan").exits(0);
    machine.kinfra("show plan").exits(0).prints("No changes: slot 1 is as slots.toml says.\n");
    machine.kinfra("apply plan").exits(0).prints("No changes: slot 1 is as slots.toml says.\n");
}

#[test]
fn a_stale_plan_of_a_large_pool_is_told_in_a_few_lines() {
    let machine = Machine::small();
    machine.edit_spec("1-2", "1-300");
    machine.kinfra("apply").exits(0);
    machine.template("conf.txt", "{{ ports.web }}\n");
    machine.kinfra("plan --update --out plan").exits(0);
    machine.template("conf.txt", "new\n");
    machine.edit_spec("web = 8000", "web = 9000");
    let run = machine.kinfra("apply plan").exits(4);
    let run = run.says(
        "\n  slots 1-300: ports.web in slots.toml: a different change in each, such as slot 1: 8001 → 9001\n",
    );
    assert!(run.stderr.len() < 1000, "{run:#?}");
    machine.edit_spec("web = 9000", "web = 8000");
    machine.template("conf.txt", "{{ ports.web }}\n");
    machine.set_mode("~/pool/slot-7/conf.txt", 0o640);
    let run = machine.kinfra("apply plan").exits(4).says("\n  slot 7: conf.txt on disk: sha256 ");
    let word = run.stderr.split("sha256 ").nth(1).and_then(|rest| rest.split(' ').next());
    assert_eq!(word.map(str::len), Some(12), "{run:#?}");
}

#[test]
fn a_changed_import_makes_a_plan_stale() {
    let machine = Machine::new();
    let old = include_str!("../fixtures/old-instances-v2.json");
    let path = "~/.ktrdr/sandbox/instances.json";
    machine.write(path, old);
    machine.kinfra("plan --out plan").exits(0).prints("Would import ");
    // Another holder, but as many slots and claims.
    machine.write(path, format!("{old} \n"));
    machine.kinfra("apply plan").exits(4).says("instances.json to import: ").says(", sha256 ");
    machine.write(path, old);
    machine.kinfra("apply plan").exits(0).says("Imported ");
}

#[test]
fn a_plan_can_be_saved_in_a_file_that_mktemp_made() {
    let machine = planned();
    machine.write("its plan", "");
    let mut command = machine.command("plan --update --out");
    let run = Run::of(command.arg("its plan")).exits(0);
    run.says("Saved the plan. To run exactly this plan: kinfra apply 'its plan'\n");
    let empty = |arguments: &str| Run::of(machine.command(arguments).arg(""));
    empty("plan --out").exits(64).says("--out needs the name of a file");
    empty("show").exits(64).says("the name of the plan is empty");
    empty("apply").exits(64).says("the name of the plan is empty");
}
