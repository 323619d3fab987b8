//! Several pools on one machine. They know each other by the index in the state directory.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::support::{Machine, Run, SMALL};

/// The directory of the index.
const INDEX: &str = "~/.local/state/kinfra/pools";

/// A machine with [`SMALL`] applied, and another project in `~/other` whose one port has this formula.
fn two_projects(formula: &str) -> Machine {
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    other(&machine, formula);
    machine
}

fn other(machine: &Machine, formula: &str) {
    let spec = SMALL.replace("small", "other").replace("~/pool", "~/pool-2");
    machine.write("~/other/slots.toml", spec.replace("web = 8000", &format!("api = {formula}")));
    machine.write("~/other/templates/conf.txt", "{{ ports.api }}\n");
}

/// Runs kinfra on the other project.
fn there(machine: &Machine, verb: &str) -> Run {
    Run::of(machine.command(verb).current_dir(machine.path("~/other")))
}

/// The files of the index.
fn index(machine: &Machine) -> Vec<PathBuf> {
    let Ok(files) = fs::read_dir(machine.path(INDEX)) else { return Vec::new() };
    let files = files.map(|file| file.expect("a file").path());
    let mut files: Vec<_> = files.filter(|file| file.extension().is_some()).collect();
    files.sort();
    files
}

/// The file of the one pool that is in the index.
fn entry(machine: &Machine) -> PathBuf {
    let files = index(machine);
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

/// Puts a git repository around the project, with a branch checked out.
fn check_out(machine: &Machine, branch: &str) {
    machine.write(".git/HEAD", format!("ref: refs/heads/{branch}\n"));
}

#[test]
fn apply_notes_the_pool_for_this_user_alone() {
    let machine = Machine::small();
    check_out(&machine, "topic/one");
    machine.kinfra("plan").exits(0);
    machine.kinfra("apply --dry-run").exits(0);
    assert!(!machine.exists("~/.local"));
    machine.kinfra("apply").exits(0);
    let canonical = |path: PathBuf| path.canonicalize().expect("a path").display().to_string();
    let (root, spec) = (canonical(machine.path("~/pool")), canonical(machine.path("slots.toml")));
    let mount = machine.path("~/pool");
    let device = |path: &Path| path.metadata().expect("metadata").dev();
    let mount = mount.ancestors().take_while(|path| device(path) == device(&mount)).last().expect("a path");
    let mount = mount.display();
    let project = machine.project().metadata().expect("metadata");
    let born = project.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
    let born = born.map(|born| format!(":{}", born.as_nanos())).unwrap_or_default();
    let place = format!("{}:{}{born}", project.dev(), project.ino());
    assert_eq!(
        fs::read_to_string(entry(&machine)).expect("text"),
        format!(
            r#"{{
  "version": 1,
  "root": "{root}",
  "mount": "{mount}",
  "root_is_declared": true,
  "pool": "small",
  "env_prefix": "",
  "spec": "{spec}",
  "branch": "topic/one",
  "verify": [],
  "applied_by": [
    {{
      "place": "{place}"
    }}
  ],
  "ports": {{
    "web": {{
      "base": 8000,
      "stride": 1
    }}
  }},
  "slots": "1-2"
}}
"#
        )
    );
    assert_eq!(machine.mode(INDEX), 0o700);
    assert_eq!(entry(&machine).metadata().expect("metadata").mode() & 0o7777, 0o600);
}

#[test]
fn the_state_directory_is_the_one_that_the_environment_names() {
    let machine = Machine::small();
    let run = |state: &str| Run::of(machine.command("apply").env("XDG_STATE_HOME", state)).exits(0);
    run(machine.path("~/state").to_str().expect("UTF-8"));
    assert!(machine.exists("~/state/kinfra/pools") && !machine.exists("~/.local"));
    run("relative");
    assert!(machine.exists(INDEX) && !machine.exists("relative"));
}

