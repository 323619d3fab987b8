//! `kinfra up`: what it asks of Docker and Compose, and when it starts nothing. Docker is a stand-in here;
//! `acceptance/stack_verbs` has the real one.

use std::process::Command;

use serde_json::{Value, json};

use super::compose::{Shop, model};
use crate::rig::terminal::Terminal;
use crate::support::{Run, SHOP};

/// A container of slot 1 as Docker describes it.
pub(super) fn container(service: &str, state: &Value) -> String {
    let labels = json!({"com.docker.compose.project": "shop-slot-1", "com.docker.compose.service": service,
        "com.docker.compose.container-number": "1", "com.docker.compose.oneoff": "False"});
    let name = format!("/shop-slot-1-{service}-1");
    json!([format!("id-{service}"), name, "2026-01-01T10:00:00Z", 0, state, labels, {"Name": "no"}, {}])
        .to_string()
}

pub(super) fn running() -> Value {
    json!({"Status": "running", "Pid": 1, "StartedAt": "2026-01-01T10:00:01Z",
        "Health": {"Status": "healthy", "Log": []}})
}

fn ended(code: i32) -> Value {
    json!({"Status": "exited", "ExitCode": code, "StartedAt": "2026-01-01T10:00:01Z"})
}

/// A start in the worktree `fix`, whose one service runs then.
pub(super) fn up(shop: &Shop, arguments: &str) -> Command {
    up_as(shop, &format!("--settle 0s {arguments}"))
}

fn up_as(shop: &Shop, arguments: &str) -> Command {
    let mut up = shop.command(&format!("up {arguments}"));
    up.env("UP", shop.machine.path("~/is-up")).env("IDS", "id-web").env("IMAGE_IDS", "sha256:1");
    up.env("INSPECTED", container("web", &running()));
    // Another program's words stay as they are, paths included.
    up.env("LAST_LINES", format!("2026-01-01T10:00:02Z boom in {}", shop.machine.home().display()));
    up
}

/// The calls that have Compose start something.
fn starts(shop: &Shop) -> Vec<String> {
    let calls = shop.machine.read("~/calls");
    let starts = calls.lines().filter_map(|call| call.split_once(" up --detach "));
    starts.map(|(_, rest)| rest.to_owned()).collect()
}

#[test]
fn a_worktree_without_a_slot_claims_one_and_its_stack_runs() {
    let shop = Shop::new();
    shop.kinfra("release").exits(0);
    let run = Run::of(&mut up(&shop, "--note mine")).exits(0);
    run.says("Claimed slot 1").says("web: healthy\n").says("The stack of slot 1 runs\n").prints_exactly(
        " Name  URL                               Service\n web   http://web.slot-1.localhost:8001  web\n",
    );
    assert_eq!(starts(&shop), ["--build"]);
    let registry = shop.machine.read("~/pool/registry.json");
    assert!(
        registry.contains("\"started_as\": \"shop-slot-1\"") && registry.contains("\"mine\""),
        "{registry}"
    );
    let json: Value =
        serde_json::from_str(&Run::of(&mut up(&shop, "--json")).exits(0).stdout).expect("one document");
    assert_eq!((&json["verdict"], &json["ran_already"]), (&json!("runs"), &json!(true)));
    assert_eq!(json["addresses"][0]["url"], "http://localhost:8001");
    assert_eq!(json["addresses"][0]["host_url"], "http://web.slot-1.localhost:8001");
}

#[test]
fn a_stack_that_runs_as_it_would_be_started_is_not_started() {
    let shop = Shop::new();
    let mut built: Value = serde_json::from_str(&model("shop-slot-1", 8001, &json!([]))).expect("JSON");
    built["services"]["web"]["build"] = json!({"context": shop.path("~/fix")});
    let start = |arguments: &str, change: &dyn Fn(&mut Command)| {
        let before = if shop.machine.exists("~/calls") { starts(&shop).len() } else { 0 };
        let mut up = up(&shop, arguments);
        change(up.env("SLOT_MODEL", built.to_string()));
        Run::of(&mut up).exits(0);
        starts(&shop).len() - before
    };
    let nothing = |_: &mut Command| {};
    assert_eq!(start("", &nothing), 1);
    let asked = shop.machine.read("~/calls").lines().count();
    assert_eq!((start("", &nothing), start("web", &nothing)), (0, 0));
    let calls = shop.machine.read("~/calls");
    assert!(!calls.lines().skip(asked).any(|call| call.contains("config")), "{calls}");
    assert_eq!(start("--compose-profile x", &nothing), 1, "another profile");
    assert_eq!((start("", &nothing), start("--compose-profile=", &nothing)), (0, 1), "a profile is kept");
    shop.machine.write("~/fix/compose.yaml", shop.machine.read("~/fix/compose.yaml") + "# a remark\n");
    assert_eq!((start("", &nothing), start("", &nothing)), (1, 0), "a file changed");
    shop.machine.write("~/fix/code", "1");
    assert_eq!((start("--no-build", &nothing), start("", &nothing)), (0, 1), "the code changed");
    let new = |up: &mut Command| {
        up.env("INSPECTED", container("web", &running()).replace("id-web", "x"));
    };
    assert_eq!(start("", &new), 1, "another container");
    assert_eq!(
        start("", &|up| {
            up.env("IMAGE_IDS", "sha256:2");
        }),
        1,
        "another image"
    );
}

