//! A pool that this user has not applied: its slots.toml, its registry and its files came from elsewhere, with
//! a clone. They are shown, and nothing of them is used.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::compose::Shop;
use super::up::up;
use crate::support::{Machine, Run, SMALL};

/// A pool that was applied and claimed, and the commands of a user whose index of pools does not know it.
struct Cloned {
    machine: Machine,
}

impl Cloned {
    fn new() -> Self {
        let machine = Machine::small();
        machine.kinfra("apply").exits(0);
        machine.kinfra("claim").exits(0);
        Self { machine }
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = self.machine.command(arguments);
        command.env("XDG_STATE_HOME", self.machine.path("~/other/state"));
        command
    }

    fn kinfra(&self, arguments: &str) -> Run {
        Run::of(&mut self.command(arguments))
    }
}

#[test]
fn nothing_of_a_pool_is_used_that_this_user_has_not_applied() {
    let cloned = Cloned::new();
    let before = cloned.machine.read("~/pool/registry.json");
    let verbs = [
        "claim",
        "env",
        "exec -- true",
        "up",
        "up --all",
        "compose ps",
        "shell",
        "logs",
        "down",
        "release",
        "renew",
        "reset",
        "reap --auto-approve",
        "clean 1",
        "clean --all",
        "destroy --auto-approve",
    ];
    for verb in verbs {
        let run = cloned.kinfra(verb).exits(4);
        let run = run.says("you have not applied").says("kinfra apply");
        assert!(!run.stdout.contains("export"), "{verb}: {}", run.stdout);
    }
    cloned.kinfra("release 1 --force").exits(4);
    assert_eq!(cloned.machine.read("~/pool/registry.json"), before);
}

#[test]
fn it_is_shown_with_a_note() {
    let cloned = Cloned::new();
    for verb in ["slots", "status"] {
        cloned.kinfra(verb).exits(0).says("note: you have not applied").prints("1");
    }
    for verb in ["plan", "doctor"] {
        assert_ne!(cloned.kinfra(verb).code, Some(4), "{verb}");
    }
}

#[test]
fn the_registry_of_such_a_pool_chooses_no_engine_that_is_asked() {
    let shop = Shop::new();
    Run::of(&mut up(&shop, "")).exits(0);
    let calls = shop.machine.read("~/calls");
    for verb in ["slots", "status", "slots --json"] {
        let mut shown = shop.command(verb);
        shown.env("XDG_STATE_HOME", shop.machine.path("~/other/state"));
        Run::of(&mut shown).exits(0).prints("unknown");
    }
    assert_eq!(shop.machine.read("~/calls"), calls);
}

#[test]
fn apply_is_the_act_of_trust_also_where_nothing_is_to_do() {
    let cloned = Cloned::new();
    cloned.kinfra("apply --dry-run").exits(0);
    cloned.kinfra("env").exits(4);
    cloned.kinfra("apply").exits(0);
    cloned.kinfra("env").exits(0).prints("export");
    cloned.kinfra("slots").exits(0).never_says("not applied");
}

#[test]
fn a_root_that_is_named_is_trusted() {
    let cloned = Cloned::new();
    let root = cloned.machine.path("~/pool").display().to_string();
    cloned.kinfra(&format!("env --root {root}")).exits(0).prints("export");
    Run::of(cloned.command("env").env("KINFRA_ROOT", &root)).exits(0).prints("export");
}

#[test]
fn a_root_that_is_in_use_and_not_as_a_pool_is_left_alone() {
    for name in ["thesis.txt", ".tmp/drafts/thesis.txt", ".queue/1", "backups/a", ".env"] {
        let machine = Machine::small();
        machine.write(&format!("~/pool/{name}"), "three weeks of work");
        for verb in ["plan", "apply", "apply --dry-run"] {
            machine.kinfra(verb).exits(4).says("is in use, and not as a pool: `");
        }
        assert_eq!(machine.read(&format!("~/pool/{name}")), "three weeks of work");
        // A lock has the name that every program gives it.
        machine.write("~/pool/.lock", "another program's\n");
        machine.kinfra("apply").exits(4).says("is in use, and not as a pool: `");
        assert_eq!(machine.read("~/pool/.lock"), "another program's\n");
        assert_eq!(machine.read(&format!("~/pool/{name}")), "three weeks of work");
        machine.remove("~/pool");
        machine.write("~/pool/slot-1/conf.txt", "x");
        machine.kinfra("plan").exits(0).prints("Would create slot 2");
    }
}