#[test]
fn ports_of_another_project_are_refused_with_its_file_and_what_frees_them() {
    let machine = two_projects("8000");
    let before = machine.tree();
    let spec = machine.path("slots.toml").canonicalize().expect("a path");
    let wrong = format!(
        "port 8001 is `api` of slot 1 and also `web` of slot 1 of the pool `small` in `~/pool`, declared by `{}`\n      \
         the smallest stride that frees `api` is 3\n",
        spec.display()
    );
    for verb in ["plan", "apply", "apply --dry-run"] {
        there(&machine, verb).exits(4).prints_exactly("").says(&wrong);
    }
    assert_eq!(machine.tree(), before);
    other(&machine, "{ base = 8000, stride = 2 }");
    there(&machine, "plan").exits(4).says("port 8002 is `api` of slot 1 and also `web` of slot 2");
    other(&machine, "{ base = 8000, stride = 3 }");
    there(&machine, "apply").exits(0);
    machine.kinfra("plan").exits(0);
    machine.kinfra("apply").exits(0).says("Skipped 2 existing slot(s)\n");
}

/// A machine with [`SMALL`] applied, and another project in `~/other` of the same name, with other ports.
fn two_of_one_name() -> Machine {
    let machine = two_projects("9000");
    let spec = machine.read("~/other/slots.toml").replace("\"other\"", "\"small\"");
    machine.write("~/other/slots.toml", spec);
    machine
}

#[test]
fn a_pool_does_not_begin_with_the_name_of_another() {
    let machine = two_of_one_name();
    let canonical = |path: &str| machine.path(path).canonicalize().expect("a path").display().to_string();
    let wrong = format!(
        "the pool would have the name of another one on this machine: `small` in `~/pool`, declared by `{}`. ",
        canonical("slots.toml")
    );
    let before = machine.tree();
    for verb in ["plan", "apply", "apply --dry-run"] {
        let run = there(&machine, verb).exits(4).prints_exactly("").says(&wrong).never_says("warning");
        run.says("help: give this pool another `name` in slots.toml\n");
    }
    let run = there(&machine, "validate").exits(65).prints(&format!("  ✗ pools: {wrong}"));
    run.prints("\n      give this pool another `name` in slots.toml\n").never_says("too: slots");
    assert_eq!(machine.tree(), before);
    // The pool that was there first goes on, and knows nothing of the other one.
    machine.kinfra("plan").exits(0).never_says("~/other");
    let spec = machine.read("~/other/slots.toml").replace("\"small\"", "\"large\"");
    machine.write("~/other/slots.toml", spec);
    there(&machine, "apply").exits(0).says("Apply complete! 2 added");
}

#[test]
fn a_name_is_free_again_when_its_pool_is_gone_or_has_no_slots() {
    let machine = two_of_one_name();
    machine.kinfra("destroy --auto-approve").exits(0);
    there(&machine, "apply").exits(0).says("Apply complete! 2 added").never_says("name");
    // A destroyed pool would begin anew.
    machine.kinfra("apply").exits(4).says("the name of another one on this machine: `small` in `");
    machine.remove("~/pool-2");
    machine.kinfra("apply").exits(0).says("Apply complete! 2 added");
    let machine = two_of_one_name();
    machine.remove("~/pool");
    there(&machine, "apply").exits(0);
}

#[test]
fn pools_of_one_name_that_exist_go_on_and_are_named() {
    let machine = two_projects("9000");
    there(&machine, "apply").exits(0);
    // Both pools are older than the rule, or one was renamed.
    let spec = machine.read("~/other/slots.toml").replace("\"other\"", "\"small\"");
    machine.write("~/other/slots.toml", spec);
    let named = "the pool in `~/pool`, declared by ";
    for verb in ["plan", "apply"] {
        let run = there(&machine, verb).exits(0).says(&format!("warning: {named}"));
        run.says("has the name `small`, too: slots of both are the same Compose projects");
    }
    there(&machine, "validate").exits(0).prints(&format!("  ! pools: {named}")).prints("The pool is valid.");
    there(&machine, "doctor").exits(0).prints(&format!("  ! pools: {named}"));
    // Since the apply, the other one knows, too.
    machine.kinfra("plan").exits(0).says("pool-2`, declared by ").says("has the name `small`, too");
    there(&machine, "claim").exits(0);
}

