//! Full disks and low limits: kinfra does everything, or it says why not and leaves a pool that the next run
//! completes.
//!
//! ```text
//! cargo test --profile ci -- --ignored disk      # as root: file systems are mounted
//! ```

use std::fs::{self, File};
use std::io::Write as _;
use std::process::Command;

use crate::rig::{Image, Mount, ROOT, Tree, assert_tree, figure, must, registry, through};
use crate::support::{Machine, Run};

/// How many runs in a row must succeed before the scarce resource counts as sufficient.
const ENOUGH: usize = 3;

/// The tree that `apply` leaves on a machine without limits. The home is empty before and after.
fn clean_tree(machine: &Machine) -> Tree {
    let _home = Mount::memory(&machine.home(), "mode=700");
    machine.kinfra("apply").exits(0);
    machine.tree()
}

/// Asserts that a run failed for `cause` alone, and left slots that are whole and a registry that can be
/// read.
fn failed_cleanly(machine: &Machine, run: Run, cause: &str, clean: &Tree) {
    run.exits(1).says(cause).never_says("panicked");
    let owned = registry(machine).unwrap_or_default();
    let mut slots = 0;
    for slot in 1..=6 {
        let dir = machine.path(&format!("{ROOT}/slot-{slot}"));
        let there = dir.exists();
        let listed = owned.slots.keys().any(|id| id.get() == slot);
        assert!(there || !listed, "slot {slot} is in the registry and not on disk");
        slots += usize::from(there);
    }
    let tree = machine.tree();
    let below_slots = |tree: &Tree| -> Tree {
        let slots = tree.iter().filter(|(path, _)| path.to_string_lossy().contains("/sandboxes/slot-"));
        slots.map(|(path, state)| (path.clone(), state.clone())).collect()
    };
    let (now, whole) = (below_slots(&tree), below_slots(clean));
    let not_whole = now.iter().find(|(path, state)| whole.get(*path) != Some(*state));
    assert!(not_whole.is_none(), "a file is not whole: {not_whole:?}");
    assert_eq!(now.len() * 6, whole.len() * slots, "a slot lacks a file: {:?}", now.keys());
    machine.kinfra("plan").exits(0);
    machine.kinfra("slots").exits(0);
}

/// The results of runs that had more and more of a scarce resource.
#[derive(Default)]
struct Tally {
    failed: usize,
    /// How many succeeded in a row.
    enough: usize,
}

impl Tally {
    /// Records a run, and returns whether it succeeded. After a success, no later run may fail.
    fn note(&mut self, run: &Run) -> bool {
        let succeeded = run.code == Some(0);
        assert!(succeeded || self.enough == 0, "more is less: {run:#?}");
        self.enough += usize::from(succeeded);
        succeeded
    }

    fn finish(self, what: &str, at_least: usize) {
        let Self { failed, enough } = self;
        assert_eq!(enough, ENOUGH, "it never succeeded");
        assert!(failed > at_least, "only {failed} failures");
        figure(&format!("{what}: {} of {} survived", failed + enough, failed + enough));
    }
}

/// Applies with more and more of a scarce resource, until it is sufficient. After each run, `enlarge` lifts
/// the limit.
fn survive(
    what: &str,
    cause: &str,
    (machine, clean): (&Machine, &Tree),
    scarce: impl Iterator<Item = Mount>,
    enlarge: impl Fn(&Mount),
) {
    let mut tally = Tally::default();
    for home in scarce {
        let run = machine.kinfra("apply");
        if !tally.note(&run) {
            tally.failed += 1;
            failed_cleanly(machine, run, cause, clean);
        }
        enlarge(&home);
        machine.kinfra("apply").exits(0);
        // A disk that had no room for the journal has none: no change fails for that.
        let journal = format!("{ROOT}/journal");
        if !machine.exists(&journal) {
            machine.write(&journal, "");
        }
        assert_tree(machine, clean, what);
        home.end();
        if tally.enough == ENOUGH {
            break;
        }
    }
    tally.finish(what, 8);
}

#[test]
#[ignore = "needs root: mounts file systems"]
fn on_a_disk_of_any_size_apply_does_all_or_says_that_it_is_full() {
    let machine = Machine::new();
    let clean = clean_tree(&machine);
    let home = machine.home();
    survive(
        "disks in memory, full after every page",
        "No space left on device",
        (&machine, &clean),
        (1..).map(|pages| Mount::memory(&home, &format!("mode=700,size={}k", 4 * pages))),
        |home| home.remount("size=64m"),
    );
}

#[test]
#[ignore = "needs root: mounts file systems"]
fn with_any_number_of_inodes_apply_does_all_or_says_that_there_are_none() {
    let machine = Machine::new();
    let clean = clean_tree(&machine);
    let home = machine.home();
    survive(
        "disks in memory, out of inodes after every one",
        "No space left on device",
        (&machine, &clean),
        (2..).map(|inodes| Mount::memory(&home, &format!("mode=700,nr_inodes={inodes}"))),
        |home| home.remount("nr_inodes=1000"),
    );
}

