//! Engines that go and come back, several at once, and a full one: real engines of the test's own.

use std::fs;
use std::process::Command;

use crate::rig::daemon::Daemon;
use crate::rig::disk::{Image, Mount};
use crate::rig::engine::{BUSYBOX, Engine};
use crate::support::{Machine, Run};

const SPEC: &str = "version = 1
[pool]
name = \"lies-reboot\"
root = \"~/pool\"
env_prefix = \"R_\"
[ports]
web = 28710
[[profiles]]
name = \"only\"
[[slots]]
ids = \"1-2\"
profile = \"only\"
[compose]
files = [\"compose.yaml\"]
";

/// A project whose main worktree holds slot 1.
fn project() -> Machine {
    let machine = Machine::new().with_real_ports();
    machine.install("docker");
    machine.spec(SPEC);
    machine.write(
        "compose.yaml",
        format!(
            "services:\n  web:\n    image: {BUSYBOX}\n    command: [sleep, '600']\n    init: true\n    \
             network_mode: none\n    stop_grace_period: 0s\n"
        ),
    );
    machine.repository(machine.project());
    machine.kinfra("apply").exits(0);
    machine.kinfra("claim --slot 1").exits(0);
    machine
}

#[test]
#[ignore = "needs docker"]
fn each_stack_stays_in_its_context_and_is_brought_back_there() {
    let machine = project();
    let here = Engine::for_projects(&["lies-reboot-slot-2"]);
    let mut daemon = Daemon::start();
    let there = daemon.engine(&["lies-reboot-slot-1"]);
    let create = |name: &str, engine: &Engine| {
        let host = format!("host={}", engine.address());
        there.docker(&["context", "create", name, "--docker", &host]).exits(0);
    };
    create("there", &there);
    create("here", &here);
    let command = |context: &str, arguments: &str| -> Command {
        let mut command = machine.command(arguments);
        there.reach(&mut command).env_remove("DOCKER_HOST").env("DOCKER_CONTEXT", context);
        command
    };
    let kinfra = |context: &str, arguments: &str| Run::of(&mut command(context, arguments));
    let there_in_use = "the Docker context `there` (in use is the Docker context `here`)";

    kinfra("there", "up").exits(0).never_says("Docker context");
    let b = machine.worktree("b");
    Run::of(command("here", "up").current_dir(&b)).exits(0);
    assert_eq!((here.made_by("lies-reboot-slot-2").len(), there.made_by("lies-reboot-slot-1").len()), (1, 1));
    let both = kinfra("here", "slots").exits(0);
    assert_eq!(both.stdout.matches("1/1").count(), 2, "each engine is asked: {}", both.stdout);
    both.says(&format!("Slot 1 is in {there_in_use}"));
    kinfra("here", "status").exits(0).prints(there_in_use);
    kinfra("here", "up").exits(0).says(there_in_use).says("runs already");
    kinfra("here", "doctor").prints(there_in_use);

    daemon.kill();
    kinfra("here", "slots").exits(0).says(&format!("Slot 1: {there_in_use} does not answer"));
    kinfra("here", "up --all").exits(9).says("slot 1 is left as it is").says("`there`");
    daemon.start_again();
    kinfra("here", "slots").exits(0).prints("was up").says("Slot 1 was up and stopped");
    kinfra("here", "up --all").exits(0).prints_exactly("Slot 1 (project) is up\n");
    assert_eq!(there.docker(&["ps", "--quiet"]).exits(0).stdout.lines().count(), 1);

    there.docker(&["context", "rm", "there"]).exits(0);
    let gone = format!("{there_in_use} is not there any more");
    kinfra("here", "slots").exits(0).says(&gone);
    kinfra("here", "down").exits(9).says(&gone);
    kinfra("here", "release").exits(9).says(&gone).says("not clean yet");
    kinfra("here", "clean 1 --auto-approve").exits(9).says(&gone);
    assert_eq!(there.made_by("lies-reboot-slot-1").len(), 1, "nothing is lost");
    create("there", &there);
    kinfra("here", "clean 1 --auto-approve").exits(0).says(there_in_use);
    assert_eq!(there.made_by("lies-reboot-slot-1"), Vec::<String>::new());
    Run::of(command("here", "release --wipe").current_dir(&b)).exits(0);
}

#[test]
#[ignore = "needs docker, and root for a loop device"]
fn a_full_data_directory_of_docker_stops_a_start() {
    let machine = project();
    let (mut mount, image) = (None, Image::ext4(256, &[]));
    let daemon = Daemon::start_with(|data| mount = Some((Mount::image(&image, data, "rw"), data.to_owned())));
    let engine = daemon.engine(&["lies-reboot-slot-1"]);
    let (mount, data) = mount.expect("a mount");
    let up = || Run::of(engine.reach(&mut machine.command("up")));
    up().exits(0);
    Run::of(engine.reach(&mut machine.command("down"))).exits(0);
    let filling = data.join("filling");
    let mut file = fs::File::create(&filling).expect("a file");
    let full = std::io::copy(&mut std::io::repeat(0), &mut file).expect_err("the disk is full");
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    drop(file);
    let place = format!("left on the disk of Docker's data, `{}`", data.display());
    up().exits(4).prints_exactly("").says("nothing is started: 0 MiB").says(&place);
    assert_eq!(engine.made_by("lies-reboot-slot-1"), Vec::<String>::new());
    fs::remove_file(filling).expect("a file");
    up().exits(0);
    Run::of(engine.reach(&mut machine.command("release --wipe"))).exits(0);
    drop((engine, daemon));
    mount.end();
}