#[test]
fn a_slot_on_the_port_of_another_project_s_main_stack_is_refused() {
    let machine = two_projects("7998");
    there(&machine, "plan")
        .exits(4)
        .says("port 8000 is `api` of slot 2 and also `web` of the main stack (slot 0) of the pool `small`")
        .says("the smallest stride that frees `api` is 5\n");
    other(&machine, "8001");
    there(&machine, "plan")
        .exits(4)
        .says("port 8001 is `api` of the main stack (slot 0) and also `web` of slot 1")
        .says("no stride frees `api`; the nearest base that does is 8003\n");
    other(&machine, "8003");
    there(&machine, "plan").exits(0);
}

#[test]
fn a_slot_that_is_no_longer_declared_keeps_its_ports_from_others() {
    let machine = two_projects("8005");
    machine.edit_spec("1-2", "1-6");
    machine.kinfra("apply").exits(0);
    machine.edit_spec("1-6", "1-2");
    machine.kinfra("apply").exits(0);
    there(&machine, "plan")
        .exits(4)
        .says("port 8005 is `api` of the main stack (slot 0) and also `web` of slot 5");
}

#[test]
fn a_pool_that_is_gone_is_no_neighbour_and_the_next_writer_drops_it() {
    let machine = two_projects("8000");
    let gone = entry(&machine);
    machine.remove("~/pool");
    there(&machine, "plan").exits(0);
    assert!(gone.exists());
    there(&machine, "apply").exits(0);
    assert_ne!(entry(&machine), gone);
}

#[test]
fn roots_of_one_spec_are_one_project_s() {
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    // Their slots cannot run at once, and are named.
    machine.kinfra("apply --root ~/another").exits(0).says("has the name `small`, too");
    Run::of(machine.command("apply").env("KINFRA_ROOT", machine.path("~/third"))).exits(0);
    machine.kinfra("apply").exits(0);
    assert_eq!(index(&machine).len(), 3);
}

#[test]
fn a_root_that_the_spec_changes_is_refused_and_each_way_out_works() {
    let changed = || {
        let machine = Machine::small();
        machine.kinfra("apply").exits(0);
        machine.edit_spec("~/pool", "~/new");
        let [old, new] =
            ["pool", "new"].map(|name| machine.home().canonicalize().expect("a home").join(name));
        let (old, new) = (old.display().to_string(), new.display().to_string());
        for verb in ["plan", "apply"] {
            machine
                .kinfra(verb)
                .exits(4)
                .prints_exactly("")
                .says("slots.toml` changed the pool's root, and the pool is still in `")
                .says(&format!("`mv '{old}' '{new}'`"))
                .says(&format!("`--root '{old}'`"))
                .says(&format!("`kinfra destroy --root '{old}'`"));
        }
        assert!(!machine.exists("~/new"));
        machine
    };
    let machine = changed();
    fs::rename(machine.path("~/pool"), machine.path("~/new")).expect("a move");
    machine.kinfra("apply").exits(0).says("Nothing was changed: slots 1-2 are blocked.\n");
    let machine = changed();
    machine.kinfra("apply --root ~/pool").exits(0).says("Skipped 2 existing slot(s)\n");
    let machine = changed();
    machine.remove("~/pool");
    machine.kinfra("apply").exits(0).says("Apply complete! 2 added");
}

#[test]
fn a_pool_of_another_branch_says_so_before_it_shrinks() {
    let machine = Machine::small();
    check_out(&machine, "main");
    machine.kinfra("apply").exits(0);
    check_out(&machine, "topic");
    machine.kinfra("plan").exits(0).never_says("main");
    let text = machine.read("templates/conf.txt");
    machine.template("conf.txt", "of the topic\n");
    let last = "Blocked: 2 to change (--update).\nThe pool was last applied from branch `main`.\n";
    machine.kinfra("plan").exits(0).prints(last);
    machine.template("conf.txt", &text);
    machine.edit_spec("1-2", "1");
    let spec = machine.path("slots.toml").canonicalize().expect("a path");
    let said = format!(
        "warning: the pool was last applied from `{0}` on branch `main`: slot 2 is not in `{0}` on branch `topic`\n",
        spec.display()
    );
    // Applying does not take over the other branch's slot: the next run warns again.
    for verb in ["plan", "apply --dry-run", "apply", "apply", "plan"] {
        machine.kinfra(verb).exits(0).says(&said).prints("Slot 2: no longer in slots.toml (--prune)");
    }
    machine.edit_spec("ids = \"1\"", "ids = \"1-2\"");
    machine.kinfra("apply").exits(0).never_says("main");
    machine.edit_spec("1-2", "1");
    machine.kinfra("plan").exits(0).never_says("main");
}

