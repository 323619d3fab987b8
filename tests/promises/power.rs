//! Power cuts: only what the disk holds at that moment is left.
//!
//! The home is an ext4 on a loop device, mounted so that it writes nothing by itself: unsynced data is lost.
//! At every call that changes or syncs something, strace kills kinfra. The image is copied as it is, and
//! mounting the copy recovers its journal as after a power cut. A second copy is made after another program's
//! sync. That sync commits the names of files but not their content, because kinfra must not rely on that
//! order either.
//!
//! ```text
//! cargo test --profile ci -- --ignored power     # as root, with strace
//! ```

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use kinfra::registry::Registry;

use crate::rig::strace::{Call, Injection, Traced, calls};
use crate::rig::{Image, Mount, ROOT, Tree, brief, changes, figure};
use crate::support::{Machine, Run};

/// Mount options: the file system writes only on a sync, and does not flush replaced files by itself.
const OPTIONS: &str = "noatime,commit=600,noauto_da_alloc";

/// The calls that make something last, and those that change something.
const SYNCS: [&str; 3] = ["fsync", "fdatasync", "syncfs"];
const CHANGES: [&str; 14] = [
    "openat",
    "write",
    "pwrite64",
    "writev",
    "ftruncate",
    "fchmod",
    "fchmodat",
    "mkdirat",
    "linkat",
    "unlinkat",
    "rename",
    "renameat",
    "renameat2",
    "symlinkat",
];

/// What a user wrote into a file of a slot.
const BY_HAND: &str = "written by hand\n";

/// A verb on a machine whose home is a disk of its own.
struct Lab {
    machine: Machine,
    verb: &'static str,
    /// Where it is run.
    here: &'static str,
    /// The pool's root.
    root: PathBuf,
    /// The disk before the verb, and the trees before and after an undisturbed run.
    disk: Image,
    old: Tree,
    new: Tree,
    /// The calls of that run at which the power may go.
    points: Vec<Call>,
}

impl Lab {
    fn new(machine: Machine, root: &str, verb: &'static str, prepare: impl Fn(&Machine)) -> Self {
        Self::of_run_in(machine, root, ".", verb, prepare)
    }

    fn of_run_in(
        machine: Machine,
        root: &str,
        here: &'static str,
        verb: &'static str,
        prepare: impl Fn(&Machine),
    ) -> Self {
        let disk = Image::ext4(8, &[]);
        let home = Mount::image(&disk, &machine.home(), OPTIONS);
        fs::set_permissions(machine.home(), fs::Permissions::from_mode(0o700)).expect("a private home");
        prepare(&machine);
        let old = timeless(machine.tree());
        home.end();

        let root = machine.path(root);
        let mut lab = Self { machine, verb, here, root, disk, old, new: Tree::new(), points: Vec::new() };
        let disk = lab.disk.copy();
        let _home = lab.mount(&disk);
        lab.points = calls(&lab.command()).into_iter().filter(may_change).collect();
        lab.new = timeless(lab.machine.tree());
        lab
    }

    fn command(&self) -> Command {
        let mut command = self.machine.command(self.verb);
        command.current_dir(self.machine.path(self.here));
        command
    }

    fn mount(&self, disk: &Image) -> Mount {
        Mount::image(disk, &self.machine.home(), OPTIONS)
    }

    /// Runs the verb on a new disk, with what strace does to it; the power goes when it has ended.
    fn run(&self, injection: &Injection<'_>) -> (Traced, [Image; 2]) {
        let disk = self.disk.copy();
        let _home = self.mount(&disk);
        let trace = self.machine.path("trace");
        let run = injection.run(&self.command(), &trace);
        let cut = disk.copy();
        // Another program's sync commits every name that was made so far.
        fs::set_permissions(self.machine.home(), fs::Permissions::from_mode(0o700)).expect("a mode");
        File::open(self.machine.home()).and_then(|home| home.sync_all()).expect("a synced directory");
        (run, [cut, disk.copy()])
    }

