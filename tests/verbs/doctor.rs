//! `kinfra doctor`: each finding is caused for real, and the doctor changes nothing. Repairs are in `repair`.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::support::{Machine, Run};

/// Where the stand-in for docker is.
pub(crate) fn fake_docker() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/fake-docker")
}

/// An applied pool of two slots.
fn applied() -> Machine {
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    machine
}

/// Runs the doctor with the stand-in for docker, which gives these answers, and checks that nothing was
/// changed.
fn examine(machine: &Machine, answers: &[(&str, &str)]) -> Run {
    let before = machine.tree();
    let mut command = machine.command("doctor");
    let run = Run::of(command.env("PATH", fake_docker()).envs(answers.iter().copied()));
    assert_eq!(machine.tree(), before, "{run:#?}");
    run
}

#[test]
fn a_pool_that_is_well_has_nothing_to_do() {
    let machine = applied();
    let run = examine(&machine, &[]).exits(0).never_says("\n      ");
    let findings: Vec<&str> = run.stdout.lines().collect();
    let subjects = findings.iter().map(|line| line.split_once(": ").expect("a subject").0);
    assert_eq!(
        subjects.collect::<Vec<_>>(),
        [
            "  ✓ root",
            "  ✓ registry",
            "  ✓ backup",
            "  ✓ journal",
            "  ✓ lock",
            "  ✓ temporary files",
            "  ✓ slots",
            "  ✓ ports",
            "  ✓ disk space",
            "  ✓ index",
            "  ✓ docker",
            "  ✓ compose",
            "  ✓ docker daemon",
            "  ✓ networks"
        ]
    );
    assert!(run.stdout.contains("pool/registry.json` has 2 slots\n"), "{}", run.stdout);
}

#[test]
fn a_machine_without_a_pool_is_well() {
    let run = examine(&Machine::small(), &[]).exits(0);
    run.prints("  ✓ root: `").prints("/pool` is not there yet: `kinfra apply` makes it\n");
}

#[test]
fn files_that_others_could_read_are_to_be_closed() {
    let machine = applied();
    for (path, mode, private) in [
        ("~/pool", 0o755, 0o700),
        ("~/pool/registry.json", 0o604, 0o600),
        ("~/pool/registry.json.bak", 0o640, 0o600),
        ("~/pool/.lock", 0o644, 0o600),
        ("~/pool/slot-2", 0o711, 0o700),
        ("~/pool/slot-2/conf.txt", 0o644, 0o600),
    ] {
        machine.set_mode(path, mode);
        let what = format!("  ! permissions: `{path}` is open to other users\n      chmod go= {path}\n");
        examine(&machine, &[]).exits(0).prints(&what);
        machine.set_mode(path, private);
    }
    examine(&machine, &[]).never_says("permissions");
}

#[test]
fn a_corrupt_registry_says_where_and_how_to_repair_it() {
    let machine = applied();
    let whole = machine.read("~/pool/registry.json");
    machine.write("~/pool/registry.json", &whole[..200]);
    let run = examine(&machine, &[]).exits(1).prints("  ✗ registry: `").prints("` is corrupt: line ");
    run.prints("\n      `kinfra doctor --repair` shows what can be restored\n");
    machine.remove("~/pool/registry.json");
    let run =
        examine(&machine, &[]).exits(1).prints("  ✗ registry: `").prints("/registry.json` vanished, but");
    run.prints("\n      `kinfra doctor --repair` shows");
}

#[test]
fn whatever_is_broken_the_rest_is_looked_at() {
    let machine = applied().with_real_ports();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    machine.edit_spec("web = 8000", &format!("web = {}", port - 1));
    let busy = format!("port {port}, `web` of slot 1, is used by ");
    machine.write("~/pool/registry.json", "{");
    machine.remove("~/pool/slot-2");
    symlink("/etc", machine.path("~/pool/slot-2")).expect("a link");
    symlink("/etc", machine.path("~/pool/slot-9")).expect("a link");
    let run = examine(&machine, &[]).exits(1).prints("  ✗ registry: ").prints(&busy).prints("disk space: ");
    run.prints("/pool/slot-2` is a symbolic link\n").prints("/pool/slot-9` is a symbolic link\n");
    fs::rename(machine.path("~/pool"), machine.path("~/elsewhere")).expect("a rename");
    examine(&machine, &[]).exits(0).prints("is not there yet").prints(&busy).prints("disk space: ");
}

