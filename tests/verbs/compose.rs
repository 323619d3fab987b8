//! `kinfra compose`, and what `env` and `exec` set for plain `docker compose`: the worktree's own files and
//! the overlay, and a gate before anything starts. Docker is a stand-in here; `examples` has the real one.

use std::path::PathBuf;
use std::process::Command;

use kinfra::registry::Registry;
use kinfra::slot::SlotId;
use serde_json::{Value, json};

use super::doctor::fake_docker;
use crate::rig::listed::thing;
use crate::rig::postgres::Postgres;
use crate::support::{Machine, Run, SHOP};

pub(super) const COMPOSE: &str =
    "services:\n  web:\n    image: shop:${TAG:-dev}\n    ports: ['8000:80']\n    env_file: web.env\n";
const OVERLAY: &str = "~/pool/slot-1/kinfra-overlay.yaml";

/// A service that publishes a port and mounts something.
pub(super) fn model(name: &str, port: u16, volumes: &Value) -> String {
    let port = json!({"target": 80, "published": port.to_string(), "protocol": "tcp", "mode": "ingress"});
    let web =
        json!({"image": "shop:dev", "ports": [port], "volumes": volumes, "networks": {"default": null}});
    let network = json!({"default": {"name": format!("{name}_default"), "ipam": {}}});
    json!({"name": name, "services": {"web": web}, "networks": network}).to_string()
}

/// A project whose worktree `fix` holds slot 1.
pub(super) struct Shop {
    pub(super) machine: Machine,
}

impl Shop {
    pub(super) fn new() -> Self {
        Self::of(SHOP)
    }

    fn of(spec: &str) -> Self {
        let machine = Machine::new();
        machine.spec(spec);
        machine.write("compose.yaml", COMPOSE);
        machine.write("web.env", "A=1\n");
        machine.repository(machine.project());
        machine.kinfra("apply").exits(0);
        machine.worktree("fix");
        let shop = Self { machine };
        Run::of(&mut shop.command("claim")).exits(0);
        shop
    }

    /// kinfra in the worktree, with a stand-in for Docker that knows the project.
    pub(super) fn command(&self, arguments: &str) -> Command {
        let mut command = self.machine.command(arguments);
        command.current_dir(self.machine.path("~/fix")).env("PATH", fake_docker());
        command.env("CALLS", self.machine.path("~/calls"));
        command.env("MODEL", model("project", 8000, &json!([])));
        command.env("SLOT_MODEL", model("shop-slot-1", 8001, &json!([])));
        command
    }

    pub(super) fn kinfra(&self, arguments: &str) -> Run {
        Run::of(&mut self.command(arguments))
    }

    /// A second worktree, which holds slot 2.
    pub(super) fn other(&self) -> PathBuf {
        let other = self.machine.worktree("other");
        Run::of(self.command("claim").current_dir(&other)).exits(0).prints("slot 2");
        other
    }

    /// With a mount of the whole machine in every stack.
    fn mounting(&self, source: &str, arguments: &str) -> Run {
        let volumes = json!([{"type": "bind", "source": source, "target": "/srv/pg"}]);
        let mut command = self.command(arguments);
        command.env("MODEL", model("project", 8000, &volumes));
        Run::of(command.env("SLOT_MODEL", model("shop-slot-1", 8001, &volumes)))
    }

    /// The calls of Docker so far that resolve files.
    fn resolutions(&self) -> usize {
        let calls = if self.machine.exists("~/calls") { self.machine.read("~/calls") } else { String::new() };
        calls.lines().filter(|call| call.ends_with(" config --format json")).count()
    }

    fn registry(&self) -> Registry {
        Registry::parse(&self.machine.read("~/pool/registry.json")).expect("a registry")
    }

    pub(super) fn path(&self, path: &str) -> String {
        self.machine.path(path).canonicalize().expect("a path").display().to_string()
    }
}

