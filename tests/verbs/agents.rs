//! Agents: how they are known, the lease of what they claim, what they read, and what their sandbox keeps
//! kinfra from.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::compose::Shop;
use super::up::up;
use crate::rig::disk;
use crate::support::{Machine, Run};

/// What a verb says to an agent.
fn as_agent(machine: &Machine, arguments: &str) -> Run {
    Run::of(machine.command(arguments).env("CLAUDECODE", "1"))
}

#[track_caller]
fn has_lease(machine: &Machine, length: &str) {
    machine.kinfra("status --json").exits(0).prints(&format!("\"lease\": \"{length}\""));
}

#[test]
fn what_an_agent_claims_has_a_lease_and_what_a_person_claims_stays_without() {
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    as_agent(&machine, "claim").exits(0).says("Next:");
    has_lease(&machine, "8h");
    machine.kinfra("release").exits(0);
    as_agent(&machine, "claim --lease 2h").exits(0);
    has_lease(&machine, "2h");
    machine.kinfra("release").exits(0);

    machine.edit_spec("name = \"small\"", "name = \"small\"\nagent_lease = \"30m\"");
    as_agent(&machine, "claim").exits(0);
    has_lease(&machine, "30m");
    // A renewal keeps the length that was asked for.
    machine.kinfra("renew --lease 3h").exits(0);
    as_agent(&machine, "claim").exits(0);
    has_lease(&machine, "3h");
    machine.kinfra("release").exits(0);

    Run::of(machine.command("claim").env("KINFRA_PLAIN", "1")).exits(0);
    as_agent(&machine, "claim").exits(0);
    let status = machine.kinfra("status --json").exits(0).stdout;
    assert!(!status.contains("\"lease\""), "{status}");
}

#[test]
fn the_claim_of_a_hook_has_the_lease_of_agents() {
    let machine = Machine::small();
    machine.edit_spec("name = \"small\"", "name = \"small\"\nagent_lease = \"45m\"");
    machine.repository(machine.project());
    machine.kinfra("apply").exits(0);
    let tree = machine.worktree("fix");
    Run::of(machine.command("hook run setup").current_dir(&tree)).exits(0);
    Run::of(machine.command("status --json").current_dir(&tree)).exits(0).prints("\"lease\": \"45m\"");
}

/// Ninety slots.
fn large() -> Machine {
    let machine = Machine::small();
    machine.edit_spec("ids = \"1-2\"", "ids = \"1-90\"");
    machine
}

#[track_caller]
fn lines(run: &Run) -> usize {
    run.stdout.lines().count() + run.stderr.lines().count()
}

#[test]
fn an_agent_reads_at_most_60_lines_the_worst_first() {
    let machine = large();
    let all =
        |arguments: &str| Run::of(machine.command(arguments).env("CLAUDECODE", "1").env("KINFRA_PLAIN", "0"));
    let is_long = |arguments: &str, last: &str| {
        let (terse, whole) = (as_agent(&machine, arguments), all(arguments));
        assert!(lines(&whole) > 90, "{arguments}: {whole:?}");
        assert!(lines(&terse) <= 60, "{arguments}: {terse:?}");
        let terse = terse.prints(" lines are left out: `KINFRA_PLAIN=0` shows them\n");
        assert!(terse.stdout.contains(last), "{arguments}: {terse:?}");
        let json = as_agent(&machine, &format!("{arguments} --json")).stdout;
        assert_eq!(json, all(&format!("{arguments} --json")).stdout, "{arguments}");
        terse
    };
    is_long("plan", "Plan: 90 to add");
    machine.kinfra("apply").exits(0);
    fs::create_dir(machine.path("~/gone")).expect("a directory");
    Run::of(machine.command("claim --slot 77 --for").arg(machine.path("~/gone"))).exits(0);
    machine.remove("~/gone");
    let slots = is_long("slots", "\n   90");
    let row = slots.stdout.lines().nth(1).expect("a row");
    assert!(row.trim_start().starts_with("77 ") && row.contains("orphaned"), "{row}");
    let row = all("slots").stdout.lines().nth(1).map(str::to_owned);
    assert!(row.is_some_and(|row| row.trim_start().starts_with("1 ")));

    // What is blocked comes first.
    machine.template("conf.txt", "slot {{ slot.id }}\n");
    machine.write("~/pool/slot-80/conf.txt", "mine\n");
    let plan = is_long("plan --update", "Blocked: 2 to change");
    let first = plan.stdout.lines().find(|line| line.contains("lot ")).expect("a slot").to_owned();
    assert!(first.contains("Slot 77"), "{first}");

    let first = |run: Run| run.stdout.lines().next().expect("a finding").trim_start().to_owned();
    assert!(!first(as_agent(&machine, "doctor")).starts_with('✓'));
    assert!(first(all("doctor")).starts_with('✓'));
}