    /// The disk holds the old state or the new one. If kinfra reported success, it holds the new one.
    fn judge(&self, acknowledged: bool) -> Result<(), String> {
        let tree = timeless(self.machine.tree());
        let state = |tree: &Tree, name: &str| tree.get(&self.root.join(name)).cloned();
        let [now, backup] = ["registry.json", "registry.json.bak"].map(|name| state(&tree, name));
        for text in [&now, &backup].into_iter().flatten() {
            let text = text.strip_prefix("600 ").ok_or("a registry is open to others")?;
            Registry::parse(text).map_err(|corrupt| format!("a registry is corrupt, {corrupt}"))?;
        }
        let (old, new) = (state(&self.old, "registry.json"), state(&self.new, "registry.json"));
        if now != old && now != new {
            return Err(format!("the registry is neither the old nor the new one: {}", brief(now.as_ref())));
        }
        if now.is_none() && backup.is_some() {
            return Err("there is a backup and no registry".to_owned());
        }
        for (path, state) in tree.iter().filter(|(path, _)| self.is_slot_s(path) && !is_of_claim(path)) {
            if ![self.old.get(path), self.new.get(path)].contains(&Some(state)) {
                return Err(format!("{} is {}", path.display(), brief(Some(state))));
            }
        }
        // A new slot directory is complete or missing, registered ones exist, and no existing file is lost.
        let appeared = |path: &Path| {
            tree.contains_key(&self.slot_dir(path)) && !self.old.contains_key(&self.slot_dir(path))
        };
        let registered = now == new && now != old;
        let needed = self.new.keys().filter(|path| registered || appeared(path)).chain(self.old.keys());
        let needed = needed.filter(|path| !is_of_claim(path));
        if let Some(lost) = needed.filter(|path| self.is_slot_s(path)).find(|path| !tree.contains_key(*path))
        {
            return Err(format!("{} is not there", lost.display()));
        }
        if !acknowledged {
            return Ok(());
        }
        let is_other = |path: &PathBuf| {
            path.starts_with(self.root.join(".tmp")) || is_of_claim(path) || path.ends_with("journal")
        };
        match changes(&tree, &self.new).iter().find(|path| !is_other(path)) {
            Some(lost) => {
                Err(format!("{} was acknowledged and is {}", lost.display(), brief(tree.get(lost))))
            }
            None => Ok(()),
        }
    }

    /// Whether a path is a slot's directory, or in it.
    fn is_slot_s(&self, path: &Path) -> bool {
        self.slot_dir(path).file_name().is_some_and(|name| name.to_string_lossy().starts_with("slot-"))
    }

    /// The entry of the root that a path is or is in.
    fn slot_dir(&self, path: &Path) -> PathBuf {
        let below = path.strip_prefix(&self.root).ok();
        below.and_then(|below| below.iter().next()).map_or_else(PathBuf::new, |name| self.root.join(name))
    }

    /// After the power cut: judges the disk, and lets kinfra complete the work.
    fn recover(&self, disk: &Image, acknowledged: bool) -> Result<(), String> {
        let _home = self.mount(disk);
        self.judge(acknowledged)?;
        let run = Run::of(&mut self.command());
        if run.code != Some(0) {
            return Err(format!("the next run failed: {run:#?}"));
        }
        let tree = timeless(self.machine.tree());
        // It has the id of the claim, which is random.
        let is_sign = |path: &Path| {
            path.ends_with("journal") || (path.ends_with(".kinfra-claim") && tree.contains_key(path))
        };
        match changes(&tree, &self.new).iter().find(|path| !is_sign(path)) {
            Some(path) => Err(format!("after the next run, {} is {}", path.display(), brief(tree.get(path)))),
            None => Ok(()),
        }
    }

    /// After a power cut during a change of what is there: what was written by hand is there, each file is
    /// whole, and kinfra completes the work.
    fn recover_change(&self, disk: &Image, acknowledged: bool) -> Result<(), String> {
        let _home = self.mount(disk);
        let judge = |is_done: bool| {
            let tree = timeless(self.machine.tree());
            if !tree.values().any(|state| state.ends_with(BY_HAND)) {
                return Err("what was written by hand is lost".to_owned());
            }
            for (path, state) in tree.iter().filter(|(path, _)| self.is_slot_s(path)) {
                if ![self.old.get(path), self.new.get(path)].contains(&Some(state)) {
                    return Err(format!("{} is {}", path.display(), brief(Some(state))));
                }
            }
            // The name of a kept copy has the time in it.
            let is_own = |path: &PathBuf| {
                !["backups", ".tmp"].iter().any(|name| path.starts_with(self.root.join(name)))
            };
            match changes(&tree, &self.new).iter().find(|path| is_own(path)) {
                Some(path) if is_done => Err(format!("{} is {}", path.display(), brief(tree.get(path)))),
                Some(_) | None => Ok(()),
            }
        };
        judge(acknowledged)?;
        let run = Run::of(&mut self.command());
        if run.code != Some(0) {
            return Err(format!("the next run failed: {run:#?}"));
        }
        judge(true).map_err(|why| format!("after the next run, {why}"))
    }

    /// After a power cut during a repair: the next one repairs what is left to repair.
    fn recover_repair(&self, disk: &Image, acknowledged: bool) -> Result<(), String> {
        let _home = self.mount(disk);
        let is_right = || {
            let path = self.root.join("registry.json");
            let [now, new] =
                [timeless(self.machine.tree()), self.new.clone()].map(|tree| tree.get(&path).cloned());
            if now == new { Ok(()) } else { Err(format!("the registry is {}", brief(now.as_ref()))) }
        };
        if acknowledged {
            is_right()?;
        }
        let run = Run::of(&mut self.command());
        if !matches!(run.code, Some(0)) {
            return Err(format!("the next repair failed: {run:#?}"));
        }
        is_right()
    }