#[test]
fn any_command_of_compose_is_for_the_slot_of_this_worktree() {
    let shop = Shop::new();
    let (fix, pool) = (shop.path("~/fix"), shop.path("~/pool"));
    let expected = format!(
        "ran docker compose --project-name shop-slot-1 --file {fix}/compose.yaml --file {pool}/slot-1/kinfra-overlay.yaml \
         --project-directory {fix} --env-file {pool}/slot-1/.env.sandbox ps --all\n"
    );
    for arguments in ["compose ps --all", "compose --slot 1 ps --all", "compose -- ps --all"] {
        shop.kinfra(arguments).exits(0).prints_exactly(&expected);
    }
    // From elsewhere, and whatever a shell has set.
    let mut elsewhere = shop.command(&format!("compose --for {fix} ps --all"));
    elsewhere.current_dir(shop.machine.project()).env("COMPOSE_FILE", "x").env("COMPOSE_PROJECT_NAME", "y");
    Run::of(&mut elsewhere).exits(0).prints_exactly(&expected);
    let overlay = shop.machine.read(OVERLAY);
    for line in
        ["\"published\": \"8001\", \"host_ip\": \"127.0.0.1\"", "\"kinfra.pool\": \"shop\"", "!reset null"]
    {
        assert!(overlay.contains(line), "no {line} in\n{overlay}");
    }
    let id = shop.registry().id.expect("an id").to_string();
    assert!(overlay.contains(&format!("\"kinfra.id\": \"{id}\"")), "{overlay}");
}

#[test]
fn without_a_slot_nothing_of_compose_runs() {
    let shop = Shop::new();
    let mut main = shop.command("compose up -d");
    Run::of(main.current_dir(shop.machine.project())).exits(3).prints_exactly("").says("holds no slot");
    shop.kinfra("compose --slot 2 up").exits(3).says("no worktree holds slot 2");
    shop.kinfra("compose --slot 9 up").exits(3).says("no slot 9");
    for arguments in ["compose -f a.yaml up", "compose --project-name=x up", "compose --env-file x ps"] {
        shop.kinfra(arguments).exits(64).says("kinfra sets `-").never_says("ran docker");
    }
    assert!(!shop.machine.exists("~/calls"), "{}", shop.machine.read("~/calls"));
}

#[test]
fn the_overlay_is_made_again_only_when_something_changed() {
    let shop = Shop::new();
    let mut expected = 0;
    let mut asks = |what: &str, times: usize, tag: Option<&str>| {
        let mut env = shop.command("env");
        tag.map(|tag| env.env("TAG", tag));
        Run::of(&mut env).exits(0);
        expected += times;
        assert_eq!(shop.resolutions(), expected, "{what}");
    };
    asks("the first time", 1, None);
    asks("nothing changed", 0, None);
    shop.machine.write("~/fix/compose.yaml", format!("{COMPOSE}# a remark\n"));
    asks("a file changed", 1, None);
    shop.machine.write("~/fix/web.env", "A=2\n");
    asks("an env file changed", 1, None);
    shop.machine.write("~/fix/.env", "B=1\n");
    asks("an env file is new", 1, None);
    asks("a variable of the files changed", 1, Some("next"));
    asks("it is the same", 0, Some("next"));
    let text = shop.machine.read(OVERLAY);
    shop.machine.write(OVERLAY, "services: {}\n");
    asks("the overlay was edited", 1, Some("next"));
    shop.machine.remove(OVERLAY);
    asks("the overlay is gone", 1, Some("next"));
    assert_eq!(shop.machine.read(OVERLAY), text);
    shop.machine.write("~/fix/compose.override.yaml", "services: {}\n");
    asks("an override is new", 1, Some("next"));
    shop.machine.write("~/fix/slots.toml", SHOP.replace("[compose]", "[compose]\nshared = [\"volume:x\"]"));
    asks("the worktree's spec changed", 1, Some("next"));
}

