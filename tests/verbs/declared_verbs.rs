//! Verbs that a project declares in `[verbs]` of its slots.toml: each is `kinfra start` with a branch and flags of its own.

use kinfra::embedded;
use serde_json::Value;

use super::completions::offers;
use super::start::{run, state};
use crate::formats::spec::each_of_is_refused;
use crate::rig::fleet::{Fleet, Slot};
use crate::support::{Machine, Run, SMALL};

const IMPL: &str = "[verbs.impl]\nbranch = \"impl/{name}\"\n";

/// A pool with a slot of each of two profiles, applied, with these tables, in a repository.
fn machine(tables: &str) -> Machine {
    let machine = Machine::new();
    let spec = SMALL.replace("name = \"only\"", "name = \"light\"\n[[profiles]]\nname = \"heavy\"").replace(
        "ids = \"1-2\"\nprofile = \"only\"",
        "ids = \"1\"\nprofile = \"light\"\n[[slots]]\nids = \"2\"\nprofile = \"heavy\"",
    );
    machine.spec(&(spec + "[worktree]\npath = \"~/{branch}\"\n" + tables));
    machine.template("conf.txt", "slot {{ slot.id }}\n");
    machine.git(machine.project(), "init --quiet --initial-branch main");
    machine.repository(machine.project());
    machine.kinfra("apply").exits(0);
    machine
}

#[test]
fn a_verb_of_the_project_is_start_with_its_branch() {
    let fleet = Fleet::of_slots(Machine::in_memory(), 2, IMPL, &[]);
    let path = fleet.machine.project().with_file_name("project-impl-cart");
    fleet.kinfra("project", "impl cart --no-gate").exits(0).says("Claimed slot 1").prints(":28901");
    let path = path.canonicalize().expect("a worktree");
    assert_eq!(fleet.machine.git(&path, "branch --show-current"), "impl/cart\n");
    assert_eq!(fleet.slots()[&1], Slot::Held(path.clone()));
    assert!(!fleet.things(1).is_empty());
    // It continues, as start does, and the other verbs take the branch.
    fleet.kinfra("project", "impl cart --no-gate").exits(0).says("project-impl-cart`\n");
    fleet.kinfra("project", "done impl/cart").exits(0);
    assert!(!path.exists() && fleet.made_nothing());
}

#[test]
fn a_flag_that_is_typed_wins() {
    let verb = "[verbs.impl]\nbranch = \"impl/{name}\"\nfrom = \"old\"\nprofile = \"heavy\"\nlease = \"8h\"\nup = false\n";
    let machine = machine(verb);
    let project = machine.project();
    machine.git(&project, "branch old");
    machine.git(&project, "commit --quiet --allow-empty --message second");
    let lease = |slot: &str| {
        let registry: Value = serde_json::from_str(&machine.read("~/pool/registry.json")).expect("JSON");
        registry["slots"][slot]["lease"].as_str().map(str::to_owned)
    };
    let head = |dir: &str| machine.git(machine.path(dir), "log -1 --format=%s");
    let start = |arguments: &str| machine.kinfra(arguments).never_says("panicked");

    start("impl a").exits(0).says("Claimed slot 2 (heavy)").says("Next: `cd ~/impl-a`\n");
    assert_eq!((head("~/impl-a").as_str(), lease("2").as_deref()), ("first\n", Some("8h")));
    machine.kinfra("done impl/a").exits(0);

    start("impl b --profile light --lease=1h --from main").exits(0).says("Claimed slot 1 (light)");
    assert_eq!((head("~/impl-b").as_str(), lease("1").as_deref()), ("second\n", Some("1h")));
    machine.kinfra("done impl/b").exits(0);
    // A slot is of one profile, so `--slot` leaves none to ask for.
    start("impl c --slot 1").exits(0).says("Claimed slot 1 (light)");
    machine.kinfra("done impl/c").exits(0);
    start("impl d --slot 1 --profile light").exits(64).says("cannot be used with");
    // With `--up` there is a stack to be started, and this pool has none.
    let up = start("impl e --up");
    assert!(up.code != Some(0) && up.stderr.contains("Claimed slot 2"), "{up:?}");
    machine.kinfra("done impl/e").exits(0);
    start("impl f --up --no-up").exits(0);
    start("start g --no-up --up --slot 1").says("Claimed slot 1").never_says("Next: `cd");
}