#[test]
fn a_start_resolves_the_worktrees_files_by_themselves_only_when_they_changed() {
    let shop = Shop::new();
    let resolutions = || {
        let before = if shop.machine.exists("~/calls") { shop.machine.read("~/calls").len() } else { 0 };
        Run::of(&mut up(&shop, "")).exits(0);
        let calls = shop.machine.read("~/calls")[before..].to_owned();
        shop.kinfra("down").exits(0);
        calls.lines().filter(|call| call.ends_with(" config --format json")).count()
    };
    // By themselves, with the overlay, and those of the main stack.
    assert_eq!((resolutions(), resolutions()), (3, 2));
    shop.machine.write("~/fix/compose.yaml", shop.machine.read("~/fix/compose.yaml") + "# a remark\n");
    assert_eq!((resolutions(), resolutions()), (3, 2), "a file changed");
    shop.machine.write("~/fix/compose.yaml", "include: [oci://elsewhere/shop]\n");
    assert_eq!((resolutions(), resolutions()), (3, 3), "the files do not tell all");
}

#[test]
fn how_long_a_service_is_up_is_said_by_the_engine_whose_clock_may_be_another() {
    let shop = Shop::new();
    let plain = |started: &str| json!({"Status": "running", "Pid": 1, "StartedAt": started});
    for (started, status, exit) in [
        // Far behind: it was started a second ago, and by the clock of this machine long ago.
        ("2020-01-01T00:00:00Z", "Up Less than a second", 8),
        // Far ahead: it has been up for two hours, and by the clock of this machine it starts much later.
        ("2199-01-01T00:00:00Z", "Up 2 hours", 0),
    ] {
        let mut up = up_as(&shop, "--settle 1h --timeout 1s");
        up.env("STATUS", status).env("INSPECTED", container("web", &plain(started)));
        Run::of(&mut up).exits(exit);
    }
}

#[test]
fn a_port_that_another_program_has_stops_a_start() {
    let shop = Shop::new();
    let mut busy = up(&shop, "");
    let other = r#"["other-web-1","0.0.0.0:8001->80/tcp","","","",""]"#;
    Run::of(busy.env("KINFRA_TEST_PORTS", "8001").env("PUBLISHERS", other))
        .exits(4)
        .says("slot 1 does not start: port 8001 (web) is used by container `other-web-1`")
        .says("help: stop it with `docker stop other-web-1`; or release the slot and claim another");
    assert!(starts(&shop).is_empty());
    assert!(!shop.machine.read("~/pool/registry.json").contains("started_as"));
    // Its own container is no other program.
    let published = json!({"80/tcp": [{"HostIp": "", "HostPort": "8001"}]}).to_string();
    shop.machine.write("~/is-up", "");
    let own = container("web", &running()).replace("{}]", &format!("{published}]"));
    Run::of(up(&shop, "").env("KINFRA_TEST_PORTS", "8001").env("INSPECTED", own)).exits(0);
}

#[test]
fn the_ports_of_this_machine_do_not_count_for_an_engine_on_another_one() {
    let shop = Shop::new();
    let far = |mut command: Command| {
        Run::of(command.env("KINFRA_TEST_PORTS", "8001").env("DOCKER_HOST", "tcp://far:2375")).exits(0)
    };
    shop.kinfra("release").exits(0);
    far(shop.command("claim")).prints("Claimed slot 1");
    far(up(&shop, "")).prints_exactly(" Name  URL              Service\n web   http://far:8001  web\n");
}