#[test]
fn an_agent_reads_of_a_start_only_what_it_comes_to() {
    let shop = Shop::new();
    let mut start = up(&shop, "");
    let run = Run::of(start.env("CODEX_CI", "1")).exits(0);
    run.never_says("web: healthy")
        .says("The stack of slot 1 runs\n")
        .says("Next: `kinfra logs` shows")
        .prints("http://web.slot-1.localhost:8001");
}

#[test]
fn a_sandbox_that_keeps_docker_away_is_named() {
    let shop = Shop::new();
    let said = "permission denied while trying to connect to the Docker daemon socket at unix:///no.sock: x";
    let mut start = up(&shop, "");
    start.env("CONTAINERS", format!("error:{said}"));
    Run::of(&mut start).exits(9).says("permission denied");
    let run = Run::of(start.env("GEMINI_CLI", "1")).exits(9);
    run.says("the sandbox of Gemini CLI keeps kinfra from Docker").never_says("permission denied");
}

#[test]
#[cfg(target_os = "linux")]
fn a_sandbox_that_keeps_a_path_away_is_named() {
    // No user can make a directory there.
    let machine = super::hook::repository();
    let arguments = "skill install --path /sys/kinfra";
    machine.kinfra(arguments).exits(1).says("(os error ");
    let run = as_agent(&machine, arguments).exits(1);
    run.says("the sandbox of Claude Code")
        .says("kinfra from it")
        .says("help: run it outside of the sandbox")
        .never_says("(os error ");
}

/// Every file and directory below one, with its time and its bytes.
fn everything(dir: &Path) -> Vec<(PathBuf, std::time::SystemTime, Vec<u8>)> {
    let mut found = Vec::new();
    let mut left = vec![dir.to_owned()];
    while let Some(path) = left.pop() {
        let kind = path.symlink_metadata().expect("metadata");
        if kind.is_dir() {
            left.extend(fs::read_dir(&path).expect("a list").map(|entry| entry.expect("an entry").path()));
        }
        let bytes = if kind.is_file() { fs::read(&path).expect("bytes") } else { Vec::new() };
        found.push((path, kind.modified().expect("a time"), bytes));
    }
    found.sort();
    found
}

#[test]
fn env_and_status_write_nothing() {
    let machine = Machine::claimed();
    let before = everything(&machine.home());
    let dirs = before.iter().map(|(path, ..)| path).filter(|path| path.is_dir());
    let set = |mode: u32| {
        let mode = fs::Permissions::from_mode(mode);
        dirs.clone().for_each(|dir| fs::set_permissions(dir, mode.clone()).expect("a mode"));
    };
    set(0o500);
    let runs = ["env", "env --format json", "status", "status --json"].map(|verb| as_agent(&machine, verb));
    set(0o700);
    for run in runs {
        run.exits(0);
    }
    assert_eq!(everything(&machine.home()), before);
}

#[test]
#[ignore = "needs root, to mount"]
fn env_and_status_work_on_a_read_only_home() {
    let shop = Shop::new();
    let home = shop.machine.home();
    let on_read_only = |arguments: &str| {
        let kinfra = shop.command(arguments);
        let script =
            "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" && cd \"$0/fix\" && exec \"$@\"";
        Run::of(disk::among_mounts(&kinfra, script, &home).env("CODEX_SANDBOX", "x"))
    };
    // Compose refuses a file that is missing, and so does not mean the main stack.
    let first = on_read_only("env").exits(0).prints("SHOP_WEB_PORT").prints("kinfra-overlay.yaml");
    first.says("`docker compose` fails").says("the sandbox of Codex keeps kinfra from it");
    shop.kinfra("env").exits(0);
    on_read_only("env").exits(0).prints("SHOP_WEB_PORT").never_says("warning");
    shop.machine.write("~/fix/compose.yaml", "services: {web: {image: other, ports: [\"8000:80\"]}}\n");
    on_read_only("env").exits(4).says("the sandbox of Codex keeps kinfra from it").never_says("COMPOSE_FILE");
    on_read_only("status").exits(0).prints("Slot 1 (only) is yours");
    on_read_only("slots").exits(0);
    on_read_only("release").says("slot 1 stays held").never_says("Released");
    let refused = on_read_only("claim");
    assert_ne!(refused.code, Some(0), "{refused:?}");
    refused.says("the sandbox of Codex keeps kinfra from it").never_says("(os error 30)");
}