#[test]
fn a_name_is_one_that_git_takes() {
    let machine = machine(IMPL);
    let before = (machine.tree(), state(&machine));
    for (name, said) in [
        ("", "it has no character"),
        ("a\nb", "it has a control character"),
        ("a b", "git takes no branch with the name `impl/a b`"),
        ("..", "git takes no branch with the name `impl/..`"),
    ] {
        run(&machine, machine.project(), &["impl", "--no-up", name]).exits(64).says(said);
    }
    run(&machine, machine.project(), &["impl", "--no-up"]).exits(64).says("<NAME>");
    run(&machine, machine.project(), &["impl", "--no-up", "--", "-x"]).exits(64).says("it begins with `-`");
    assert_eq!((machine.tree(), state(&machine)), before);
}

#[test]
fn each_mistake_is_shown_at_its_place() {
    each_of_is_refused(
        SMALL,
        "[files]\n",
        r#"[verbs.Impl]⏎[files] => `Impl` is not a valid name of a verb: use lowercase letters … :17:8
           [verbs."a b"]⏎[files] => `a b` is not a valid name of a verb … :17:8
           [verbs.start]⏎[files] => `start` is a verb of kinfra itself … :17:8 … choose another name
           [verbs.man]⏎[files] => `man` is a verb of kinfra itself … :17:8
           [verbs.help]⏎[files] => `help` is a verb of kinfra itself … :17:8
           [verbs.impl]⏎branhc = "{name}"⏎[files] => [verbs.impl] has no key `branhc` … :18:1 … did you mean `branch`?
           [verbs.impl]⏎branch = "impl"⏎[files] => `impl` has `{name}` 0 times … :18:10 … write it once, as in `impl/{name}`
           [verbs.impl]⏎branch = "{name}/{name}"⏎[files] => has `{name}` 2 times … :18:10
           [verbs.impl]⏎branch = "{repo}/{name}"⏎[files] => has braces that stand for nothing … :18:10
           [verbs.impl]⏎branch = "-{name}"⏎[files] => it begins with `-` … :18:10
           [verbs.impl]⏎branch = 1⏎[files] => `branch` must be a string … :18:10
           [verbs.impl]⏎from = "-x"⏎[files] => `-x` is no commit or branch … :18:8 … write it as for `--from`
           [verbs.impl]⏎profile = "onlx"⏎[files] => profile `onlx` is not defined … :18:11 … did you mean `only`?
           [verbs.impl]⏎lease = "soon"⏎[files] => write a whole number and a unit … :18:9
           [verbs.impl]⏎lease = "0s"⏎[files] => a lease of no time … :18:9
           [verbs.impl]⏎up = "no"⏎[files] => `up` must be `true` or `false` … :18:6
           [verbs]⏎impl = 1⏎[files] => [verbs.impl] must be a table … :18:8
           [verbs.start]⏎[verbs.impl]⏎x = 1⏎[files] => `start` is a verb of kinfra … :17:8 … [verbs.impl] has no key `x` … :19:1
           [verbs.start]⏎[env]⏎SLOT_ID = "1"⏎[files] => `start` is a verb of kinfra … :17:8 … :19:1"#,
    );
    let many: String = (0..101).map(|number| format!("a{number} = {{}}\n")).collect();
    each_of_is_refused(
        SMALL,
        "[files]\n",
        &format!(
            "[verbs]⏎{}[files] => [verbs] declares 101 verbs, and at most 100 are possible",
            many.replace('\n', "⏎")
        ),
    );
}

#[test]
fn help_completion_and_tips_know_the_verbs_of_the_project() {
    let tables =
        format!("{IMPL}profile = \"heavy\"\n[verbs.s]\nfrom = \"it's\"\nlease = \"2d\"\nup = false\n");
    let machine = machine(&tables);
    let section = "Verbs of this project:\n  impl  kinfra start impl/NAME --profile heavy\n  \
                   s     kinfra start NAME --from 'it'\\''s' --lease 2d --no-up\n\n`kinfra help exit-codes`";
    for help in ["--help", "-h", "help"] {
        let help = machine.kinfra(help).exits(0).prints(section);
        assert_eq!(help.stdout.matches("impl/NAME").count(), 1, "{}", help.stdout);
    }
    machine.kinfra("").exits(64).says(section);
    for help in ["impl --help", "help impl"] {
        let help = machine.kinfra(help).exits(0).prints("Usage: kinfra impl [OPTIONS] <NAME>");
        help.prints("The same as `kinfra start impl/NAME --profile heavy`").prints("[default: heavy]");
    }
    machine.kinfra("start --help").exits(0).never_says("heavy");
    machine.kinfra("imp x").exits(64).says("similar subcommand").says("'impl'");
    machine.kinfra("ps").exits(64).says("`kinfra status` says what runs");
    machine.kinfra("sandbox impl x").exits(64).says("unrecognized subcommand");
    assert_eq!(offers(&machine, &["kinfra", "im"]), ["impl"]);
    assert_eq!(offers(&machine, &["kinfra", "impl", "--prof"]), ["--profile"]);
    assert_eq!(offers(&machine, &["kinfra", "impl", "--profile", ""]), ["light", "heavy"]);

    // A directory without such verbs has no such section.
    Machine::small().kinfra("--help").exits(0).never_says("Verbs of this project");
    Machine::small().kinfra("impl x").exits(64).says("unrecognized subcommand 'impl'").never_says("warning");
}

