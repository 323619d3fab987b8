//! What a release leaves of a stack on a real engine, and who gets a slot after it.

use crate::rig::engine::{BUSYBOX, Engine};
use crate::support::{Machine, Run, shop};

/// A project with a volume, an image of its own and an anonymous volume, and a pool of two slots.
struct Shop<'a> {
    machine: Machine,
    engine: &'a Engine,
    pool: &'static str,
}

impl<'a> Shop<'a> {
    fn new(pool: &'static str, slots: &str, web: u16, engine: &'a Engine) -> Self {
        let machine = Machine::new().with_real_ports();
        machine.install("docker");
        machine.spec(&shop(pool, web).replace("1-2", slots));
        machine.write(
            "compose.yaml",
            format!(
                "services:\n  web:\n    build: .\n    command: [sleep, '1000']\n    init: true\n    \
                 ports: ['{web}:80']\n    volumes: ['store:/store']\nvolumes:\n  store: {{}}\n"
            ),
        );
        let of = machine.project().display().to_string();
        machine.write("Dockerfile", format!("FROM {BUSYBOX}\nRUN echo {of} >/of\nVOLUME /cache\n"));
        machine.repository(machine.project());
        Run::of(engine.reach(&mut machine.command("apply"))).exits(0);
        Self { machine, engine, pool }
    }

    fn worktree(&self, branch: &str) {
        let tree = self.machine.path(&format!("~/{branch}"));
        self.machine
            .git(self.machine.project(), &format!("worktree add --quiet -B {branch} {}", tree.display()));
    }

    /// kinfra in a worktree.
    fn kinfra(&self, branch: &str, arguments: &str) -> Run {
        let tree = self.machine.path(&format!("~/{branch}"));
        Run::of(self.engine.reach(self.machine.command(arguments).current_dir(tree)))
    }

    /// Lets the last failure to clean slot 1 be minutes ago.
    fn fails_minutes_ago(&self) {
        let text = self.machine.read("~/pool/registry.json");
        let mut registry: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        registry["slots"]["1"]["left"]["failed_at"] = "2026-03-01T17:22:10+00:00".into();
        self.machine.write("~/pool/registry.json", registry.to_string());
    }

    /// Claims, starts the stack, and writes into its volume.
    fn uses(&self, branch: &str) -> Run {
        let claimed = self.kinfra(branch, "claim").exits(0);
        self.kinfra(branch, "compose up -d --build").exits(0);
        self.kinfra(branch, &format!("compose exec -T web touch /store/{branch}")).exits(0);
        claimed
    }

    /// What is in the volume of a worktree's slot.
    fn stored(&self, branch: &str) -> String {
        self.kinfra(branch, "compose up -d --build").exits(0);
        self.kinfra(branch, "compose exec -T web ls /store").exits(0).stdout
    }

    /// What a slot has on the engine, by kind.
    fn made(&self, slot: u16) -> Vec<String> {
        let made = self.engine.made_by(&format!("{}-slot-{slot}", self.pool));
        made.iter().filter_map(|thing| thing.split(' ').next()).map(str::to_owned).collect()
    }

    /// The volumes of a slot's containers, whatever their names, sorted.
    fn mounted(&self, slot: u16) -> Vec<String> {
        let filter = format!("label=com.docker.compose.project={}-slot-{slot}", self.pool);
        let ids = self.engine.docker(&["ps", "--all", "--quiet", "--filter", &filter]).exits(0).stdout;
        let format = "{{range .Mounts}}{{.Name}}\n{{end}}";
        let ids = ids.lines();
        let inspect: Vec<&str> = ["inspect", "--format", format].into_iter().chain(ids).collect();
        let names = self.engine.docker(&inspect).exits(0).stdout;
        let mut names: Vec<String> =
            names.lines().filter(|name| !name.is_empty()).map(str::to_owned).collect();
        names.sort();
        names
    }
}

