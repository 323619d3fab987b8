//! What the gate of `kinfra compose` knows besides the files as they are: services that are named, what still
//! runs, broken files, and a slot in the main worktree. Docker is a stand-in here.

use serde_json::{Value, json};

use super::compose::{COMPOSE, Shop, model};
use crate::rig::listed::thing;
use crate::support::{Run, SHOP};

/// Mounts of one directory, where it holds data.
fn data(source: &str) -> Value {
    json!([{"type": "bind", "source": source, "target": "/var/lib/postgresql/data"}])
}

/// The model of a slot with one more service, of a profile.
fn with_tool(port: u16, volumes: &Value) -> String {
    let mut model: Value = serde_json::from_str(&model("shop-slot-1", port, &json!([]))).expect("JSON");
    model["services"]["tool"] = json!({"image": "x", "profiles": ["tools"], "volumes": volumes});
    model["services"]["helper"] = json!({"image": "x", "profiles": ["tools"]});
    model.to_string()
}

/// What Docker says of a container of slot 1, with the labels of its pool.
fn container(shop: &Shop, slot: u16) -> String {
    let registry: Value = serde_json::from_str(&shop.machine.read("~/pool/registry.json")).expect("JSON");
    let id = registry["id"].as_str().expect("an id");
    let project = format!("shop-slot-{slot}");
    thing(&format!("{project}-web-1"), &project, id, "/x")
}

/// A start of slot 2 that mounts something.
fn second_up(shop: &Shop, volumes: &Value, containers: &str) -> Run {
    let mut up = shop.command("compose up");
    up.current_dir(shop.machine.path("~/other")).env("CONTAINERS", containers);
    Run::of(up.env("SLOT_MODEL", model("shop-slot-2", 8002, volumes)))
}

#[test]
fn a_service_that_is_named_is_proven_whatever_its_profile() {
    let shop = Shop::new();
    let run = |arguments: &str| {
        let mut compose = shop.command(arguments);
        compose.env("ALL_MODEL", with_tool(8001, &data("/srv/pg")));
        Run::of(compose.env("MAIN_MODEL", model("project", 8000, &data("/srv/pg"))))
    };
    for arguments in
        ["compose run --rm tool sh", "compose up -d tool", "compose up helper", "compose create tool"]
    {
        run(arguments).exits(4).says("mount `/srv/pg`").prints_exactly("");
    }
    for arguments in ["compose up -d", "compose up -d web", "compose run web tools"] {
        run(arguments).exits(0).prints("ran docker compose");
    }
}

#[test]
fn a_slot_that_was_never_started_asks_docker_nothing() {
    let shop = Shop::new();
    for verb in ["release", "claim", "release --wipe", "claim", "release", "slots"] {
        shop.kinfra(verb).exits(0);
    }
    assert!(!shop.machine.exists("~/calls"), "{}", shop.machine.read("~/calls"));
    // One that may have been started by plain Compose, in the shell of `env`, is looked at.
    shop.kinfra("claim").exits(0);
    shop.kinfra("env").exits(0);
    shop.kinfra("release").exits(0);
    assert!(shop.machine.read("~/calls").contains("container ls"));
}

#[test]
fn a_first_start_takes_no_data_that_is_older_than_the_claim() {
    let shop = Shop::new();
    let volume = container(&shop, 1).replace("-web-1\"", "_data\"");
    let up = |made: &str| {
        let mut up = shop.command("compose up");
        up.env("VOLUMES", &volume).env("VOLUME_AGES", format!("shop-slot-1_data\t{made}"));
        Run::of(&mut up)
    };
    let (before, since) = ("2020-03-01T17:22:10Z", "2999-03-01T17:22:10Z");
    up(before).exits(4).says("volume `shop-slot-1_data`").says("`kinfra reset`").prints_exactly("");
    // The holder may have made it with plain Compose.
    up(since).exits(0);
    // Now a start is noted, and the data is the holder's.
    up(before).exits(0);
}