    /// Cuts the power at every point that is picked, and after the end.
    fn survive(&self, what: &str, pick: impl Fn(&Call) -> bool) {
        self.survive_by(what, pick, Self::recover);
    }

    fn survive_by(
        &self,
        what: &str,
        pick: impl Fn(&Call) -> bool,
        recover: fn(&Self, &Image, bool) -> Result<(), String>,
    ) {
        let (mut cuts, mut failures) = (0, Vec::new());
        let kills = self.points.iter().filter(|call| pick(call)).map(Some);
        for point in kills.chain([None]) {
            let (run, disks) = self.run(&point.map_or(Injection::None, Injection::Kill));
            assert_eq!(run.code, if point.is_some() { None } else { Some(0) }, "{run:#?}");
            for disk in disks {
                cuts += 1;
                if let Err(why) = recover(self, &disk, point.is_none()) {
                    let when = point.map_or_else(|| "after the end".to_owned(), Call::to_string);
                    failures.push(format!("{when}: {why}"));
                }
            }
        }
        figure(&format!("power cuts survived, {what}: {}/{cuts}", cuts - failures.len()));
        assert!(failures.is_empty(), "{} of {cuts} failed:\n{}", failures.len(), failures.join("\n"));
    }
}

/// Whether a path is a file that a claim writes: the claim is durable before it, and makes it again.
fn is_of_claim(path: &Path) -> bool {
    let in_worktree = path.parent().is_some_and(|dir| dir.ends_with("tree"));
    let in_slot = ["docker-compose.override.yml", ".kinfra-claim"].iter().any(|name| path.ends_with(name));
    in_worktree || in_slot
}

fn may_change(call: &Call) -> bool {
    let makes = call.name != "openat" || call.shown.contains("O_CREAT");
    let to_a_file = !call.shown.contains("<pipe:");
    SYNCS.contains(&&*call.name) || (CHANGES.contains(&&*call.name) && makes && to_a_file)
}

/// A tree without the times and ids of claims.
fn timeless(mut tree: Tree) -> Tree {
    for state in tree.values_mut().filter(|state| state.contains("\"claimed_at\": \"")) {
        let of_one_run =
            ["claimed_at", "claim_id", "lease_until", "claimed_place", "claimed_above", "claim_marked"];
        let of_one_run = of_one_run.map(|key| format!("\"{key}\": \""));
        let is_of_one_run = |line: &&str| of_one_run.iter().any(|key| line.trim_start().starts_with(key));
        *state = state.split_inclusive('\n').filter(|line| !is_of_one_run(line)).collect();
    }
    tree
}

fn first_apply() -> Lab {
    Lab::new(Machine::new(), ROOT, "apply", |_| {})
}

#[test]
#[ignore = "needs root, strace and minutes"]
fn the_power_may_go_at_any_moment_of_the_first_apply() {
    let lab = first_apply();
    assert!(lab.points.len() > 80, "only {} points", lab.points.len());
    lab.survive("apply 0→6", |_| true);
}

#[test]
#[ignore = "needs root, strace and minutes"]
fn the_power_may_go_at_any_moment_of_an_apply_that_restores() {
    let machine = Machine::small();
    machine.edit_spec("\"conf.txt\" =", "\"etc/conf.txt\" = \"conf.txt\"\n\"conf.txt\" =");
    let lab = Lab::new(machine, "~/pool", "apply", |machine| {
        machine.kinfra("apply").exits(0);
        machine.remove("~/pool/slot-1/etc");
        machine.remove("~/pool/slot-2");
    });
    assert!(lab.points.len() > 20, "only {} points", lab.points.len());
    lab.survive("apply 2→2, damaged", |_| true);
}

#[test]
#[ignore = "needs root, strace and minutes"]
fn the_power_may_go_at_any_moment_of_an_apply_that_syncs_everything_at_once() {
    let machine = Machine::small();
    machine.edit_spec("1-2", "1-80");
    let lab = Lab::new(machine, "~/pool", "apply", |_| {});
    assert!(lab.points.iter().any(|call| call.name == "syncfs"), "80 files were synced one by one");
    let mut last = lab.points.iter().map(|call| call.nth).fold(0, usize::max);
    last -= 2;
    // All slots are alike: the points of some slots suffice, with all points that belong to no slot.
    lab.survive("apply 0→80", |call| call.nth % 16 == 0 || call.nth > last || SYNCS.contains(&&*call.name));
}