#[test]
fn no_spelling_of_a_home_or_of_the_whole_file_system_is_a_root() {
    let machine = Machine::small();
    let home = machine.home().display().to_string();
    let (slash, dot) = (format!("{home}/"), format!("{home}/."));
    for root in ["~/.", "~/./", "~//", "/.", "//", slash.as_str(), dot.as_str()] {
        machine.spec(&SMALL.replace("~/pool", root));
        assert_ne!(machine.kinfra("plan").code, Some(0), "{root}");
    }
    // The index of pools is no pool's own, either.
    for root in [
        "~/.local",
        "~/.local/state/kinfra",
        "~/.local/state/kinfra/pools/x",
        "~/.local/./state/kinfra/pools",
    ] {
        machine.spec(&SMALL.replace("~/pool", root));
        machine.kinfra("plan").exits(4).says("not a directory of the pool's own");
    }
    machine.spec(SMALL);
    machine.kinfra("plan --root ~").exits(4).says("not a directory of the pool's own");
    machine.spec(&SMALL.replace("~/pool", "~//pool"));
    machine.kinfra("plan").exits(0).prints("~/pool/slot-1");
}

/// A pool that was applied in a repository, and a fork of that with the same pool and the same root, whose
/// slots.toml adds a file to each slot that is claimed.
fn forked() -> Machine {
    let machine = Machine::small();
    machine.repository(machine.project());
    machine.kinfra("apply").exits(0);
    let clone = format!("clone --quiet {} fork", machine.project().display());
    machine.git(machine.home(), &clone);
    let spec = machine.read("slots.toml");
    machine.write("~/fork/slots.toml", spec + "\n[claim]\n\"hook.sh\" = \"conf.txt\"\n");
    machine
}

fn run_in(machine: &Machine, dir: impl AsRef<Path>, arguments: &str) -> Run {
    Run::of(machine.command(arguments).current_dir(dir)).never_says("panicked")
}

/// Nothing of the pool is used from a directory.
#[track_caller]
fn is_refused(machine: &Machine, dir: &str) {
    let before = machine.tree();
    for verb in ["claim", "release 1 --force", "reap --auto-approve", "clean 1", "destroy --auto-approve"] {
        run_in(machine, machine.path(dir), verb).exits(4).says("you have not applied");
    }
    assert_eq!(machine.tree(), before);
}

#[test]
fn a_fork_with_the_root_of_an_applied_pool_needs_an_apply_of_its_own() {
    let machine = forked();
    is_refused(&machine, "~/fork");
    run_in(&machine, machine.path("~/fork"), "slots").exits(0).says("note: you have not applied");
    // Worktrees of the repository that applied it are that repository, wherever it is.
    let linked = machine.worktree("topic");
    run_in(&machine, &linked, "claim").exits(0).prints("Claimed slot 1");
    fs::rename(machine.project(), machine.path("~/moved")).expect("a move");
    fs::create_dir(machine.project()).expect("a directory");
    run_in(&machine, machine.path("~/moved"), "claim").exits(0).prints("Claimed slot 2");
    run_in(&machine, machine.path("~/moved"), "release").exits(0);
    run_in(&machine, machine.path("~/fork"), "apply").exits(0);
    run_in(&machine, machine.path("~/fork"), "claim").exits(0);
    run_in(&machine, machine.path("~/fork"), "release").exits(0);
    // Both have applied it now.
    run_in(&machine, machine.path("~/moved"), "claim").exits(0);
}

#[test]
fn a_fork_repairs_no_registry_of_a_pool_that_it_did_not_apply() {
    let machine = forked();
    machine.write("~/pool/registry.json", "{");
    let before = machine.tree();
    let repair = "doctor --repair --auto-approve";
    let run = run_in(&machine, machine.path("~/fork"), repair).exits(4).says("you have not applied");
    run.says("run it where that pool was applied, or name it: `kinfra doctor --repair --root ");
    assert_eq!(machine.tree(), before);
    machine.kinfra(repair).exits(0);
}