#[test]
fn what_an_earlier_start_made_counts_while_it_has_containers() {
    let shop = Shop::new();
    shop.other();
    let shared = data(&shop.path("~/fix"));
    let start = |volumes: &Value, containers: &str| {
        let mut up = shop.command("compose up");
        up.env("CONTAINERS", containers).env("SLOT_MODEL", model("shop-slot-1", 8001, volumes));
        Run::of(&mut up).exits(0);
    };
    let running = container(&shop, 1);
    let mut profile = shop.command("compose --profile pg up");
    Run::of(profile.env("SLOT_MODEL", with_tool(8001, &shared))).exits(0);
    // A narrower start: the service of the profile still runs.
    start(&json!([]), &running);
    second_up(&shop, &shared, &running).exits(4).says("slot 1 (tool)").says("kinfra down");
    // Nothing of the stack is left, and it is started anew.
    start(&json!([]), "");
    second_up(&shop, &shared, "").exits(0);
}

#[test]
fn a_stack_that_is_down_stops_no_other() {
    let shop = Shop::new();
    shop.other();
    let shared = data(&shop.path("~/fix"));
    let mut up = shop.command("compose up");
    Run::of(up.env("SLOT_MODEL", model("shop-slot-1", 8001, &shared))).exits(0);
    second_up(&shop, &shared, "").exits(4);
    shop.kinfra("compose down --volumes").exits(0);
    shop.kinfra("plan").exits(0).says("Isolation: not checked");
    second_up(&shop, &shared, &container(&shop, 1)).exits(4).says("slot 1");
    second_up(&shop, &shared, "").exits(0);
}

#[test]
fn what_is_not_known_stops_a_start() {
    let shop = Shop::new();
    shop.machine.write("~/pool/slot-2/.kinfra-uses.json", "{");
    shop.kinfra("compose up").exits(4).says("slot-2/.kinfra-uses.json` is broken").prints_exactly("");
    shop.kinfra("plan").exits(4).says("is broken");
    shop.machine.remove("~/pool/slot-2/.kinfra-uses.json");
    let mut up = shop.command("compose up");
    let run = Run::of(up.env("MAIN_MODEL", "error:required variable TOKEN is missing a value")).exits(4);
    run.says("cannot be proven against the main stack").says("TOKEN").prints_exactly("");
    // The mistakes in the worktree's own slots.toml are not passed over for the applied one.
    shop.machine.write("~/fix/slots.toml", SHOP.replace("[ports]", "[ports]\nx = 1"));
    shop.kinfra("compose up").exits(65).says("slots.toml:");
}

#[test]
fn a_stack_whose_files_are_broken_can_be_stopped() {
    let shop = Shop::new();
    let by_name = |arguments: &str| {
        let run =
            shop.kinfra(arguments).exits(0).says("note: without the project's files, by its name alone: ");
        run.prints("ran docker compose --project-name shop-slot-1 --project-directory / ")
    };
    shop.kinfra("compose up").exits(0);
    shop.machine.remove("~/fix/compose.yaml");
    for arguments in ["compose down --volumes", "compose ps", "compose --slot 1 stop", "compose logs"] {
        by_name(arguments);
    }
    let uses = shop.machine.read("~/pool/slot-1/.kinfra-uses.json");
    assert!(uses.contains("\"has_ended\": true"), "{uses}");
    shop.kinfra("compose up").exits(4).prints_exactly("");
    shop.kinfra("compose config").exits(4).prints_exactly("");
    let mut foreign = shop.command("compose down");
    let volume = &thing("shop-slot-1_data", "shop-slot-1", "00ff", "/home/eve/.shop/slots");
    Run::of(foreign.env("VOLUMES", volume)).exits(4).says("/home/eve").prints_exactly("");
}

