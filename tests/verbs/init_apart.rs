//! `kinfra init`: what slots would share, what moves with their ports, and pools that are there already.

use std::fs;
use std::path::Path;

use super::doctor::fake_docker;
use super::init::{init, init_with_docker, machine_of, machine_with, part};
use crate::formats::compose::config_of_every_profile;
use crate::support::{Machine, Run};

#[test]
fn what_slots_would_share_is_set_apart_in_force() {
    let machine = machine_with(
        "services:
  db: {image: db, volumes: ['${DATA:-/srv/shop}/pg:/var/lib/postgresql/data', './own:/var/lib/x'], networks: [proxy, own]}
  web: {image: web, volumes: ['~/shop/media:/app/media/', 'cache:/c', 'ext:/e', '/srv/ro:/r:ro'], container_name: web}
volumes:
  cache: {external: false, name: shop_cache}
  ext: {external: true}
networks:
  proxy: {external: true, name: the-proxy}
  own: {ipam: {config: [{subnet: 172.30.0.0/16}]}}
",
    );
    init(&machine, "")
        .exits(0)
        .says("note: each slot has an empty volume of its own in place of the mount `/srv/shop/pg` of db; to share it, take its line away and add `mount:/srv/shop/pg` to `shared` in [compose] (two databases on one data directory destroy it)")
        .says("note: each slot has its own volume `shop_cache` of web; to share it, add `volume:shop_cache` to `shared`")
        .says("note: each slot has a network of its own in place of the network `the-proxy` of db")
        .never_says("stops a start")
        .never_says("/srv/ro")
        .never_says("./own");
    let lines = part(&machine, "compose.per_slot");
    let lines: Vec<&str> = lines.lines().map(|line| line.split("    #").next().unwrap_or_default()).collect();
    assert_eq!(
        lines,
        [
            "\"volume:ext\" = \"own\"",
            "\"network:the-proxy\" = \"own\"",
            "\"mount:/srv/shop/pg\" = \"volume\"",
            "\"mount:~/shop/media\" = \"volume\"",
        ]
    );
    machine.kinfra("plan").exits(0);
}