#[test]
fn no_file_of_a_spec_has_the_name_of_one_of_kinfra_s_own() {
    let machine = Machine::small();
    for name in [".kinfra-claim", ".Kinfra-used", "kinfra-overlay.yaml", ".kinfra-x/y"] {
        for table in ["files", "claim"] {
            let file = format!("[{table}]\n\"{name}\" = \"conf.txt\"\n");
            machine.spec(&SMALL.replace("[files]\n\"conf.txt\" = \"conf.txt\"\n", &file));
            machine.kinfra("plan").exits(65).says("is the name of a file of kinfra's own in each slot");
        }
    }
    machine.spec(&SMALL.replace("\"conf.txt\" =", "\"etc/.kinfra-claim\" ="));
    machine.kinfra("plan").exits(0);
}

#[test]
fn another_repository_at_the_path_of_the_one_that_applied_it_is_not_trusted() {
    let machine = forked();
    let linked = machine.worktree("topic");
    run_in(&machine, &linked, "claim").exits(0);
    fs::rename(machine.project(), machine.path("~/aside")).expect("a move");
    fs::rename(machine.path("~/fork"), machine.project()).expect("a move");
    machine.kinfra("claim").exits(4).says("you have not applied");
    // A worktree that holds a slot would use the slots.toml at that path.
    run_in(&machine, &linked, "env").exits(4).says("you have not applied");
    // What an older kinfra noted is a path.
    fs::rename(machine.project(), machine.path("~/fork")).expect("a move");
    fs::rename(machine.path("~/aside"), machine.project()).expect("a move");
    let file = index_file(&machine);
    let mut entry: Value = serde_json::from_str(&machine.read(&file)).expect("JSON");
    assert!(entry.as_object_mut().expect("an object").remove("applied_by").is_some());
    machine.write(&file, entry.to_string());
    is_refused(&machine, "~/fork");
    machine.kinfra("claim").exits(0);
    // The apply of another project takes nothing from the one that an older kinfra noted.
    run_in(&machine, machine.path("~/fork"), "apply").exits(0);
    machine.kinfra("release").exits(0);
    machine.kinfra("claim").exits(0);
    assert!(machine.read(&file).contains("applied_by"));
}

#[test]
fn a_workspace_of_jj_is_its_own_repository_s_and_not_the_one_around_it() {
    let machine = forked();
    machine.write("vendor/slots.toml", machine.read("~/fork/slots.toml"));
    machine.write("vendor/templates/conf.txt", machine.read("templates/conf.txt"));
    fs::create_dir_all(machine.path("vendor/.jj/repo")).expect("a repository of jj");
    is_refused(&machine, "vendor");
    fs::create_dir_all(machine.path(".jj/repo")).expect("a repository of jj");
    machine.remove("vendor/.jj/repo");
    machine.write("vendor/.jj/repo", "../../.jj/repo");
    run_in(&machine, machine.path("vendor"), "claim").exits(0);
}

#[test]
fn a_bare_repository_in_the_project_is_one_project_with_all_its_worktrees() {
    let machine = Machine::small();
    machine.repository(machine.project());
    fs::rename(machine.path(".git"), machine.path(".bare")).expect("a move");
    machine.write(".git", "gitdir: ./.bare\n");
    machine.kinfra("apply").exits(0);
    let linked = machine.worktree("topic");
    run_in(&machine, &linked, "claim").exits(0).prints("Claimed slot 1");
    machine.kinfra("claim").exits(0).prints("Claimed slot 2");
    assert!(machine.exists(".bare/kinfra-holder"), "the main worktree has a token, too");
}

/// The file of the only pool in the index.
fn index_file(machine: &Machine) -> String {
    let files = fs::read_dir(machine.path("~/.local/state/kinfra/pools")).expect("the index");
    let mut names = files.map(|file| file.expect("a file").file_name().into_string().expect("UTF-8"));
    let name =
        names.find(|name| Path::new(name).extension().is_some_and(|end| end == "json")).expect("a pool");
    format!("~/.local/state/kinfra/pools/{name}")
}

#[test]
fn a_directory_that_only_says_it_is_of_the_repository_is_not() {
    let machine = forked();
    machine.worktree("topic");
    let git = machine.project().join(".git").display().to_string();
    machine.remove("~/fork/.git");
    for forged in [git.clone(), format!("{git}/worktrees/topic")] {
        machine.write("~/fork/.git", format!("gitdir: {forged}\n"));
        is_refused(&machine, "~/fork");
        let spec = machine.read("~/fork/slots.toml");
        machine.remove("~/fork/slots.toml");
        assert_ne!(run_in(&machine, machine.path("~/fork"), "claim").code, Some(0), "{forged}");
        machine.write("~/fork/slots.toml", spec);
        machine.remove("~/fork/.git");
    }
    symlink(&git, machine.path("~/fork/.git")).expect("a link");
    is_refused(&machine, "~/fork");
    machine.remove("~/fork/.git");
    // The slots.toml is the one that was applied, and the templates are not.
    machine.remove("~/fork/slots.toml");
    symlink(machine.project().join("slots.toml"), machine.path("~/fork/slots.toml")).expect("a link");
    is_refused(&machine, "~/fork");
}