#[test]
fn a_slot_in_the_main_worktree_has_no_database_of_the_main_stack() {
    let shop = Shop::new();
    shop.kinfra("release").exits(0);
    let project = shop.machine.project();
    let mut claim = shop.command("claim");
    Run::of(claim.current_dir(&project)).exits(0);
    let up = |volumes: &Value| {
        let mut up = shop.command("compose up");
        up.current_dir(&project).env("MODEL", model("project", 8000, volumes));
        Run::of(up.env("SLOT_MODEL", model("shop-slot-1", 8001, volumes)))
    };
    let root = project.canonicalize().expect("a path").display().to_string();
    up(&data(&format!("{root}/pgdata"))).exits(4).says("two databases on one data directory destroy it");
    up(&json!([{"type": "bind", "source": format!("{root}/src"), "target": "/app/src"}])).exits(0);
    // In a worktree of its own it is another directory.
    let mut validate = shop.command("validate");
    validate.current_dir(&project).env("MODEL", model("project", 8000, &data(&format!("{root}/pgdata"))));
    let run =
        Run::of(validate.env("SLOT_MODEL", model("shop-slot-1", 8001, &data(&format!("{root}/pgdata")))));
    assert!(!run.stdout.contains("mount"), "{}", run.stdout);
}

#[test]
fn a_link_is_what_it_leads_to_in_the_spec_too() {
    let shop = Shop::new();
    let real = shop.machine.path("~/real");
    std::fs::create_dir(&real).expect("a directory");
    let link = shop.machine.path("~/link");
    std::os::unix::fs::symlink(&real, &link).expect("a link");
    let (real, link) = (real.canonicalize().expect("a path"), link.display().to_string());
    let up = |line: &str| {
        shop.machine.write("~/fix/slots.toml", SHOP.replace("[compose]", &format!("[compose]\n{line}")));
        let mut up = shop.command("compose up");
        up.env("MODEL", model("project", 8000, &data(&link)));
        Run::of(up.env("SLOT_MODEL", model("shop-slot-1", 8001, &data(&link))))
    };
    up("").exits(4).says("mount `~/real`");
    up(&format!("shared = [\"mount:{link}\"]")).exits(0);
    up(&format!("shared = [\"mount:{}\"]", real.display())).exits(0);
    up(&format!("[compose.per_slot]\n\"mount:{}\" = \"volume\"", real.display()));
    let overlay = shop.machine.read("~/pool/slot-1/kinfra-overlay.yaml");
    assert!(overlay.contains("\"type\": \"volume\""), "{overlay}");
}

#[test]
fn a_remark_names_no_project() {
    let shop = Shop::new();
    shop.machine.write("~/fix/.env", "# COMPOSE_PROJECT_NAME=other\nMY_COMPOSE_PROJECT_NAME=x\n");
    shop.kinfra("compose ps").exits(0);
    let resolved =
        |shop: &Shop| shop.machine.read("~/calls").contains("compose --project-name project --file");
    assert!(resolved(&shop), "{}", shop.machine.read("~/calls"));
    shop.machine.remove("~/calls");
    shop.machine.write("~/fix/.env", "export COMPOSE_PROJECT_NAME = other\n");
    shop.kinfra("compose ps").exits(0);
    assert!(!resolved(&shop), "{}", shop.machine.read("~/calls"));
    shop.machine.write("~/fix/compose.yaml", format!("{COMPOSE}# changed\n"));
}

#[test]
fn each_claim_has_images_of_its_own() {
    let shop = Shop::new();
    let tag = || {
        let mut built: Value = serde_json::from_str(&model("project", 8000, &json!([]))).expect("JSON");
        built["services"]["web"]["build"] = json!({"context": "/x"});
        let mut compose = shop.command("compose ps");
        Run::of(compose.env("MODEL", built.to_string())).exits(0);
        let overlay = shop.machine.read("~/pool/slot-1/kinfra-overlay.yaml");
        let line = overlay.lines().find(|line| line.contains("\"image\"")).expect("an image").to_owned();
        assert!(line.contains("shop-slot-1-web:"), "{line}");
        line
    };
    let first = tag();
    assert_eq!(tag(), first);
    shop.kinfra("release").exits(0);
    shop.kinfra("claim").exits(0);
    assert_ne!(tag(), first);
}