#[test]
#[ignore = "needs root, strace and minutes"]
fn the_power_may_go_at_any_moment_of_a_claim_or_a_release() {
    let apply = |machine: &Machine| {
        fs::create_dir(machine.path("~/tree")).expect("a worktree");
        Run::of(machine.command("apply").current_dir(machine.path("~/tree"))).exits(0);
    };
    let claim = |machine: &Machine| {
        apply(machine);
        Run::of(machine.command("claim").current_dir(machine.path("~/tree"))).exits(0);
    };
    for lab in [
        Lab::of_run_in(Machine::new(), ROOT, "~/tree", "claim", apply),
        Lab::of_run_in(Machine::new(), ROOT, "~/tree", "release", claim),
    ] {
        assert!(lab.points.len() > 5, "only {} points", lab.points.len());
        lab.survive(lab.verb, |_| true);
    }
}

#[test]
#[ignore = "needs root, strace and minutes"]
fn the_power_may_go_at_any_moment_of_a_change() {
    let machine = Machine::small();
    machine.edit_spec("ids = \"1-2\"", "ids = \"1-3\"");
    let verb = "apply --update --overwrite --prune --auto-approve";
    let lab = Lab::new(machine, "~/pool", verb, |machine| {
        machine.kinfra("apply").exits(0);
        machine.write("~/pool/slot-2/conf.txt", BY_HAND);
        machine.edit_spec("ids = \"1-3\"", "ids = \"1-2\"");
        machine.template("conf.txt", "slot {{ slot.id }}, newer\n");
    });
    assert!(lab.points.len() > 20, "only {} points", lab.points.len());
    lab.survive_by("update, overwrite and prune", |_| true, Lab::recover_change);
}

#[test]
#[ignore = "needs root, strace and minutes"]
fn the_power_may_go_at_any_moment_of_a_reap() {
    let lab = Lab::new(Machine::new(), ROOT, "reap --auto-approve", |machine| {
        machine.kinfra("apply").exits(0);
        fs::create_dir(machine.path("~/tree")).expect("a worktree");
        machine.kinfra("claim --for ../home/tree").exits(0);
        machine.remove("~/tree");
    });
    assert!(lab.points.len() > 5, "only {} points", lab.points.len());
    lab.survive("reap", |_| true);
}

#[test]
#[ignore = "needs root, strace and minutes"]
fn the_power_may_go_at_any_moment_of_a_repair() {
    let lab = Lab::new(Machine::small(), "~/pool", "doctor --repair --auto-approve", |machine| {
        machine.kinfra("apply").exits(0);
        machine.write("~/pool/registry.json", "{");
    });
    assert!(lab.points.len() > 5, "only {} points", lab.points.len());
    lab.survive_by("repair", |_| true, Lab::recover_repair);
}

#[test]
#[ignore = "needs root, strace and minutes"]
fn a_machine_that_lies_about_fsync_is_noticed() {
    let lab = first_apply();
    let judge = |disk: &Image| {
        let _home = lab.mount(disk);
        lab.judge(true)
    };
    let (run, disks) = lab.run(&Injection::Lies("fsync,fdatasync,syncfs"));
    assert_eq!(run.code, Some(0), "{run:#?}");
    for disk in &disks {
        assert!(judge(disk).is_err(), "all syncs are lies, and nothing is lost");
    }
    // One sync is faked at a time. Other syncs still commit the names, so this tests the contents.
    let syncs = lab.points.iter().filter(|call| SYNCS.contains(&&*call.name));
    let (files, dirs): (Vec<_>, Vec<_>) = syncs.partition(|call| lab.is_file(call));
    let noticed = |call: &&&Call| {
        let (run, disks) = lab.run(&Injection::Lie(call));
        assert_eq!(run.code, Some(0), "{run:#?}");
        disks.iter().any(|disk| judge(disk).is_err())
    };
    let unnoticed: Vec<_> = files.iter().filter(|call| !noticed(call)).collect();
    assert!(unnoticed.is_empty(), "these syncs of files do nothing: {unnoticed:#?}");
    assert!(files.len() >= 18, "only {} files are synced", files.len());
    figure(&format!(
        "lies about a sync noticed: {}/{} of files (and {} of directories, which ext4 commits with the files)",
        files.len(),
        files.len(),
        dirs.len()
    ));
}

impl Lab {
    /// Whether a sync is of a file: `fsync(5</home/.tmp/slot-1/conf.txt>) = 0`.
    fn is_file(&self, sync: &Call) -> bool {
        let path =
            sync.shown.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(path, _)| path);
        let name = path.and_then(|path| path.rsplit('/').next()).unwrap_or_default();
        self.new.iter().any(|(path, state)| path.ends_with(name) && !state.ends_with("directory"))
    }
}