#[test]
fn a_broken_backup_is_replaced_by_the_next_save() {
    let backup = "~/pool/registry.json.bak";
    let machine = applied();
    machine.write(backup, "{");
    let replaced = "\n      the next save replaces it\n";
    examine(&machine, &[]).exits(0).prints("  ! backup: `").prints("` is corrupt: line 1").prints(replaced);
    machine.remove(backup);
    examine(&machine, &[])
        .exits(0)
        .prints("  ✓ backup: `")
        .prints("` is not there: the next save makes it\n");
    // The next save replaces it, as announced.
    machine.write(backup, "{");
    machine.kinfra("claim").exits(0);
    examine(&machine, &[]).exits(0).prints("  ✓ backup: `");
}

#[test]
fn a_backup_that_is_no_file_stops_every_save() {
    let backup = "~/pool/registry.json.bak";
    let machine = applied();
    let stops = |impostor: &str| {
        let found = format!("registry.json.bak` is {impostor}");
        examine(&machine, &[]).exits(1).prints(&found).prints("move it away: nothing can be saved");
        machine.kinfra("claim").exits(5).says(&found).says("move it away");
        machine.remove(backup);
    };
    machine.remove(backup);
    symlink("/nowhere", machine.path(backup)).expect("a link");
    stops("a symbolic link");
    fs::create_dir(machine.path(backup)).expect("a directory");
    stops("a directory");
}

#[test]
fn a_held_lock_names_its_holder() {
    let machine = applied();
    let path = machine.path("~/pool/.lock");
    let lock = fs::File::options().read(true).write(true).open(&path).expect("a lock");
    lock.lock().expect("the lock");
    fs::write(&path, "4242 0 kinfra apply\n").expect("a signature");
    // The files in `.tmp` belong to the lock's holder.
    machine.write("~/pool/.tmp/slot-3/conf.txt", "");
    let run = examine(&machine, &[]).exits(0).prints("/.lock` is held by process 4242 (kinfra apply) for ");
    run.prints("\n      wait for it\n").never_says("temporary files");
    drop(lock);
    machine.remove("~/pool/.lock");
    symlink("/nowhere", &path).expect("a link");
    examine(&machine, &[])
        .exits(1)
        .prints("  ✗ lock: `")
        .prints("/.lock` is a symbolic link\n      move it away while no kinfra runs\n");
}

#[test]
fn leftovers_of_a_stopped_run_are_counted() {
    let machine = applied();
    machine.write("~/pool/.tmp/slot-3/conf.txt", "");
    machine.write("~/pool/.tmp/registry.json", "");
    let run = examine(&machine, &[]).exits(0).prints("  ! temporary files: 2 left in `");
    run.prints(
        "/pool/.tmp` by a run that was stopped\n      the next `kinfra apply` that writes removes them\n",
    );
    machine.remove("~/pool/.tmp");
    examine(&machine, &[]).exits(0).prints("  ✓ temporary files: none\n");
    symlink("/tmp", machine.path("~/pool/.tmp")).expect("a link");
    let run = examine(&machine, &[]).exits(1).prints("  ✗ temporary files: `");
    run.prints("/pool/.tmp` is a symbolic link\n      move it away\n");
}

#[test]
fn slots_that_lost_something_are_named() {
    let machine = applied();
    machine.remove("~/pool/slot-1/conf.txt");
    machine.remove("~/pool/slot-2");
    let run = examine(&machine, &[]).exits(0).never_says("✓ slots");
    let run = run.prints("  ! slot 1: `").prints("/pool/slot-1/conf.txt` is not there\n");
    run.prints("  ! slot 2: `").prints("/pool/slot-2` is not there\n      `kinfra plan` says whether ");
    symlink("/tmp", machine.path("~/pool/slot-2")).expect("a link");
    fs::create_dir(machine.path("~/pool/slot-1/conf.txt")).expect("a directory");
    let run = examine(&machine, &[]).exits(1);
    let run =
        run.prints("  ✗ slot 1: `").prints("/pool/slot-1/conf.txt` is a directory\n      move it away, ");
    run.prints("  ✗ slot 2: `")
        .prints("/pool/slot-2` is a symbolic link\n      move it away, then `kinfra apply`\n");
}

#[test]
fn an_unregistered_slot_directory_is_named() {
    let machine = applied();
    machine.write("~/pool/slot-7/conf.txt", "");
    machine.write("~/pool/slot-x/conf.txt", "");
    let run = examine(&machine, &[]).exits(0).never_says("slot-x");
    run.prints("  ! slot 7: `")
        .prints("/pool/slot-7` is not in the registry\n      `kinfra plan` says whether");
}