#[test]
fn a_project_stays_trusted_in_a_backup_and_with_a_repository_of_its_own() {
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    machine.repository(machine.project());
    machine.kinfra("claim").exits(0);
    machine.kinfra("release").exits(0);
    machine.kinfra("apply").exits(0);
    let mut copy = machine.program("cp");
    Run::of(copy.arg("-a").arg(machine.project()).arg(machine.path("~/backup"))).exits(0);
    fs::remove_dir_all(machine.project()).expect("it is lost");
    fs::rename(machine.path("~/backup"), machine.project()).expect("it is put back");
    machine.kinfra("claim").exits(0);
    assert_eq!(machine.git(machine.project(), "status --porcelain"), "");
}

#[test]
fn an_apply_makes_the_token_of_a_project_whose_disk_was_full() {
    let machine = Machine::small();
    machine.repository(machine.project());
    let token = ".git/kinfra-project";
    // What a full disk leaves: a directory has the token's place, and nothing can be renamed over it.
    machine.write(&format!("{token}/full"), "");
    machine.kinfra("apply").exits(0);
    machine.remove(token);
    machine.kinfra("apply").exits(0).prints("No changes");
    assert!(machine.exists(token));
    assert!(machine.read(&index_file(&machine)).contains(machine.read(token).trim_end()));
}

/// What is done to the index of pools, and to the entry of the pool in it.
type Damage = fn(&Path, &Path);