#[test]
fn the_slots_toml_that_counts_is_the_one_of_start() {
    let machine = machine("");
    let other = machine.read("slots.toml") + IMPL;
    machine.write("other.toml", other);
    machine.kinfra("impl a --no-up").exits(64).says("unrecognized subcommand 'impl'");
    machine.kinfra("impl a --no-up --spec other.toml").exits(0).says("of branch impl/a\n");
    let mut command = machine.command("--help");
    Run::of(command.env("KINFRA_SPEC", "other.toml")).exits(0).prints("kinfra start impl/NAME");
    // Below the project, its own counts.
    machine.edit_spec("[worktree]", &format!("{IMPL}[worktree]"));
    std::fs::create_dir(machine.project().join("below")).expect("a directory");
    run(&machine, machine.project().join("below"), &["impl", "b", "--no-up"]).exits(0);
}

#[test]
fn a_verb_of_kinfra_is_never_another() {
    let machine = machine("");
    let verbs = "[verbs.slots]\nbranch = \"slots/{name}\"\n[verbs.start]\nbranch = \"x/{name}\"\n[verbs.impl]\n[worktree]";
    machine.edit_spec("[worktree]", verbs);
    machine.kinfra("slots").exits(0).prints("light");
    machine.kinfra("start a --no-up").exits(0).says("of branch a\n");
    machine.kinfra("claim").exits(0);
    let warning = "warning: slots.toml declares the verb `slots`, and kinfra's own is meant";
    machine.kinfra("--help").exits(0).says(warning).prints("kinfra start NAME").never_says("slots/NAME");
    machine.kinfra("imp").exits(64).says(warning);
    assert_eq!(offers(&machine, &["kinfra", "slo"]), ["slots"]);
    for verb in ["plan", "apply", "validate"] {
        let run = machine.kinfra(verb).exits(65);
        let all = run.stdout + &run.stderr;
        assert!(all.contains("`slots` is a verb of kinfra") && all.contains("`start` is a verb of"), "{all}");
    }
}

#[test]
fn slots_toml_is_read_for_its_verbs_only_where_they_matter() {
    let machine = Machine::small();
    machine.spec("nonsense");
    let warning =
        "warning: slots.toml has mistakes, so the verbs of this project are not known: `kinfra validate`";
    for verb in ["--help", "help", "impl x", "impl"] {
        machine.kinfra(verb).says(warning);
    }
    for verb in
        ["--version", "start --help", "help start", "claim --nothing", "sandbox x", "completions bash", "man"]
    {
        machine.kinfra(verb).never_says("warning").never_says("mistake");
    }
}

#[test]
fn a_verb_of_a_pool_that_is_not_applied_uses_nothing_of_it() {
    let machine = machine(&format!("{IMPL}[verbs.x]\nfrom = \"\\u202emain\"\n"));
    let before = (machine.tree(), state(&machine));
    let other = |arguments: &str| {
        let mut command = machine.command(arguments);
        Run::of(command.env("XDG_STATE_HOME", machine.path("~/other/state")))
    };
    let said = other("start impl/a").exits(4).stderr;
    assert_eq!(other("impl a").exits(4).stderr, said);
    // What it says on a terminal steers nothing.
    other("--help").exits(0).prints("\\u{202e}main").never_says("\u{202e}");
    assert_eq!((machine.tree(), state(&machine)), before);
}

#[test]
fn the_embedded_pool_has_the_verbs_of_the_old_tool_where_it_is_used() {
    let machine = Machine::new();
    machine.git(machine.project(), "init --quiet --initial-branch main");
    machine.repository(machine.project());
    machine.kinfra("--help").exits(0).never_says("Verbs of this project");
    machine.kinfra("spec a").exits(64).says("unrecognized subcommand 'spec'");
    machine.kinfra("apply").exits(0);
    machine
        .kinfra("--help")
        .exits(0)
        .prints("  impl  kinfra start impl/NAME\n  spec  kinfra start spec/NAME --no-up\n");
    machine.kinfra("spec a").exits(0).says("of branch spec/a\n").says("Claimed slot 1 (light)");
    machine.kinfra("impl a --profile heavy --no-up").exits(0).says("Claimed slot 6 (heavy)");
    let verbs = embedded::SPEC.lines().skip_while(|line| !line.starts_with("[verbs]"));
    assert_eq!(verbs.take_while(|line| !line.is_empty()).count(), 3);
}