#[test]
fn env_and_exec_make_plain_compose_mean_the_slot() {
    let shop = Shop::new();
    let (fix, pool) = (shop.path("~/fix"), shop.path("~/pool"));
    let run = shop.kinfra("env --format json").exits(0);
    let document: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let variables = &document["variables"];
    assert_eq!(variables["COMPOSE_FILE"], format!("{fix}/compose.yaml:{pool}/slot-1/kinfra-overlay.yaml"));
    assert_eq!(variables["COMPOSE_PATH_SEPARATOR"], ":");
    assert_eq!(variables["COMPOSE_PROJECT_NAME"], "shop-slot-1");
    assert_eq!(variables["COMPOSE_ENV_FILES"], format!("{pool}/slot-1/.env.sandbox"));
    let mut exec = shop.command("exec -- /bin/sh -c");
    exec.arg("echo $COMPOSE_PROJECT_NAME $SHOP_WEB_PORT").env("COMPOSE_PROJECT_NAME", "main");
    Run::of(&mut exec).exits(0).prints_exactly("shop-slot-1 8001\n");
}

#[test]
fn without_an_overlay_nothing_means_the_main_stack() {
    let shop = Shop::new();
    let without = |arguments: &str| {
        let mut command = shop.command(arguments);
        Run::of(command.env("PATH", "/nonexistent")).exits(4)
    };
    without("env").says("no overlay").says("Docker Compose is needed").never_says("COMPOSE_FILE");
    without("exec -- /bin/echo ran").prints_exactly("").says("no overlay");
    let mut broken = shop.command("compose config");
    broken.env("MODEL", "error:service \"web\" has neither an image nor a build context");
    Run::of(&mut broken).exits(4).prints_exactly("").says("has neither an image nor a build context");
    let mut required = shop.command("compose config");
    required.env("MODEL", "error:required variable KEY is missing a value");
    Run::of(&mut required).exits(4).says("KEY").says("kinfra resolves every profile");
    let mut old = shop.command("compose config");
    Run::of(old.env("COMPOSE", "2.24.3")).exits(4).says("2.24.3 is too old: 2.24.4 or newer is needed");
    shop.machine.remove("~/fix/compose.yaml");
    shop.kinfra("env").exits(4).says("has no Compose file");
}

#[test]
fn what_slots_would_share_stops_a_start() {
    let shop = Shop::new();
    let stopped = shop.mounting("/srv/pg", "compose up -d").exits(4).prints_exactly("");
    let stopped = stopped.says("slot 1 does not start").says("mount `/srv/pg`: ").says("the main stack");
    stopped.says("\"mount:/srv/pg\" = \"volume\"").says("shared = [\"mount:/srv/pg\"]");
    assert_eq!(shop.registry().slots[&SlotId::new(1).expect("an id")].started, None, "nothing started");
    // Only a start is proven.
    shop.mounting("/srv/pg", "compose ps").exits(0).prints("ran docker compose");
    for command in ["create", "run web sh", "start", "restart", "watch", "--profile debug up"] {
        shop.mounting("/srv/pg", &format!("compose {command}")).exits(4).prints_exactly("");
    }
    // What lies in the worktree is its own, and what is declared is no mistake.
    let own = json!([{"type": "bind", "source": shop.path("~/fix") + "/data", "target": "/data"}]);
    let mut up = shop.command("compose up");
    Run::of(up.env("SLOT_MODEL", model("shop-slot-1", 8001, &own))).exits(0).prints("ran docker compose");
    shop.machine
        .write("~/fix/slots.toml", SHOP.replace("[compose]", "[compose]\nshared = [\"mount:/srv/pg\"]"));
    shop.mounting("/srv/pg", "compose up").exits(0).prints("ran docker compose");
}