/// What may be wrong with the index: its name, how it comes, what is said, and what is advised.
const DAMAGED: [(&str, Damage, &str, &str); 5] = [
    (
        "garbage",
        |_, entry| fs::write(entry, "garbage").expect("a written file"),
        ".json`: line 1, column 1: expected value",
        "trust the pool again with `kinfra apply`",
    ),
    (
        "not text",
        |_, entry| fs::write(entry, [0xff]).expect("a written file"),
        ".json`: it is not UTF-8 text",
        "trust the pool again with `kinfra apply`",
    ),
    (
        "newer",
        |_, entry| fs::write(entry, r#"{"version": 2}"#).expect("a written file"),
        ".json`: version: is 2, and this kinfra reads 1",
        "help: upgrade kinfra",
    ),
    (
        "a directory",
        |_, entry| {
            fs::remove_file(entry).expect("a removed file");
            fs::create_dir(entry).expect("a directory");
        },
        ".json`: it is a directory",
        "move it away, then trust the pool again with `kinfra apply`",
    ),
    (
        "a file",
        |index, _| {
            fs::remove_dir_all(index).expect("a removed directory");
            fs::write(index, "").expect("a written file");
        },
        "`~/.local/state/kinfra/pools` is a file, where a directory belongs",
        "move it away, then trust each pool again with `kinfra apply` in its project",
    ),
];

/// A pool with a claim whose index is damaged.
fn damaged(damage: Damage) -> Machine {
    let machine = Machine::claimed();
    let index = machine.path("~/.local/state/kinfra/pools");
    let names = index.read_dir().expect("an index").map(|entry| entry.expect("an entry").path());
    let entry = names.filter(|path| path.extension().is_some_and(|it| it == "json")).last().expect("a pool");
    damage(&index, &entry);
    machine
}

#[test]
fn an_index_that_cannot_be_read_trusts_nothing_and_is_named() {
    for (damage, make, why, advice) in DAMAGED {
        let machine = damaged(make);
        let before = machine.read("~/pool/registry.json");
        let trusting = ["claim", "env", "exec -- true", "release", "renew", "reap", "destroy --auto-approve"];
        for verb in trusting {
            let run = machine.kinfra(verb).exits(5).says(why).says(advice).never_says("have not applied");
            assert!(!run.stdout.contains("export"), "{damage}: {verb}: {}", run.stdout);
        }
        assert_eq!(machine.read("~/pool/registry.json"), before, "{damage}");
        for verb in ["slots", "status"] {
            let run = machine.kinfra(verb).exits(0).says("may not be yours: your index of pools");
            run.says(why).says(advice).never_says("have not applied");
        }
        // A root that is named needs no index.
        let root = machine.path("~/pool").display().to_string();
        machine.kinfra(&format!("env --root {root}")).exits(0).prints("export");
    }
}

#[test]
fn doctor_finds_an_index_that_cannot_be_read_and_a_pool_that_was_not_applied() {
    for (_, make, why, advice) in DAMAGED {
        let found =
            damaged(make).kinfra("doctor").exits(1).prints("✗ index: your index of pools").prints(why);
        found.prints(advice.trim_start_matches("help: "));
    }
    let cloned = Cloned::new();
    let unknown = "! index: `~/other/state/kinfra/pools` does not say that you applied this pool from here";
    cloned.kinfra("doctor").exits(0).prints(unknown).prints("trust it with `kinfra apply`");
    cloned.machine.kinfra("doctor").exits(0).prints("✓ index: `~/.local/state/kinfra/pools`");
    Machine::small().kinfra("doctor").exits(0).prints("✓ index: ");
}

#[test]
fn an_apply_says_how_to_make_an_index_readable_or_does_it() {
    for (damage, make, why, advice) in DAMAGED {
        let machine = damaged(make);
        if ["garbage", "not text"].contains(&damage) {
            machine.kinfra("apply").exits(0);
            machine.kinfra("env").exits(0).prints("export");
        } else if damage == "newer" {
            let file = index_file(&machine);
            let before = machine.read(&file);
            machine.kinfra("plan").exits(5).says(why).says(advice);
            machine.kinfra("apply").exits(5).says(why).says(advice);
            assert_eq!(machine.read(&file), before, "an entry of a newer kinfra was written");
        } else {
            let run = machine.kinfra("apply");
            assert_ne!(run.code, Some(0), "{damage}");
            run.says("the pool cannot be noted for the others on this machine").says(advice);
        }
    }
}

#[test]
fn without_a_spec_an_index_that_cannot_be_read_does_not_make_the_pool_another() {
    let machine = Machine::small();
    machine.git(machine.project(), "init -q");
    machine.kinfra("apply").exits(0);
    machine.remove("slots.toml");
    machine.kinfra("claim").exits(4);
    machine.remove("~/.local/state/kinfra/pools");
    machine.write("~/.local/state/kinfra/pools", "");
    for verb in ["claim", "plan", "slots", "env"] {
        machine.kinfra(verb).exits(5).says("is a file, where a directory belongs").never_says("embedded");
    }
}

#[test]
fn the_spec_of_a_submodule_is_not_that_of_the_project_around_it() {
    let machine = Machine::small();
    machine.git(machine.project(), "init -q");
    machine.kinfra("apply").exits(0);
    let (spec, template) = (machine.read("slots.toml"), machine.read("templates/conf.txt"));
    machine.write("~/lib/slots.toml", format!("{spec}\n[claim]\n\"override.yml\" = \"conf.txt\"\n"));
    machine.write("~/lib/templates/conf.txt", template);
    let lib = machine.path("~/lib");
    machine.git(&lib, "init -q");
    machine.git(&lib, "add -A");
    machine.git(&lib, "commit -qm lib");
    let add = format!("-c protocol.file.allow=always submodule --quiet add {} vendor/lib", lib.display());
    machine.git(machine.project(), &add);
    let submodule = machine.path("vendor/lib");
    run_in(&machine, &submodule, "claim").exits(4).says("you have not applied");
    assert!(!machine.exists("~/pool/slot-1/override.yml"));
    machine.kinfra("claim").exits(0);
}

#[test]
fn where_no_index_can_be_found_the_way_out_is_said() {
    let machine = Machine::small();
    machine.edit_spec("root = \"~/pool\"", &format!("root = \"{}\"", machine.path("~/pool").display()));
    machine.kinfra("apply").exits(0);
    machine.kinfra("claim").exits(0);
    for verb in ["claim", "env", "release"] {
        let mut command = machine.command(verb);
        let run = Run::of(command.env_remove("HOME").env_remove("XDG_STATE_HOME")).exits(4);
        run.says(
            "error: what you applied is not known: neither HOME nor XDG_STATE_HOME is an absolute path\n",
        )
        .says("help: set HOME, or name the root with `--root` or KINFRA_ROOT\n");
    }
}