#[test]
#[ignore = "needs a Docker engine"]
fn data_is_kept_for_its_worktree_until_another_needs_the_slot() {
    let engine = Engine::for_projects(&["kinfra-kept-slot-1", "kinfra-kept-slot-2"]);
    let shop = Shop::new("kinfra-kept", "1-2", 29_400, &engine);
    for branch in ["cats", "dogs", "mice"] {
        shop.worktree(branch);
    }
    shop.uses("cats");
    let released = shop.kinfra("cats", "release").exits(0);
    released
        .prints("Removed 1 container, 1 network, 1 image\n")
        .prints("Kept for its worktree: volume kinfra-kept-slot-1_store");
    assert_eq!(shop.made(1), ["volume"]);
    // The other slot is given first, and its data comes back to the one that it is of.
    shop.kinfra("dogs", "claim").exits(0).prints("Claimed slot 2");
    shop.kinfra("cats", "claim").exits(0).prints("Claimed slot 1").says("has the volumes of this worktree");
    assert_eq!(shop.stored("cats"), "cats\n");
    shop.kinfra("cats", "release").exits(0);
    // Now another one needs it.
    let claimed = shop.kinfra("mice", "claim").exits(0).prints("Claimed slot 1");
    claimed.says("Cleaned slot 1: 1 volume, ").says("of cats, released just now");
    assert_eq!(shop.made(1), [""; 0]);
    assert_eq!(shop.stored("mice"), "");
    shop.kinfra("mice", "release --wipe").exits(0).never_says("Kept");
    assert_eq!(shop.made(1), [""; 0]);
    let released = shop.kinfra("dogs", "release").exits(0);
    assert_eq!(released.stdout.lines().count(), 1, "it was never started: {released:?}");
}

#[test]
#[ignore = "needs a Docker engine"]
fn a_wipe_leaves_nothing_and_a_worktree_made_anew_is_another() {
    let engine = Engine::for_projects(&["kinfra-wipe-slot-1"]);
    let shop = Shop::new("kinfra-wipe", "1", 29_500, &engine);
    shop.worktree("cats");
    shop.uses("cats");
    // The new container of a service has the volume without a name of the one before.
    let before = shop.mounted(1);
    shop.kinfra("cats", "compose up -d --force-recreate").exits(0);
    let mounted = shop.mounted(1);
    assert_eq!(mounted.len(), 2, "one of them has no name of its own: {mounted:?}");
    assert_eq!(mounted, before);
    shop.kinfra("cats", "release --wipe").exits(0).prints("volume kinfra-wipe-slot-1_store (");
    for volume in &mounted {
        let inspected = engine.docker(&["volume", "inspect", volume]);
        assert_ne!(inspected.code, Some(0), "{volume} is still there");
    }
    assert_eq!(shop.made(1), [""; 0]);
    // What a release keeps is not for another worktree at the same place.
    shop.uses("cats");
    shop.kinfra("cats", "release").exits(0);
    let tree = shop.machine.path("~/cats");
    let remove = format!("worktree remove --force {}", tree.display());
    shop.machine.git(shop.machine.project(), &remove);
    shop.worktree("cats");
    shop.kinfra("cats", "claim").exits(0).says("Cleaned slot 1: 1 volume");
    assert_eq!(shop.stored("cats"), "");
    // One whose worktree is gone is wiped by a reap.
    shop.machine.git(shop.machine.project(), &remove);
    shop.machine.write("~/beside", "keeps the directory above from being empty");
    let reap = Run::of(engine.reach(&mut shop.machine.command("reap --auto-approve"))).exits(0);
    reap.prints("Would release slot 1").says("Cleaned slot 1: 1 container, 1 network, 1 image, 1 volume");
    assert_eq!(shop.made(1), [""; 0]);
}

#[test]
#[ignore = "needs a Docker engine"]
fn what_another_program_uses_stays_and_the_slot_is_quarantined() {
    let engine = Engine::for_projects(&["kinfra-stuck-slot-1", "kinfra-stuck-other"]);
    let shop = Shop::new("kinfra-stuck", "1", 29_600, &engine);
    shop.worktree("cats");
    shop.worktree("dogs");
    shop.uses("cats");
    let label = "com.docker.compose.project=kinfra-stuck-other";
    let mount = "kinfra-stuck-slot-1_store:/store";
    let run =
        ["run", "--detach", "--init", "--name", "kinfra-stuck-guest", "--label", label, "--volume", mount];
    engine.docker(&[&run[..], &[BUSYBOX, "sleep", "1000"]].concat()).exits(0);
    let failed = shop.kinfra("cats", "release --wipe").exits(1);
    failed
        .prints("Released slot 1")
        .says("slot 1 is free, but not clean yet")
        .says("volume `kinfra-stuck-slot-1_store`, used by `kinfra-stuck-guest`")
        .says("help: end what uses it, and run `kinfra clean 1`");
    for _ in 0..4 {
        let again = shop.kinfra("dogs", "claim").exits(3);
        again.says("slot 1 is free, but it is not clean yet");
    }
    shop.kinfra("dogs", "claim --wait=1s").exits(3).says("not clean yet");
    for _ in 0..2 {
        shop.fails_minutes_ago();
        shop.kinfra("dogs", "claim").exits(3);
    }
    let quarantined = shop.kinfra("dogs", "claim").exits(3);
    quarantined.says("slot 1 is free, but it is quarantined").says("used by `kinfra-stuck-guest`");
    // A waiter does not wait for what cannot come.
    shop.kinfra("dogs", "claim --wait").exits(3).never_says("Waiting");
    engine.docker(&["rm", "--force", "kinfra-stuck-guest"]).exits(0);
    shop.kinfra("dogs", "claim").exits(3).says("quarantined");
    shop.kinfra("dogs", "clean 1").exits(4).prints("  - Would clean slot 1, of cats").says("approval");
    shop.kinfra("dogs", "clean 1 --auto-approve").exits(0).says("Cleaned slot 1: 1 volume");
    shop.kinfra("dogs", "clean 1").exits(0).prints("Slot 1 is clean\n");
    shop.kinfra("dogs", "claim").exits(0).prints("Claimed slot 1");
    shop.kinfra("cats", "clean 1").exits(4).says("slot 1 is held by");
}