#[test]
#[ignore = "needs script, of util-linux"]
fn on_a_terminal_each_service_has_one_line_which_is_redrawn() {
    let shop = Shop::new();
    let mut services: Value = serde_json::from_str(&model("shop-slot-1", 8001, &json!([]))).expect("JSON");
    let plain = json!({"Status": "running", "Pid": 1, "StartedAt": "2026-01-01T10:00:01Z"});
    let names = ["web", "db", "a-service-with-a-name-longer-than-a-line"];
    for name in &names[1..] {
        services["services"][name] = json!({"image": "shop:dev"});
    }
    let mut up = up_as(&shop, "--settle 1s");
    up.env("SLOT_MODEL", services.to_string()).env("STATUS", "Up Less than a second");
    up.env("IDS", names.map(|name| format!("id-{name}")).join(" "));
    up.env("INSPECTED", names.map(|name| container(name, &plain)).join("\n"));
    let mut terminal = Terminal::run(&shop.machine, &up, 24, 40);
    let drawn =
        |state: &str| ["a-service-with-a-na…", "db", "web"].map(|name| format!("  {name:20}  {state}"));
    let shows = |lines: &[String], state: &str| {
        let is_service = |line: &&String| line.starts_with("  ") && !line.starts_with("   ");
        let services: Vec<&String> = lines.iter().filter(is_service).collect();
        services == drawn(state).iter().collect::<Vec<_>>()
    };
    terminal.until(|lines| shows(lines, "starting"));
    let (code, printed, lines) = terminal.ends();
    assert_eq!(code, Some(0), "{lines:#?}");
    assert!(shows(&lines, "settled"), "{lines:#?}");
    assert!(printed.contains("\u{1b}[3A\r"), "{printed:?}");
    let end = [
        "The stack of slot 1 runs",
        " Name  URL",
        " Service",
        " web   http://web.slot-1.localhost:8001",
        " web",
    ];
    // The last line is wider than the terminal.
    let (lines, next) = lines.split_at(lines.len() - 3);
    assert!(lines.ends_with(&end.map(str::to_owned)), "{lines:#?}");
    let next: Vec<&str> = next.iter().flat_map(|line| line.split_whitespace()).collect();
    assert_eq!(next.join(" "), "Next: `kinfra logs -f` follows it, `kinfra down` stops it");
}

#[test]
#[ignore = "needs script, of util-linux"]
fn on_a_terminal_what_does_not_run_is_red_unless_colours_are_not_wanted() {
    for (no_color, shown) in
        [("", "  web  \u{1b}[31mfailed, exit 3\u{1b}[39m"), ("1", "  web  failed, exit 3")]
    {
        let shop = Shop::new();
        let mut up = up_as(&shop, "");
        up.env("INSPECTED", container("web", &ended(3))).env("NO_COLOR", no_color).env("TERM", "xterm");
        let (code, printed, _) = Terminal::run(&shop.machine, &up, 24, 80).ends();
        assert_eq!(code, Some(7), "{printed}");
        assert!(printed.contains(shown), "{printed:?}");
        assert_eq!(printed.contains("[31m"), no_color.is_empty(), "{printed:?}");
    }
}

#[test]
fn the_gate_decides_and_compose_is_quoted() {
    let shop = Shop::new();
    Run::of(up(&shop, "").env("UP_FAILS", "no such image: shop:dev"))
        .exits(7)
        .says("nothing of slot 1 was started: Compose failed with exit code 1\n  no such image: shop:dev");
    Run::of(up(&shop, "").env("INSPECTED", container("web", &ended(3))))
        .exits(7)
        .prints_exactly("")
        .says("error: the stack of slot 1 does not run: web failed\n  web: failed, exit 3\n      boom in ")
        .says(&format!("      boom in {}\n", shop.machine.home().display()));
    // What ran before runs on, and is not what was to be started.
    Run::of(up(&shop, "").env("UP_FAILS", "failed to solve").env("CONTAINERS", "shop-slot-1 web")).exits(7).says(
        "what runs in it is of an earlier start\nnote: Compose failed: exit code 1\n      failed to solve\n",
    );
    let starting = json!({"Status": "running", "Pid": 1, "Health": {"Status": "starting"}});
    Run::of(up(&shop, "--timeout 1s").env("INSPECTED", container("web", &starting))).exits(8);
    Run::of(up(&shop, "--no-gate").env("INSPECTED", container("web", &starting)))
        .exits(0)
        .says("whether it runs was not looked at");
    Run::of(&mut up(&shop, "wep")).exits(64).says("there is no service `wep`\nhelp: the services are web");
}