#[test]
fn a_start_is_proven_against_what_other_slots_were_started_with() {
    let shop = Shop::new();
    let other = shop.other();
    // The branch of slot 2 mounts a directory of slot 1's worktree.
    let shared = json!([{"type": "bind", "source": shop.path("~/fix") + "/data", "target": "/data"}]);
    let up = |volumes: &Value, port| {
        let mut up = shop.command("compose up");
        let (main, slot) = (model("project", 8000, &json!([])), model("shop-slot-2", port, volumes));
        Run::of(up.current_dir(&other).env("MODEL", main).env("SLOT_MODEL", slot))
    };
    up(&shared, 8002).exits(0);
    let mut first = shop.command("compose up");
    let stopped = Run::of(first.env("SLOT_MODEL", model("shop-slot-1", 8001, &shared))).exits(4);
    stopped.says("slot 2").says("/fix/data").prints_exactly("");
    // A slot never stands on a port of another.
    up(&json!([]), 8002).exits(0);
    let mut first = shop.command("compose up");
    Run::of(first.env("SLOT_MODEL", model("shop-slot-1", 8002, &json!([])))).exits(4).says("8002");
    shop.kinfra("compose up").exits(0).prints("ran docker compose");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_start_is_proven_against_the_stacks_of_other_users_of_the_host() {
    let database = Postgres::shared().database();
    Machine::small().kinfra(&format!("registry init {}", database.url())).exits(0);
    let spec = format!("{SHOP}\n[registry]\nurl = \"{}\"\n", database.url());
    let (ann, ben) = (Shop::of(&spec), Shop::of(&spec));
    let shared = json!([{"type": "bind", "source": ann.path("~/fix") + "/data", "target": "/data"}]);
    let up = |shop: &Shop, slot: u16| {
        let mut up = shop.command("compose up");
        let model = model(&format!("shop-slot-{slot}"), 8000 + slot, &shared);
        Run::of(up.env("SLOT_MODEL", model))
    };
    up(&ann, 1).exits(0).prints("ran docker compose");
    up(&ben, 2).exits(4).says("slot 1").says("/fix/data").prints_exactly("");
    let noted = "select slot, content ->> 'has_ended' from kinfra.uses";
    assert_eq!(database.sql(noted), "1|false");
    ann.kinfra("release").exits(0);
    assert_eq!(database.sql(noted), "", "nothing of it is left");
    up(&ben, 2).exits(0).prints("ran docker compose");
    assert_eq!(database.sql("select slot from kinfra.uses"), "2");
}

#[test]
fn of_two_starts_at_once_one_sees_the_other() {
    let shop = Shop::new();
    shop.other();
    let shared = json!([{"type": "bind", "source": shop.path("~/fix") + "/data", "target": "/data"}]);
    for round in 0..8 {
        let start = |tree: &str, slot: u16| {
            let mut up = shop.command("compose up");
            up.current_dir(shop.machine.path(tree));
            Run::of(up.env("SLOT_MODEL", model(&format!("shop-slot-{slot}"), 8000 + slot, &shared)))
        };
        let [one, two] = std::thread::scope(|scope| {
            let one = scope.spawn(|| start("~/fix", 1));
            let two = start("~/other", 2);
            [one.join().expect("a run"), two]
        });
        let codes = [one.code, two.code];
        assert!(codes.contains(&Some(0)) && codes.contains(&Some(4)), "round {round}: {one:#?} {two:#?}");
        for slot in [1, 2] {
            let _ = std::fs::remove_file(shop.machine.path(&format!("~/pool/slot-{slot}/.kinfra-uses.json")));
        }
    }
}

#[test]
fn things_of_another_registry_stop_a_start_and_are_named() {
    let shop = Shop::new();
    let id = shop.registry().id.expect("an id").to_string();
    let up = |name: &str, line: &str| {
        let mut up = shop.command("compose up");
        Run::of(up.env(name, line.replace("OWN", &id)))
    };
    let foreign =
        up("CONTAINERS", &thing("shop-slot-1-web-1", "shop-slot-1", "00ff", "/home/eve/.shop/slots"))
            .exits(4);
    let foreign = foreign.says("container `shop-slot-1-web-1`").says("the pool in `/home/eve/.shop/slots`");
    foreign.says("give this pool another `name`").prints_exactly("");
    // Nor does what would remove or enter it. What only looks goes on.
    for (command, code) in [("down --volumes", 4), ("exec web sh", 4), ("rm", 4), ("ps", 0), ("logs", 0)] {
        let mut compose = shop.command(&format!("compose {command}"));
        let line = &thing("shop-slot-1_data", "shop-slot-1", "00ff", "/home/eve/.shop/slots");
        Run::of(compose.env("VOLUMES", line)).exits(code);
    }
    up("NETWORKS", &thing("shop-slot-1_default", "shop-slot-1", "", ""))
        .exits(4)
        .says("was not started by kinfra");
    up("VOLUMES", &thing("shop-slot-1_data", "", "", "")).exits(4).says("volume `shop-slot-1_data`");
    up("VOLUMES", &thing("shop-slot-11_data", "shop-slot-11", "00ff", "/x")).exits(0);
    let started = shop.registry().slots[&SlotId::new(1).expect("an id")].started.clone().expect("a start");
    assert_eq!(started.project, "shop-slot-1");
    // From now on a thing without labels is ours. One with another id never is.
    up("VOLUMES", &thing("shop-slot-1_data", "", "", "")).exits(0);
    up("CONTAINERS", &thing("shop-slot-1-web-1", "shop-slot-1", "OWN", "/x")).exits(0);
    up("VOLUMES", &thing("shop-slot-1_data", "shop-slot-1", "00ff", "/x")).exits(4);
    up("CONTAINERS", "error:permission denied").exits(9).says("permission denied").prints_exactly("");
}

#[test]
fn a_start_says_what_is_not_published_and_where_the_main_stack_is() {
    let shop = Shop::new();
    shop.machine.write("~/fix/slots.toml", SHOP.replace("\"web:80\"", "\"web:81\""));
    let run = shop.kinfra("compose up").exits(0);
    let run = run.says("note: not published on this machine: web:80. These lines of [ports] would:\n");
    run.says("publish = \"web:80\"");
    shop.machine.write("~/fix/slots.toml", SHOP);
    let mut up = shop.command("compose up");
    let run = Run::of(up.env("MODEL", model("project", 8500, &json!([])))).exits(0);
    run.says("note: the main stack publishes web:80 on 8500, and slots.toml has the base 8000 for `web`");
    let mut up = shop.command("compose up");
    Run::of(up.env("MODEL", model("project", 8001, &json!([])))).exits(4).says("port 8001/tcp");
}

#[test]
fn what_kinfra_derives_goes_with_the_slot() {
    let shop = Shop::new();
    let derived = ["kinfra-overlay.yaml", ".kinfra-look.json", ".kinfra-uses.json"];
    let derived = derived.map(|name| format!("~/pool/slot-1/{name}"));
    shop.kinfra("compose up").exits(0);
    for name in &derived {
        assert_eq!(shop.machine.mode(name), 0o600, "{name}");
    }
    shop.kinfra("release").exits(0);
    for name in &derived {
        assert!(!shop.machine.exists(name), "{name}");
    }
    shop.machine.write(&derived[0], "of an earlier start");
    shop.machine.write("~/pool/slot-1/..kinfra-look.json.17.tmp", "cut short");
    Run::of(&mut shop.machine.command("destroy --auto-approve")).exits(0);
    assert!(!shop.machine.exists("~/pool/slot-1"));
}

#[test]
fn values_of_variables_are_not_kept() {
    let shop = Shop::new();
    let mut slot: Value = serde_json::from_str(&model("shop-slot-1", 8001, &json!([]))).expect("JSON");
    slot["services"]["web"]["environment"] = json!({"KEY": "s3cret"});
    slot["services"]["web"]["build"] = json!({"context": "/x", "args": {"KEY": "s3cret"}});
    let mut up = shop.command("compose up");
    Run::of(up.env("SLOT_MODEL", slot.to_string()).env("TAG", "s3cret")).exits(0);
    let kept =
        shop.machine.tree().into_iter().filter(|(path, _)| path.starts_with(shop.machine.path("~/pool")));
    for (path, text) in kept {
        assert!(!text.contains("s3cret"), "{}: {text}", path.display());
    }
}

#[test]
fn a_plan_asks_nothing_and_says_how_old_its_knowledge_is() {
    let shop = Shop::new();
    shop.kinfra("plan")
        .exits(0)
        .says("Isolation: not checked. `kinfra validate` says what slots would share\n");
    shop.kinfra("compose up").exits(0);
    let calls = shop.machine.read("~/calls");
    shop.kinfra("plan").exits(0).says("Isolation: as last started, the stacks of 1 slot share nothing");
    // The same stack as slot 2 was started with.
    let uses = shop.machine.read("~/pool/slot-1/.kinfra-uses.json");
    shop.machine.write("~/pool/slot-2/.kinfra-uses.json", uses);
    let run =
        shop.kinfra("plan").exits(0).says("Isolation: as last started, stacks share what is not declared\n");
    run.says("port 8001/tcp: slot 1 (web) and slot 2 (web) both use it");
    assert_eq!(shop.machine.read("~/calls"), calls, "a plan asks no one");
}

#[test]
fn the_doctor_names_what_has_a_slots_name_and_is_another_pools() {
    let shop = Shop::new();
    let id = shop.registry().id.expect("an id").to_string();
    let doctor = |line: &str| {
        let mut doctor = shop.command("doctor");
        Run::of(doctor.env("VOLUMES", line.replace("OWN", &id)))
    };
    let run = doctor(&thing("shop-slot-2_data", "shop-slot-2", "00ff", "/home/eve/.shop/slots"));
    let run = run.prints("✗ stacks: volume `shop-slot-2_data` has the name of the project of slot 2");
    run.prints("in `/home/eve/.shop/slots`");
    for own in [
        &thing("shop-slot-2_data", "shop-slot-2", "OWN", "/x"),
        &thing("shop-slot-2_data", "shop-slot-2", "", ""),
        &String::new(),
    ] {
        let run = doctor(own);
        assert!(!run.stdout.contains("✗ stacks"), "{}", run.stdout);
    }
}

#[test]
fn a_variable_that_is_kinfras_and_the_projects_stops_a_start() {
    let shop = Shop::new();
    shop.machine.write("~/fix/compose.yaml", COMPOSE.replace("shop:${TAG:-dev}", "shop:${SHOP_WEB_PORT:-1}"));
    let stopped = shop.kinfra("compose up").exits(4).prints_exactly("").says("use `SHOP_WEB_PORT`");
    stopped.says("choose another `env_prefix`");
    shop.kinfra("compose ps").exits(0);
    shop.machine.write("compose.yaml", COMPOSE.replace("shop:${TAG:-dev}", "shop:${SHOP_WEB_PORT:-1}"));
    let mut validate = shop.command("validate");
    let run = Run::of(validate.current_dir(shop.machine.project())).exits(65);
    run.prints("✗ variables: `SHOP_WEB_PORT` is a variable of kinfra, and the project's files use it, too\n");
}

#[test]
fn validate_shows_what_slots_would_share_with_the_lines_that_settle_it() {
    let shop = Shop::new();
    let validate = |source: &str| {
        let volumes = json!([{"type": "bind", "source": source, "target": "/var/lib/postgresql/data"}]);
        let mut validate = shop.command("validate");
        validate.current_dir(shop.machine.project()).env("MODEL", model("project", 8000, &volumes));
        Run::of(validate.env("SLOT_MODEL", model("shop-slot-1", 8001, &volumes)))
    };
    let run = validate("/srv/pg").exits(65).prints("✗ isolation: mount `/srv/pg`: ");
    run.prints("\"mount:/srv/pg\" = \"volume\"").prints("shared = [\"mount:/srv/pg\"]");
    // The stand-in gives both slots one port.
    validate(&shop.path("compose.yaml")).exits(65).prints("✗ isolation: port 8001/tcp");
}