#[test]
fn what_an_image_declares_as_a_volume_is_data() {
    let machine = machine_with("services:\n  web: {image: web, volumes: ['/srv/w:/opt/state']}\n");
    let bind = r#"{"type": "bind", "source": "/srv/w", "target": "/opt/state"}"#;
    let model = format!(r#"{{"name": "x", "services": {{"web": {{"image": "web", "volumes": [{bind}]}}}}}}"#);
    let init = |volumes: &str| {
        let mut init = machine.command("init --dry-run");
        init.env("PATH", fake_docker()).env("MODEL", &model);
        Run::of(init.env("IMAGE_VOLUMES", volumes)).exits(0)
    };
    let in_force = "\n\"mount:/srv/w\" = \"volume\"";
    for volumes in [r#"{"/opt/state":{}}"#, r#"{"/opt":{},"/x":{}}"#] {
        init(volumes).prints(in_force);
    }
    for volumes in ["null", r#"{"/opt/other":{}}"#, "error:no such image"] {
        let run = init(volumes).says("`/srv/w` of web stops a start");
        assert!(!run.stdout.contains(in_force), "{}", run.stdout);
    }
}

#[test]
fn what_cannot_be_decided_is_left_to_a_person() {
    let machine = machine_with(
        "services:
  web:
    image: web
    volumes: ['../lib:/app/lib', '/srv/www:/www', '~/.npm:/root/.npm', '/srv/passwd.txt:/var/lib/passwd.txt']
    network_mode: 'container:vpn'
",
    );
    init(&machine, "")
        .exits(0)
        .says("/lib` of web stops a start, because it lies beside the worktree: move it")
        .says("note: the mount `/srv/www` of web stops a start, because it lies outside the worktree, and may be more than data: write `\"mount:/srv/www\" = \"volume\"` in [compose.per_slot], or add `mount:/srv/www` to `shared`")
        .says("note: the mount `/srv/passwd.txt` of web stops a start, because a file that is written to")
        .says("note: the container `vpn` of web stops a start, because it belongs to one stack: use a service");
    let spec = machine.read("slots.toml");
    assert!(
        spec.contains("\n# shared = [\"mount:/srv/passwd.txt\", \"mount:/srv/www\", \"mount:~/.npm\"]\n"),
        "{spec}"
    );
    assert!(spec.contains("\n# \"mount:~/.npm\" = \"volume\"\n"), "{spec}");
    assert!(!spec.contains("lib\""), "each worktree has it elsewhere: {spec}");
    // Whichever is chosen, the file is valid.
    let uncommented = |start: &str| spec.replace(&format!("\n# {start}"), &format!("\n{start}"));
    for spec in [uncommented("shared"), uncommented("\"mount:")] {
        machine.spec(&spec);
        machine.kinfra("plan").exits(0);
    }
}

#[test]
fn urls_of_the_main_stack_move_and_other_values_are_named() {
    let machine = machine_with(
        "services:
  api:
    image: api
    ports: ['${API_PORT:-8000}:80']
    environment:
      DATABASE_URL: 'postgres://db:${DB_PORT:-5432}/shop'
      PUBLIC_URL: http://localhost:${API_PORT:-8000}/graphql/
      OTHERS: http://localhost:9999
  dashboard:
    build: {context: ., args: ['API=http://127.0.0.1:8000']}
    environment:
      - CORS=http://localhost:8000,http://localhost:5432
      - INNER=http://notlocalhost:8000
  db: {image: db, ports: ['${DB_PORT:-5432}:5432']}
",
    );
    init(&machine, "")
        .exits(0)
        .says("note: `DB_PORT` is a published port (compose.yaml:14) and stands elsewhere too (compose.yaml:6)")
        .says("note: `PUBLIC_URL` of api (compose.yaml:7) has `localhost:8000`: each slot has its own")
        .says("note: `CORS` of dashboard (compose.yaml:12) has `localhost:8000`, `localhost:5432`: slots.toml has a line for it, commented out")
        .says("note: the build argument `API` of dashboard (compose.yaml:10) has `127.0.0.1:8000`, in slots too")
        .never_says("OTHERS")
        .never_says("INNER");
    assert_eq!(
        part(&machine, "services.api.environment"),
        "PUBLIC_URL = \"http://localhost:{{ ports.api }}/graphql/\""
    );
    let spec = machine.read("slots.toml");
    let cors = "# CORS = \"http://localhost:{{ ports.api }},http://localhost:{{ ports.db }}\"";
    assert!(spec.contains(&format!("# [services.dashboard.environment]\n{cors}\n")), "{spec}");
    machine.kinfra("apply").exits(0);
    // The variables keep the project's values.
    let env = machine.read("~/.project/slots/slot-1/.env.sandbox");
    assert!(!env.contains("\nDB_PORT") && !env.contains("\nAPI_PORT"), "{env}");
}

#[test]
fn images_that_stay_the_main_stacks_are_named() {
    let machine = machine_with(
        "services:
  base: {build: ./base, image: shop-base}
  web: {build: {context: ./web, additional_contexts: {lib: 'docker-image://shop-base'}}, image: shop-web}
",
    );
    machine.write("web/Dockerfile", "FROM shop-base:latest AS one\nFROM alpine\n");
    init(&machine, "")
        .exits(0)
        .says("note: web is built from `shop-base:latest` (web/Dockerfile:1), which base builds")
        .says(
            "note: `web` is built from the image `shop-base` (additional context `lib`), which is not moved",
        )
        .never_says("alpine");
}

#[test]
fn a_range_of_a_media_server_is_named_and_not_declared() {
    let machine = machine_with("services: {rtc: {ports: ['7880:7880', '50000-50100:50000-50100/udp']}}");
    init(&machine, "").exits(0).says("note: `rtc:50000/udp` to `rtc:50100/udp` are 101 ports");
    assert_eq!(part(&machine, "ports"), "rtc = { base = 7880, publish = \"rtc:7880\" }");
}

#[test]
fn a_drafted_pool_plans_cleanly_beside_other_pools() {
    let compose = "services: {web: {ports: ['8000:80', '9000:90']}, db: {ports: ['5432:5432']}}";
    for (theirs, expected) in [
        // One of the other pool's slots has the base port: another base.
        ("web = 7999", "`api` of slot 1 of the pool `small`"),
        // The other main stack has the port of a slot: another stride.
        ("web = 8002", "stride = 5"),
        // Both projects publish the same ports.
        ("web = 8000", "stride = 3"),
    ] {
        let machine = Machine::small();
        machine.edit_spec("web = 8000", &theirs.replace("web", "api"));
        machine.template("conf.txt", "{{ ports.api }}\n");
        machine.kinfra("apply").exits(0);
        for file in ["slots.toml", "templates"] {
            machine.remove(file);
        }
        machine.write("mine/compose.yml", compose);
        let run = |verb: &str, directory: &str| {
            Run::of(machine.command(verb).current_dir(machine.path(directory)).env("PATH", "/nowhere"))
        };
        run("init", "mine").exits(0);
        assert!(machine.read("mine/slots.toml").contains(expected), "{}", machine.read("mine/slots.toml"));
        run("plan", "mine").exits(0).prints("Plan: 4 to add");
        // The same for the sample.
        fs::create_dir(machine.path("sample")).expect("a directory");
        run("init", "sample").exits(0);
        run("plan", "sample").exits(0).prints("Plan: 4 to add");
        run("apply", "sample").exits(0);
        fs::create_dir(machine.path("another")).expect("a directory");
        run("init", "another").exits(0);
        run("plan", "another").exits(0).prints("Plan: 4 to add");
    }
}

/// A machine with a pool as an earlier kinfra made it.
fn earlier_pool() -> Machine {
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/pool-of-an-earlier-init");
    let (machine, _) = machine_of(Path::new(fixture));
    // It was made in `~/shop`.
    let project = machine.project();
    machine.edit_spec("\"~/shop\"", &format!("{:?}", project.to_str().expect("a path")));
    machine
}

#[test]
fn a_pool_that_an_earlier_init_made_still_works() {
    let machine = earlier_pool();
    fs::create_dir(machine.path(".git")).expect("a repository");
    machine.kinfra("plan").exits(0).prints("Plan: 4 to add, 0 to change, 0 to destroy.");
    machine.kinfra("apply").exits(0);
    machine.kinfra("plan --detailed-exitcode").exits(0);
    machine.write("~/tree/main.rs", "");
    machine.kinfra("claim --for ../home/tree").exits(0);
    let tree = machine.path("~/tree").canonicalize().expect("a directory");
    let slot = |file: &str| machine.read(&format!("~/.shop/slots/slot-1/{file}"));
    assert_eq!(slot(".env.worktree"), format!("SHOP_WORKTREE={}\n", tree.display()));
    assert!(slot("docker-compose.override.yml").contains(tree.to_str().expect("a path")));
    assert!(slot("project/compose.yaml").contains("ports: [\"8081:80\"]"));
    machine.kinfra("release 1 --force").exits(0);
    assert!(!machine.exists("~/.shop/slots/slot-1/.env.worktree"));
}

#[test]
#[ignore = "needs Docker Compose v2"]
fn compose_takes_a_pool_that_an_earlier_init_made() {
    let machine = earlier_pool();
    machine.kinfra("apply").exits(0);
    let slot = machine.path("~/.shop/slots/slot-1");
    let sources = || {
        let config = config_of_every_profile(&machine, &slot);
        assert_eq!(config["name"], "shop-slot-1");
        assert_eq!(config["services"]["web"]["ports"][0]["published"], "8081");
        let of = |service: &str| config["services"][service]["volumes"][0]["source"].clone();
        [of("web"), of("db")].map(|path| path.as_str().expect("a path").to_owned())
    };
    let below = |top: &Path| ["web", "data"].map(|path| top.join(path).display().to_string());
    assert_eq!(sources(), below(&machine.project()));
    machine.write("~/tree/main.rs", "");
    machine.kinfra("claim --slot 1 --for ../home/tree").exits(0);
    assert_eq!(sources(), below(&machine.path("~/tree").canonicalize().expect("a directory")));
}

#[test]
fn a_pool_that_an_earlier_init_made_is_told_how_to_move_over() {
    let machine = earlier_pool();
    let advice =
        "release its slots, run `kinfra destroy`, delete slots.toml and templates/, and run `kinfra init`";
    machine.kinfra("validate").exits(0).prints("an earlier `kinfra init` made this pool").prints(advice);
    init(&machine, "").exits(4).says("`slots.toml` exists already").says(advice);
    init(&machine, "--update").exits(4).says("has no [compose]");
    // And that works.
    machine.kinfra("apply").exits(0);
    machine.kinfra("destroy --auto-approve").exits(0);
    machine.remove("slots.toml");
    machine.remove("templates");
    init(&machine, "").exits(0);
    assert_eq!(
        part(&machine, "ports"),
        "web = { base = 8080, publish = \"web:80\" }\ndb  = { base = 5432, publish = \"db:5432\" }"
    );
    machine.kinfra("validate").exits(0).never_says("earlier");
}

#[test]
fn an_update_adds_what_is_new_and_keeps_the_rest() {
    let machine = machine_with("services: {web: {ports: ['8080:80']}, old: {ports: ['7000:70']}}");
    init(&machine, "").exits(0);
    machine.edit_spec("base = 8080, ", "base = 8080, stride = 3, ");
    machine.edit_spec("[ports]", "# mine\n[ports]");
    init(&machine, "--update").exits(0).says("Nothing to add").prints_exactly("");
    let before = machine.read("slots.toml");

    machine.write(
        "compose.yaml",
        "services: {web: {ports: ['8080:80', '9000:90']}, dns: {ports: ['5300:53/udp']}}",
    );
    let shown = init(&machine, "--update --dry-run").exits(0);
    let shown = shown.says("note: port `old` publishes `old:70`, which the Compose files here do not");
    let shown = shown.prints("\n+dns = { base = 5300, publish = \"dns:53/udp\" }\n").stdout;
    assert_eq!(machine.read("slots.toml"), before);

    init(&machine, "--update").exits(0).says("Changed slots.toml").prints_exactly(&shown);
    let added =
        "dns = { base = 5300, publish = \"dns:53/udp\" }\nweb_90 = { base = 9000, publish = \"web:90\" }\n";
    assert_eq!(
        machine.read("slots.toml"),
        before.replace("\n\n[[profiles]]", &format!("\n{added}\n[[profiles]]"))
    );
    machine.kinfra("plan").exits(0);
    init(&machine, "--update").exits(0).says("Nothing to add");

    let none = Machine::new();
    init(&none, "--update").exits(4).says("has no [compose]");
    let config = r#"{"services": {"web": {"ports": [{"target": 80, "published": "8080"}]}}, "name": "x"}"#;
    init_with_docker(&machine, "--update", config, 0).exits(0).says("Read compose.yaml with Docker Compose");
}