#[test]
fn the_check_of_the_slots_toml_that_was_applied_is_the_last_word() {
    let shop = Shop::new();
    let check = "[stack]\nverify = [\"/bin/sh\", \"-c\", \"echo $SHOP_WEB_PORT; test ! -e bad\"]\n";
    // A branch cannot change it.
    shop.machine.write("~/fix/slots.toml", format!("{SHOP}[stack]\nverify = [\"false\"]\n"));
    Run::of(&mut up(&shop, "")).exits(0).never_says("Checking");
    shop.machine.spec(&format!("{SHOP}{check}"));
    let note = "slots.toml` changed since it was applied: the applied one is used";
    Run::of(&mut up(&shop, "")).exits(0).never_says("Checking").says(note);
    shop.machine.kinfra("apply").exits(0);
    Run::of(&mut up(&shop, "")).exits(0).says("Checking with `/bin/sh -c ").never_says(note);
    shop.machine.remove("slots.toml");
    Run::of(&mut up(&shop, ""))
        .exits(0)
        .says("Checking with `/bin/sh -c ")
        .says("slots.toml`, which the pool was applied from, cannot be read: its `[stack]` counts as empty");
    shop.machine.spec(&format!("{SHOP}{check}"));
    shop.machine.write("~/fix/bad", "");
    Run::of(&mut up(&shop, ""))
        .exits(7)
        .says("error: the services of slot 1 run, and the check `/bin/sh -c")
        .says(" failed: exit code 1\n      8001\n");
}

#[test]
fn a_service_that_runs_once_does_not_run_again() {
    let shop = Shop::new();
    shop.machine.spec(&format!("{SHOP}[stack]\nonce = [\"migrate\"]\n"));
    let mut both: Value = serde_json::from_str(&model("shop-slot-1", 8001, &json!([]))).expect("JSON");
    both["services"]["migrate"] = json!({"image": "shop:dev", "command": ["v1"]});
    let start = |both: &Value, code: i32| {
        let before = if shop.machine.exists("~/calls") { starts(&shop).len() } else { 0 };
        let mut up = up(&shop, "");
        let containers = [container("web", &running()), container("migrate", &ended(code))].join("\n");
        up.env("SLOT_MODEL", both.to_string()).env("IDS", "id-web\nid-migrate").env("INSPECTED", containers);
        let run = Run::of(&mut up);
        (run.code, starts(&shop).split_off(before).join(", "))
    };
    assert_eq!(start(&both, 0), (Some(0), "--build --no-deps migrate, --build --no-deps web".to_owned()));
    assert_eq!(start(&both, 0), (Some(0), String::new()));
    shop.machine.write("~/fix/compose.yaml", shop.machine.read("~/fix/compose.yaml") + "# a remark\n");
    assert_eq!(start(&both, 0), (Some(0), "--build --no-deps web".to_owned()), "the same inputs");
    both["services"]["migrate"]["command"] = json!(["v2"]);
    shop.machine.write("~/fix/compose.yaml", shop.machine.read("~/fix/compose.yaml") + "# another\n");
    assert_eq!(
        start(&both, 3),
        (Some(7), "--build --no-deps migrate".to_owned()),
        "it fails, and the rest is not started"
    );
    assert_eq!(start(&both, 0), (Some(0), "--build --no-deps migrate, --build --no-deps web".to_owned()));
}

#[test]
fn a_service_that_runs_once_does_not_run_again_because_another_one_needs_it() {
    let shop = Shop::new();
    shop.machine.spec(&format!("{SHOP}[stack]\nonce = [\"seed\", \"migrate\"]\n"));
    let mut all: Value = serde_json::from_str(&model("shop-slot-1", 8001, &json!([]))).expect("JSON");
    let done = |name: &str| json!({name: {"condition": "service_completed_successfully"}});
    all["services"]["db"] = json!({"image": "shop:dev"});
    all["services"]["migrate"] =
        json!({"image": "shop:dev", "depends_on": {"db": {"condition": "service_healthy"}}});
    all["services"]["seed"] = json!({"image": "shop:dev", "command": ["v1"], "depends_on": done("migrate")});
    all["services"]["web"]["depends_on"] = done("seed");
    let start = |all: &Value, ids: [&str; 2]| {
        let before = if shop.machine.exists("~/calls") { starts(&shop).len() } else { 0 };
        shop.machine.write("~/fix/compose.yaml", shop.machine.read("~/fix/compose.yaml") + "# a remark\n");
        let mut containers = ["web", "db"].map(|name| container(name, &running())).to_vec();
        containers.extend(["migrate", "seed"].map(|name| container(name, &ended(0))));
        let containers = containers.join("\n").replace(ids[0], ids[1]);
        let mut up = up(&shop, "");
        up.env("SLOT_MODEL", all.to_string()).env("IDS", "id-web\nid-db").env("INSPECTED", containers);
        Run::of(&mut up).exits(0);
        starts(&shop).split_off(before).join(", ").replace("--build --no-deps ", "")
    };
    assert_eq!(start(&all, ["", ""]), "db migrate, db seed, db web", "each runs, and after what it needs");
    assert_eq!(start(&all, ["", ""]), "db, db web", "none runs");
    all["services"]["seed"]["command"] = json!(["v2"]);
    assert_eq!(start(&all, ["", ""]), "db, db seed, db web", "only the one that is another");
    assert_eq!(start(&all, ["id-db", "id-2"]), "db migrate, db seed, db web", "another database");
}