#[test]
fn the_branch_of_a_linked_worktree_is_known() {
    let machine = Machine::small();
    machine.write("~/repository/worktrees/project/HEAD", "ref: refs/heads/linked\n");
    let git = machine.path("~/repository/worktrees/project");
    machine.write(".git", format!("gitdir: {}\n", git.display()));
    machine.kinfra("apply").exits(0);
    assert!(fs::read_to_string(entry(&machine)).expect("text").contains("\"branch\": \"linked\""));
}

#[test]
fn nothing_is_noted_twice_and_what_is_lost_is_noted_again() {
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    let noted = entry(&machine);
    let inode = || noted.metadata().expect("metadata").ino();
    let before = inode();
    machine.kinfra("apply").exits(0);
    machine.remove("~/pool/slot-2");
    machine.kinfra("apply").exits(0).says("Restored slot 2");
    assert_eq!(inode(), before);
    for text in ["", "{", "{\"version\": 1}"] {
        fs::write(&noted, text).expect("a written file");
        machine.kinfra("plan").exits(0).never_says("warning");
        machine.kinfra("apply").exits(0);
        assert!(fs::read_to_string(&noted).expect("text").contains("\"pool\": \"small\""));
    }
    machine.remove("~/.local");
    machine.kinfra("apply").exits(0);
    assert_eq!(entry(&machine), noted);
}

#[test]
fn an_entry_that_cannot_be_read_is_passed_over_and_named() {
    let machine = two_projects("9000");
    let theirs = entry(&machine);
    for (text, why) in [
        ("{\"version\": 2}", "(version: is 2, and this kinfra reads 1): upgrade kinfra\n"),
        ("", "line 1: the file is empty"),
        ("{}", "missing field `version`"),
    ] {
        fs::write(&theirs, text).expect("a written file");
        let name = theirs.file_name().expect("a name").display();
        let said = format!("warning: `~/.local/state/kinfra/pools/{name}` is ignored (");
        for verb in ["plan", "apply"] {
            there(&machine, verb).exits(0).says(&said).says(why);
        }
        assert_eq!(fs::read_to_string(&theirs).expect("text"), text);
    }
    fs::remove_file(&theirs).expect("a removed file");
    fs::create_dir(&theirs).expect("a directory");
    there(&machine, "plan").exits(0).says("is ignored (it is a directory)");
}

#[test]
fn a_pool_that_cannot_be_noted_is_not_applied() {
    let machine = Machine::small();
    machine.write("~/.local/state/kinfra", "a file\n");
    machine.kinfra("plan").exits(0);
    machine
        .kinfra("apply")
        .exits(4)
        .says("the pool cannot be noted for the others on this machine, so nothing was applied")
        .says("set XDG_STATE_HOME to a directory of yours");
    assert!(!machine.exists("~/pool/slot-1") && !machine.exists("~/pool/registry.json"));
    machine.remove("~/.local/state/kinfra");
    machine.kinfra("apply").exits(0);
}

#[test]
fn without_a_state_directory_the_others_are_not_known_and_work_goes_on() {
    let machine = Machine::small();
    let root = machine.path("root");
    let mut command = machine.command(&format!("apply --root {}", root.display()));
    Run::of(command.env_remove("HOME"))
        .exits(0)
        .says("warning: other pools are not known: neither HOME nor XDG_STATE_HOME is an absolute path\n");
    assert!(root.join("registry.json").exists());
}
