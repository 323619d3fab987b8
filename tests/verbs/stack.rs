//! `kinfra down`, `logs`, `shell` and `reset`. Docker is a stand-in here; `acceptance/stack_verbs` has the
//! real one.

use super::compose::Shop;
use super::up::{container, running, up};
use crate::support::tools::set_mode;
use crate::support::{PLUGIN, Run, SHOP};

/// A container and a volume of slot 1, as Docker lists them.
fn things(shop: &Shop) -> (String, String) {
    let registry = shop.machine.read("~/pool/registry.json");
    let id = registry.split_once("\"id\": \"").and_then(|(_, rest)| rest.split_once('"')).expect("an id").0;
    let thing =
        |key: &str, name: &str| format!("[\"{key}\",\"{name}\",\"shop-slot-1\",\"\",\"{id}\",\"/x\",\"1\"]");
    (thing("id-web", "shop-slot-1-web-1"), thing("shop-slot-1_data", "shop-slot-1_data"))
}

#[test]
fn without_a_slot_nothing_is_done() {
    let shop = Shop::new();
    for verb in ["down", "logs", "shell", "reset --auto-approve"] {
        let mut main = shop.command(verb);
        Run::of(main.current_dir(shop.machine.project())).exits(3).prints_exactly("").says("holds no slot");
        shop.kinfra(&format!("{verb} --slot 2")).exits(3).says("no worktree holds slot 2");
    }
    assert!(!shop.machine.exists("~/calls"));
}

#[test]
fn down_removes_by_id_and_keeps_the_claim() {
    let shop = Shop::new();
    Run::of(&mut up(&shop, "")).exits(0);
    let (web, data) = things(&shop);
    // A stand-in that removes nothing: what Docker shows at the end counts.
    let mut down = shop.command("down");
    Run::of(down.env("CONTAINERS", web).env("VOLUMES", &data)).exits(1).says("cannot be removed");
    let calls = shop.machine.read("~/calls");
    assert!(calls.contains("container rm --force --volumes id-web\n"), "{calls}");
    assert!(!calls.contains("volume rm") && !calls.contains(" down"), "{calls}");
    Run::of(shop.command("down").env("VOLUMES", &data)).exits(0).says("Kept").says("shop-slot-1_data");
    Run::of(shop.command("down -v").env("VOLUMES", &data)).exits(1);
    assert!(shop.machine.read("~/calls").contains("volume rm shop-slot-1_data\n"));
    shop.kinfra("status").exits(0).prints("Slot 1 (only) is yours");
    // It is started anew, though nothing of its files changed.
    let before = shop.machine.read("~/calls").matches(" up --detach ").count();
    Run::of(&mut up(&shop, "")).exits(0);
    assert_eq!(shop.machine.read("~/calls").matches(" up --detach ").count(), before + 1);
}

#[test]
fn logs_become_those_of_compose() {
    let shop = Shop::new();
    let by_name = "ran docker compose --project-name shop-slot-1 --project-directory / logs";
    shop.kinfra("logs").exits(0).prints_exactly(&format!("{by_name}\n"));
    shop.kinfra("logs web -f --since 10m --tail 5")
        .exits(0)
        .prints_exactly(&format!("{by_name} --follow --since=10m --tail=5 web\n"));
    let registry = shop.machine.read("~/pool/registry.json");
    shop.kinfra("logs --failing").exits(0).prints_exactly("").says("No service of slot 1 fails");
    assert_eq!(shop.machine.read("~/pool/registry.json"), registry, "logs write nothing");
}

#[test]
fn a_shell_is_for_the_service_that_is_meant() {
    let shop = Shop::new();
    Run::of(&mut up(&shop, "")).exits(0);
    let shell = |arguments: &str, services: &[&str]| {
        let mut shell = shop.command(&format!("shell {arguments}"));
        let ids: Vec<String> = services.iter().map(|service| format!("id-{service}")).collect();
        let inspected: Vec<String> = services.iter().map(|service| container(service, &running())).collect();
        shell.env("UP", shop.machine.path("~/is-up")).env("IDS", ids.join("\n"));
        Run::of(shell.env("INSPECTED", inspected.join("\n")))
    };
    shell("", &["web"]).exits(0).prints("ran docker exec --interactive id-web sh -c ").prints("exec bash");
    shell("-- ls -l", &["web"]).exits(0).prints_exactly("ran docker exec --interactive id-web ls -l\n");
    shell("db -- psql", &["db", "web"]).exits(0).prints("id-db psql\n");
    shell("", &["db", "web"]).exits(64).says("several services of slot 1 run: db, web\nhelp: name one");
    shell("x", &["db"]).exits(7).says("`x` does not run in slot 1: db do");
    shell("", &[]).exits(7).says("nothing runs in slot 1\nhelp: `kinfra up`");
    shop.machine.spec(&format!("{SHOP}[stack]\nshell = \"db\"\n"));
    shell("", &["db", "web"]).exits(0).prints("id-db sh -c");
}

#[test]
fn a_reset_asks_before_it_removes_data() {
    let shop = Shop::new();
    Run::of(&mut up(&shop, "")).exits(0);
    let (web, data) = things(&shop);
    let reset = |arguments: &str| {
        let mut reset = up(&shop, "");
        let mut words = shop.command(&format!("reset --settle 0s {arguments}"));
        words.envs(reset.env("CONTAINERS", &web).get_envs().filter_map(|(name, value)| Some((name, value?))));
        words.env("VOLUMES", &data);
        Run::of(&mut words)
    };
    let plan = "Would remove from slot 1, and start it anew:\n  - container shop-slot-1-web-1\n  - volume shop-slot-1_data\n";
    reset("").exits(4).says(plan).says("this needs approval");
    assert!(!shop.machine.read("~/calls").contains(" rm "));
    // The stand-in removes nothing.
    reset("--auto-approve").exits(1).says("container `shop-slot-1-web-1` cannot be removed");
    assert!(shop.machine.read("~/calls").contains("volume rm shop-slot-1_data\n"));
    reset("nope --auto-approve").exits(64).says("slot 1 has no service `nope`");
}

#[test]
fn without_compose_what_passes_on_to_it_says_so() {
    let shop = Shop::new();
    let docker = shop.machine.path("~/bin/docker");
    shop.machine.write(
        "~/bin/docker",
        "#!/bin/sh\n[ \"$1\" != compose ] || { echo \"unknown flag: --project-name\" >&2; exit 125; }\n",
    );
    set_mode(&docker, 0o755);
    // The overlay is there, so nothing else asks Compose.
    Run::of(&mut up(&shop, "")).exits(0);
    for verb in ["logs", "logs web", "compose ps", "compose logs"] {
        let mut command = shop.command(verb);
        command.env("PATH", docker.parent().expect("a directory")).env(PLUGIN, "false");
        let run = Run::of(&mut command).exits(9).never_says("unknown flag");
        run.says("Docker Compose is needed for the stack of slot 1, and it is not there")
            .says("help: install Docker with the Compose plugin");
        // A plugin that is there is not asked for: what it says is passed on.
        Run::of(command.env(PLUGIN, "true")).exits(125).says("unknown flag");
    }
}