#[test]
#[ignore = "needs a Docker engine"]
fn an_engine_that_does_not_answer_leaves_the_slot_dirty() {
    let engine = Engine::for_projects(&["kinfra-mute-slot-1"]);
    let shop = Shop::new("kinfra-mute", "1", 29_700, &engine);
    shop.worktree("cats");
    shop.worktree("dogs");
    shop.uses("cats");
    let without_docker = |branch: &str, arguments: &str| {
        let mut command = shop.machine.command(arguments);
        command.current_dir(shop.machine.path(&format!("~/{branch}"))).env("PATH", "/nonexistent");
        Run::of(&mut command)
    };
    let reason = "Docker cannot say what is left of the stack: there is no `docker` command";
    without_docker("cats", "release --wipe").exits(9).prints("Released slot 1").says(reason);
    assert!(shop.made(1).len() >= 4, "nothing went: {:?}", shop.made(1));
    // That it cannot be asked does not count against the slot, however often.
    for _ in 0..4 {
        let refused = without_docker("dogs", "claim").exits(9).says(reason);
        refused.says("error: no slot can be given: Docker cannot be asked what is left in slot 1\n");
    }
    // Another engine than the one that the stack was started on says nothing of it.
    let mut elsewhere = shop.machine.command("claim");
    elsewhere.current_dir(shop.machine.path("~/dogs"));
    let claimed = Run::of(engine.reach(&mut elsewhere).env("DOCKER_HOST", "unix:///nonexistent")).exits(0);
    claimed.says("Cleaned slot 1: 1 container, 1 network, 1 image, 1 volume");
    assert_eq!(shop.made(1), [""; 0]);
}

#[test]
#[ignore = "needs a Docker engine"]
fn what_docker_makes_anew_where_a_running_stacks_worktree_was_goes_if_it_is_empty() {
    let engine = Engine::for_projects(&["kinfra-anew-slot-1", "kinfra-anew-slot-2"]);
    let shop = Shop::new("kinfra-anew", "1-2", 29_640, &engine);
    shop.machine.write("~/beside", "keeps the directory above from being empty");
    for (slot, tree, written) in [(1, "cats", ""), (2, "dogs", "touch /data/log")] {
        shop.worktree(tree);
        let mounted = shop.machine.read(&format!("~/{tree}/compose.yaml"));
        let mounted = mounted.replace("['store:/store']", "['store:/store', './data:/data']");
        shop.machine.write(&format!("~/{tree}/compose.yaml"), mounted);
        shop.kinfra(tree, "claim").exits(0);
        shop.kinfra(tree, "compose up -d --build").exits(0);
        let path = shop.machine.path(&format!("~/{tree}"));
        shop.machine.git(shop.machine.project(), &format!("worktree remove --force {}", path.display()));
        assert!(!path.exists());
        let container = format!("kinfra-anew-slot-{slot}-web-1");
        engine.docker(&["restart", "--time", "0", &container]).exits(0);
        assert!(path.join("data").is_dir(), "Docker makes it anew");
        if !written.is_empty() {
            engine.docker(&["exec", &container, "sh", "-c", written]).exits(0);
        }
    }
    let reap = Run::of(engine.reach(&mut shop.machine.command("reap --auto-approve"))).exits(0);
    reap.says("/cats, which Docker had made anew for a container\n")
        .says("/dogs, which Docker had made anew for a container: ")
        .says("/dogs/data/log` is in it; `sudo rm -r ");
    assert!(!shop.machine.path("~/cats").exists() && shop.machine.path("~/dogs/data/log").is_file());
    assert_eq!((shop.made(1), shop.made(2)), (Vec::new(), Vec::new()));
}