#[test]
#[ignore = "needs root: mounts file systems"]
fn on_ext4_with_any_room_left_apply_does_all_or_says_that_it_is_full() {
    let machine = Machine::new();
    let blank = Image::ext4(2, &["-O", "^has_journal", "-b", "1024", "-N", "128"]);
    let disk = || Mount::image(&blank.copy(), &machine.home(), "noatime");
    let clean = {
        let _home = disk();
        machine.kinfra("apply").exits(0);
        machine.tree()
    };
    survive(
        "ext4 disks, full after every 2 KiB",
        "No space left on device",
        (&machine, &clean),
        (0..).step_by(2).map(|room| {
            let home = disk();
            leave(&machine, room);
            home
        }),
        |_| machine.remove("~/filler"),
    );
}

/// Fills the disk of the home, except for so many KiB.
fn leave(machine: &Machine, room: usize) {
    machine.write("~/room", vec![1; room << 10]);
    let mut filler = File::create(machine.path("~/filler")).expect("a file");
    // Large pieces first, down to the smallest that the disk can hold.
    for piece in [1 << 16, 1 << 10, 1] {
        while filler.write_all(&vec![1; piece]).is_ok() {}
    }
    filler.sync_all().expect("a synced file");
    machine.remove("~/room");
}

#[test]
#[ignore = "needs root: mounts file systems"]
fn on_a_full_disk_a_claim_is_made_or_not() {
    let machine = Machine::new();
    let _home = Mount::memory(&machine.home(), "mode=700,size=1m");
    machine.kinfra("apply").exits(0);
    let free = machine.tree();
    let before = registry(&machine).expect("a registry");
    let (mut made, mut refused) = (0, 0);
    for pages in 0..8 {
        leave(&machine, pages * 4);
        let run = machine.kinfra("claim");
        if run.code == Some(0) {
            made += 1;
        } else {
            refused += 1;
            run.exits(1)
                .says("No space left on device")
                .says("help: make room on that disk, and run again\n");
            assert!(registry(&machine).is_some_and(|now| now == before), "the claim was half made");
        }
        machine.remove("~/filler");
        machine.kinfra("claim").exits(0).prints("lot 1 (light)");
        machine.kinfra("release").exits(0);
        assert_tree(&machine, &free, format!("{pages} pages"));
    }
    assert!(made > 0 && refused > 0, "{made} made, {refused} refused");
    figure(&format!("claims on a full disk: {made} made, {refused} refused, none half"));
}

#[test]
#[ignore = "needs root: mounts file systems"]
fn in_a_read_only_home_kinfra_reads_and_writes_nothing() {
    let machine = Machine::new();
    let clean = clean_tree(&machine);
    let home = Mount::memory(&machine.home(), "mode=700");
    let cause = "Read-only file system";

    home.remount("ro");
    machine.kinfra("plan").exits(0).prints("Plan: 6 to add");
    machine.kinfra("slots").exits(0);
    machine.kinfra("apply").exits(1).says(cause).never_says("Created");
    home.remount("rw");
    assert_tree(&machine, &Tree::new(), "a new home");
    machine.kinfra("apply").exits(0);
    assert_tree(&machine, &clean, "applied");

    machine.remove(&format!("{ROOT}/slot-3"));
    let damaged = machine.tree();
    home.remount("ro");
    machine.kinfra("slots --json").exits(0).prints("\"slot_id\": 6");
    for verb in ["apply", "claim", "release 2 --force"] {
        machine.kinfra(verb).exits(1).says(cause);
    }
    machine.kinfra("doctor").exits(0);
    home.remount("rw");
    assert_tree(&machine, &damaged, "read-only");
    machine.kinfra("apply").exits(0);
    assert_tree(&machine, &clean, "restored");
}

#[test]
#[ignore = "needs root: mounts file systems"]
fn a_worktree_on_a_read_only_disk_keeps_its_slot() {
    let machine = Machine::new();
    machine.repository(machine.project());
    machine.kinfra("apply").exits(0);
    fs::create_dir(machine.path("~/disk")).expect("a directory");
    let disk = Mount::memory(&machine.path("~/disk"), "mode=700");
    let worktree = machine.worktree("disk/feature");
    let claim = || Run::of(machine.command("claim").current_dir(&worktree));
    claim().exits(0).prints("Claimed slot 1");

    disk.remount("ro");
    claim().exits(0).prints("Slot 1 (light) is yours already");
    disk.remount("rw");
    machine.remove("~/disk/feature/.env.sandbox");
    disk.remount("ro");
    claim().exits(1).says("Read-only file system").says(".env.sandbox").never_says("could not remove");
    disk.remount("rw");
    claim().exits(0);
}