#[test]
fn a_port_in_use_names_who_uses_it() {
    for address in ["127.0.0.1", "0.0.0.0", "::1"] {
        // A machine without IPv6 skips this address.
        let Ok(listener) = TcpListener::bind((address, 0)) else { continue };
        let port = listener.local_addr().expect("an address").port();
        let machine = Machine::small().with_real_ports();
        machine.edit_spec("web = 8000", &format!("web = {}", port - 1));
        machine.kinfra("apply").exits(0);
        let used = format!("  ! ports: port {port}, `web` of slot 1, is used by ");
        let run = examine(&machine, &[]).exits(0).prints(&used);
        if cfg!(target_os = "linux") {
            // The process is not certain: a child that another test is just starting inherits the socket.
            run.prints(" (process ").prints(", or move the base of `web` in slots.toml\n");
        }
        // A claimed slot uses its own ports.
        drop(listener);
        machine.kinfra("claim --slot 1").exits(0);
        let listener = TcpListener::bind((address, port)).expect("the port once more");
        examine(&machine, &[]).exits(0).never_says(&format!("port {port}"));
        drop(listener);
        machine.kinfra("release").exits(0);
        examine(&machine, &[]).exits(0).never_says(&format!("port {port}"));
    }
}

#[test]
fn podman_is_best_effort_and_said_once() {
    let machine = applied();
    let socket = ("DOCKER_HOST", "unix:///run/user/1000/podman/podman.sock");
    let components = ("COMPONENTS", "Podman Engine\nConmon\nOCI Runtime (crun)");
    let finding = "  ! podman: best effort: `docker` talks to Podman, and kinfra is tested with Docker\n";
    for answers in [
        &[socket][..],
        &[components],
        &[("COMMAND", "podman version 4.9.3")],
        &[socket, components],
        &[socket, ("DAEMON", "error:Cannot connect to the Docker daemon at unix:///x")],
    ] {
        let run = examine(&machine, answers).exits(0).prints(finding);
        assert_eq!(run.stdout.matches("Podman").count(), 1, "{run:?}");
    }
    for answers in
        [&[][..], &[("COMPONENTS", "Engine\ncontainerd\nrunc")], &[("COMPONENTS", "error:no Components")]]
    {
        assert!(!examine(&machine, answers).exits(0).stdout.contains("odman"), "{answers:?}");
    }
}

#[test]
fn docker_is_wanted_and_not_needed() {
    let machine = applied();
    let mut command = machine.command("doctor");
    let run = Run::of(command.env("PATH", machine.project())).exits(0);
    run.prints(
        "  ! docker: there is no docker command\n      install Docker; kinfra itself works without it",
    );
    let none = "  ! docker daemon: none answers\n      start Docker before you start a slot's stack\n";
    for said in [
        "error:Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
        "error:failed to connect to the docker API at unix:///var/run/docker.sock; check if the path is correct",
    ] {
        examine(&machine, &[("DAEMON", said)]).exits(0).prints("  ✓ docker: Docker version 28").prints(none);
    }
    let said = "permission denied while trying to connect to the docker API at unix:///var/run/docker.sock";
    let run = examine(&machine, &[("DAEMON", &format!("error:{said}"))]).exits(0);
    run.prints(&format!("  ! docker daemon: {said}\n      check whether Docker runs"));
}

#[test]
fn compose_is_wanted_in_version_2() {
    let machine = applied();
    let advice = "\n      install Docker Compose 2 or newer, the plugin that brings `docker compose`\n";
    for (answer, found) in [
        ("2.26.1", "  ✓ compose: version 2.26.1\n"),
        ("v5.0.0", "  ✓ compose: version v5.0.0\n"),
        ("1.29.2", "  ! compose: version 1.29.2 is too old\n"),
        ("error:unknown flag: --short", "  ! compose: there is no `docker compose`\n"),
        ("error:docker: 'compose' is not a docker command.", "  ! compose: there is no `docker compose`\n"),
        ("error:exec format error", "  ! compose: `docker compose version` fails: exec format error\n"),
    ] {
        let run = examine(&machine, &[("COMPOSE", answer)]).exits(0).prints(found);
        assert_eq!(run.stdout.contains(advice), found.contains('!'), "{run:#?}");
    }
}