#[test]
#[ignore = "needs root: mounts file systems"]
fn an_immutable_file_stays_and_the_rest_is_done() {
    let machine = Machine::new();
    let _home = Mount::image(&Image::ext4(8, &[]), &machine.home(), "noatime");
    machine.kinfra("apply").exits(0);
    let clean = machine.tree();
    let immutable = |flag: &str, path: &str| {
        must(Command::new("chattr").arg(flag).arg(machine.path(&format!("{ROOT}/{path}"))));
    };
    let cause = "Operation not permitted";

    immutable("+i", "registry.json");
    machine.kinfra("claim").exits(1).says(cause).says("registry.json");
    assert_tree(&machine, &clean, "an immutable registry");
    machine.kinfra("slots").exits(0);
    immutable("-i", "registry.json");
    machine.kinfra("claim").exits(0);
    machine.kinfra("release").exits(0);

    for slot in [2, 3] {
        machine.remove(&format!("{ROOT}/slot-{slot}/docker-compose.yml"));
    }
    immutable("+i", "slot-3");
    machine.kinfra("apply").exits(1).says(cause).says("slot-3").says("Restored slot 2").says("Apply");
    immutable("-i", "slot-3");
    machine.kinfra("apply").exits(0).says("Restored slot 3");

    machine.remove(&format!("{ROOT}/slot-4"));
    immutable("+i", "");
    machine.kinfra("apply").exits(1).says(cause);
    immutable("-i", "");
    machine.kinfra("apply").exits(0);
    assert_tree(&machine, &clean, "no longer immutable");
}

/// The same command under a limit of the shell's, such as `ulimit -n 5`.
fn limited(limit: &str, command: &Command) -> Command {
    through(["sh", "-c", &format!("{limit} && exec \"$@\""), "sh"], command)
}

/// Applies under higher and higher limits until one has no effect. Each failure has one of `causes`, and the
/// next run recovers.
fn survive_limits(what: &str, causes: &[&str], limits: impl Iterator<Item = String>) {
    let machine = Machine::new();
    machine.kinfra("apply").exits(0);
    let clean = machine.tree();
    let mut tally = Tally::default();
    for limit in limits {
        machine.remove("~/.ktrdr");
        let run = Run::of(&mut limited(&limit, &machine.command("apply")));
        // The loader opens a file, too. Its failure is not kinfra's.
        let began = !run.stderr.contains("error while loading shared libraries");
        if !tally.note(&run) {
            let named = causes.iter().any(|cause| run.stderr.contains(cause)) || !began;
            assert!(named && !run.stderr.contains("panicked"), "at {limit}: {run:#?}");
            assert!(!began || run.code == Some(1), "at {limit}: {run:#?}");
            tally.failed += usize::from(began);
            registry(&machine);
            machine.kinfra("apply").exits(0);
        }
        assert_tree(&machine, &clean, &limit);
        if tally.enough == ENOUGH {
            break;
        }
    }
    tally.finish(what, 3);
}

#[test]
fn with_few_open_files_apply_does_all_or_says_so() {
    let causes = ["Too many open files", "No file descriptors available"];
    survive_limits("limits of open files", &causes, (3..).map(|files| format!("ulimit -n {files}")));
}

#[test]
fn under_a_limit_of_file_sizes_apply_does_all_or_says_so() {
    // In blocks of 512 bytes.
    let limits = (0..).map(|blocks| format!("ulimit -f {blocks}"));
    survive_limits("limits of file sizes", &["File too large"], limits);
}

/// Applies, restores, claims and releases under unusual umasks. All modes are as under an ordinary umask.
fn modes_under_masks(without_powers: &[&str]) {
    let machine = Machine::new();
    let run = |mask: &str, arguments: &str| {
        let masked = limited(&format!("umask {mask}"), &machine.command(arguments));
        let mut command = if without_powers.is_empty() { masked } else { through(without_powers, &masked) };
        Run::of(&mut command).exits(0)
    };
    let life = |mask: &str| {
        run(mask, "apply");
        let applied = machine.tree();
        machine.remove(&format!("{ROOT}/slot-2/docker-compose.yml"));
        machine.remove(&format!("{ROOT}/slot-3"));
        run(mask, "apply");
        run(mask, "claim");
        run(mask, "release");
        assert_eq!(machine.mode(&format!("{ROOT}/.lock")), 0o600, "umask {mask}");
        assert_tree(&machine, &applied, format!("umask {mask}"));
        machine.remove("~/.ktrdr");
        applied
    };
    let ordinary = life("022");
    for mask in ["000", "777", "077", "0277", "333"] {
        assert!(life(mask) == ordinary, "umask {mask}");
    }
}

#[test]
fn a_mask_changes_no_mode() {
    modes_under_masks(&[]);
}

#[test]
#[ignore = "needs root, to give up its powers"]
fn a_mask_does_not_lock_kinfra_out_of_its_own_files() {
    // The owner of everything, but without root's power to ignore modes.
    modes_under_masks(&["setpriv", "--inh-caps=-all", "--bounding-set=-all", "--"]);
}
