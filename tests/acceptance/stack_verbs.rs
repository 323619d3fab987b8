//! `up`, `down`, `logs`, `shell` and `reset` with stacks that really run.

use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::rig::engine::{self, Engine};
use crate::support::{Machine, Run, Running, shop};

const COMPOSE: &str = "services:
  db:
    image: busybox:kinfra
    command: [sh, -c, 'sleep 1; touch /tmp/up; exec sleep 1000']
    init: true
    volumes: ['data:/data']
    healthcheck: {test: [CMD, test, -e, /tmp/up], interval: 1s, timeout: 5s, retries: 60}
  migrate:
    image: busybox:kinfra
    command: [sh, -c, 'echo ran >>/data/log']
    volumes: ['data:/data']
    depends_on: {db: {condition: service_healthy}}
  web:
    build: .
    command: [sh, -c, 'echo hello from web; exec httpd -f -p 80 -h /srv']
    init: true
    ports: ['PORT:80']
    depends_on: {migrate: {condition: service_completed_successfully}}
volumes:
  data:
";

/// A project whose worktree `fix` holds no slot yet.
struct Shop {
    machine: Machine,
    engine: Engine,
    port: u16,
}

impl Shop {
    fn new(pool: &str, port: u16) -> Self {
        let engine = Engine::for_projects(&[&format!("{pool}-slot-1"), &format!("{pool}-slot-2")]);
        let machine = Machine::new().with_real_ports();
        machine.install("docker");
        machine.write("compose.yaml", COMPOSE.replace("PORT", &port.to_string()));
        machine.write("Dockerfile", "FROM busybox:kinfra\nCOPY page /srv/index.html\n");
        machine.write("page", "one\n");
        machine.spec(&(shop(pool, port) + "[stack]\nshell = \"web\"\n"));
        machine.repository(machine.project());
        Run::of(engine.reach(&mut machine.command("apply"))).exits(0);
        machine.worktree("fix");
        Self { machine, engine, port }
    }

    fn stack(&self, lines: &str) {
        self.machine.edit_spec("[stack]\n", &format!("[stack]\n{lines}\n"));
        self.machine.kinfra("apply").exits(0);
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.machine.command("");
        command.args(words).current_dir(self.machine.path("~/fix"));
        self.engine.reach(&mut command);
        command
    }

    fn kinfra(&self, words: &[&str]) -> Run {
        Run::of(&mut self.command(words))
    }

    fn up(&self, words: &[&str]) -> Run {
        self.kinfra(&[&["up", "--settle", "1s"], words].concat())
    }

    /// How often the service that fills the database ran.
    fn runs(&self) -> usize {
        self.kinfra(&["shell", "db", "--", "cat", "/data/log"]).exits(0).stdout.lines().count()
    }

    fn containers(&self) -> String {
        self.listed().exits(0).stdout
    }

    fn listed(&self) -> Run {
        self.kinfra(&["compose", "ps", "--all", "--quiet"])
    }

    fn page(&self) -> String {
        engine::get(self.port + 1, "/")
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        // The rig removes what is left of the projects.
        Running::piped(&mut self.command(&["down", "--volumes"])).outcome();
    }
}

#[test]
#[ignore = "needs docker"]
fn a_stack_runs_and_its_addresses_answer() {
    let shop = Shop::new("kinfra-up", 26_100);
    shop.up(&[]).exits(0).says("Claimed slot 1").prints("web   http://web.slot-1.localhost:26101  web\n");
    assert_eq!(shop.page(), "one\n");
    let first = shop.containers();
    let json: Value = serde_json::from_str(&shop.up(&["--json"]).exits(0).stdout).expect("one document");
    assert_eq!(json["ran_already"], true);
    assert_eq!(shop.containers(), first, "nothing was started");
    // New code is built and runs.
    shop.machine.write("~/fix/page", "two\n");
    shop.up(&[]).exits(0).says("The stack of slot 1 runs\n");
    assert_eq!(shop.page(), "two\n");
    // A service that was stopped is started again.
    shop.kinfra(&["compose", "stop", "web"]).exits(0);
    shop.up(&[]).exits(0);
    assert_eq!(shop.page(), "two\n");

    shop.kinfra(&["logs", "web", "--tail", "1"]).exits(0).prints("hello from web");
    shop.kinfra(&["logs", "--failing"]).exits(0).prints_exactly("").says("No service of slot 1 fails");
    shop.kinfra(&["shell", "--", "cat", "/srv/index.html"]).exits(0).prints_exactly("two\n");
    shop.kinfra(&["shell", "--", "sh", "-c", "exit 5"]).exits(5);
    shop.kinfra(&["shell", "migrate"]).exits(7).says("`migrate` does not run in slot 1: db, web do");

    shop.kinfra(&["down"]).exits(0).says("Removed 3 containers, 1 network").says("Kept");
    shop.kinfra(&["shell"]).exits(7).says("nothing runs in slot 1");
    shop.up(&[]).exits(0);
    assert_eq!(shop.page(), "two\n");
    shop.kinfra(&["down", "--volumes"]).exits(0).says("volume kinfra-up-slot-1_data");
    shop.kinfra(&["status"]).exits(0).prints("Slot 1 (only) is yours");
}

#[test]
#[ignore = "needs docker"]
fn what_does_not_run_is_said_with_its_code() {
    let shop = Shop::new("kinfra-fails", 26_200);
    let compose = shop.machine.read("~/fix/compose.yaml");
    shop.kinfra(&["claim"]).exits(0);
    // Another program has the port.
    let other = TcpListener::bind(("127.0.0.1", shop.port + 1)).expect("a free port");
    let process = format!("(process {})", std::process::id());
    shop.up(&[]).exits(4).says("port 26201 (web) is used by").says(&process);
    drop(other);
    // The check of the project.
    shop.stack("verify = [\"sh\", \"-c\", \"echo $SHOP_WEB_PORT; test ! -e bad\"]");
    shop.machine.write("~/fix/bad", "");
    shop.up(&[]).exits(7).says("the services of slot 1 run, and the check `sh -c").says("      26201\n");
    fs::remove_file(shop.machine.path("~/fix/bad")).expect("it is there");
    shop.up(&[]).exits(0);
    // The image is not built, and the last one runs on.
    shop.machine.write("~/fix/Dockerfile", "FROM busybox:kinfra\nCOPY nothing /srv/\n");
    shop.up(&[]).exits(7).says("what runs in it is of an earlier start").says("nothing");
    shop.up(&["--no-build"]).exits(0);
    shop.machine.write("~/fix/Dockerfile", "FROM busybox:kinfra\nCOPY page /srv/index.html\n");
    // It crashes.
    shop.machine
        .write("~/fix/compose.yaml", compose.replace("exec httpd -f -p 80 -h /srv", "sleep 1; exit 3"));
    shop.up(&[]).exits(7).says("web failed").says("      hello from web\n");
    shop.kinfra(&["logs", "--failing"]).exits(0).prints("hello from web");
    shop.up(&["--no-gate"]).exits(0).says("whether it runs was not looked at");
    // It takes too long.
    shop.machine.write("~/fix/compose.yaml", compose.replace("exec httpd", "sleep 60; exec httpd"));
    shop.up(&["--timeout", "6s"]).exits(8).says("not ready in time");
}

#[test]
#[ignore = "needs docker"]
fn two_starts_at_once_are_one() {
    let shop = Shop::new("kinfra-two", 26_300);
    shop.kinfra(&["claim"]).exits(0);
    let first = Running::piped(&mut shop.command(&["up", "--settle", "1s"]));
    thread::sleep(Duration::from_millis(400));
    let second = shop.up(&["--json"]).exits(0).says("Waiting: the stack is held by process ");
    assert!(second.stdout.contains("\"ran_already\": true"), "{}", second.stdout);
    first.ends().exits(0);
    assert_eq!(shop.page(), "one\n");
}

#[test]
#[ignore = "needs docker"]
fn a_compose_in_another_terminal_ends_with_the_stack() {
    let shop = Shop::new("kinfra-foreground", 26_700);
    shop.up(&[]).exits(0);
    for verb in ["down", "release"] {
        let foreground = Running::piped(&mut shop.command(&["compose", "up"]));
        let deadline = Instant::now() + Duration::from_mins(1);
        let running = ["compose", "ps", "--services", "--status", "running"];
        // Compose fails where a container that it lists is gone when it looks at it.
        while !shop.kinfra(&running).stdout.contains("web") && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(100));
        }
        // Another command of Compose is no reason to wait.
        shop.kinfra(&["compose", "restart", "web"]).exits(0);
        shop.kinfra(&["up", "--timeout", "0s"]).exits(6).says("(docker compose) for ");
        shop.kinfra(&[verb]).exits(0);
        foreground.ends();
        let left = shop.engine.made_by("kinfra-foreground-slot-1");
        assert!(!left.iter().any(|thing| thing.starts_with("container ")), "{verb}: {left:?}");
    }
}

#[test]
#[ignore = "needs docker"]
fn an_interrupted_start_goes_on() {
    let shop = Shop::new("kinfra-interrupted", 26_400);
    shop.kinfra(&["claim"]).exits(0);
    // With and without a word to Compose: Ctrl-C reaches both, a signal to kinfra alone does not.
    for signal in [Signal::INT, Signal::TERM] {
        // On a busy machine, docker shows the containers late: the start still goes on then.
        let up = Running::piped(&mut shop.command(&["up", "--settle", "60s"]));
        let deadline = Instant::now() + Duration::from_secs(30);
        // A container that Compose renames meanwhile makes its list fail.
        while shop.listed().stdout.is_empty() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(50));
        }
        up.signal(signal);
        up.ends().exits(130).says("interrupted").never_says("panicked");
        shop.up(&[]).exits(0);
        assert_eq!(shop.page(), "one\n");
        shop.kinfra(&["down", "--volumes"]).exits(0);
    }
}

#[test]
#[ignore = "needs docker"]
fn a_service_that_runs_once_runs_again_when_its_inputs_are_others() {
    let shop = Shop::new("kinfra-once", 26_500);
    shop.stack("once = [\"migrate\"]");
    shop.up(&[]).exits(0);
    assert_eq!((shop.runs(), shop.page()), (1, "one\n".to_owned()));
    let before = shop.containers();
    shop.machine.write("~/fix/notes", "");
    shop.up(&[]).exits(0).says("The stack of slot 1 runs\n");
    assert_eq!(shop.runs(), 1);
    assert_eq!(shop.containers(), before, "nothing is made anew");
    let compose = shop.machine.read("~/fix/compose.yaml");
    shop.machine.write("~/fix/compose.yaml", compose.replace("echo ran", "echo ran again"));
    shop.up(&[]).exits(0);
    assert_eq!(shop.runs(), 2);
    // Its container went with the stack.
    shop.kinfra(&["down"]).exits(0);
    shop.up(&[]).exits(0);
    assert_eq!(shop.runs(), 3);
    // The data is another one.
    shop.kinfra(&["reset", "db"]).exits(4).says("volume kinfra-once-slot-1_data").says("approval");
    assert_eq!(shop.runs(), 3);
    shop.kinfra(&["reset", "db", "--auto-approve", "--settle", "1s"]).exits(0);
    assert_eq!((shop.runs(), shop.page()), (1, "one\n".to_owned()));
    shop.kinfra(&["reset", "--auto-approve", "--settle", "1s"]).exits(0);
    assert_eq!(shop.runs(), 1);
}

#[test]
#[ignore = "needs docker"]
fn of_two_services_that_run_once_each_does_so_once() {
    let shop = Shop::new("kinfra-twice", 26_800);
    shop.stack("once = [\"migrate\", \"seed\"]");
    let seed = "  seed:\n    image: busybox:kinfra\n    command: [sh, -c, 'echo seeded >>/data/log']\n    \
                volumes: ['data:/data']\n    depends_on: {migrate: {condition: service_completed_successfully}}\n";
    let compose = COMPOSE.replace("PORT", &shop.port.to_string());
    shop.machine.write(
        "~/fix/compose.yaml",
        compose.replace("volumes:\n  data:", &format!("{seed}volumes:\n  data:")),
    );
    let log = || shop.kinfra(&["shell", "db", "--", "cat", "/data/log"]).exits(0).stdout;
    shop.up(&[]).exits(0);
    assert_eq!(log(), "ran\nseeded\n");
    let compose = shop.machine.read("~/fix/compose.yaml");
    shop.machine.write("~/fix/compose.yaml", compose.replace("echo seeded", "echo seeded again"));
    shop.up(&[]).exits(0);
    assert_eq!(log(), "ran\nseeded\nseeded again\n");
}

#[test]
#[ignore = "needs docker"]
fn a_pool_of_templates_runs_by_the_same_verbs() {
    let engine = Engine::for_projects(&["kinfra-templates-slot-1"]);
    let machine = Machine::small().with_real_ports();
    machine.install("docker");
    machine.spec(
        "version = 1\n[pool]\nname = \"kinfra-templates\"\nroot = \"~/pool\"\nenv_prefix = \"T_\"\n[ports]\nweb = 26600\n\
         [[profiles]]\nname = \"only\"\n[[slots]]\nids = \"1\"\nprofile = \"only\"\n[files]\n\
         \"docker-compose.yml\" = \"compose.yml\"\n",
    );
    let compose = "services:\n  web:\n    image: busybox:kinfra\n    command: [httpd, -f, -p, '80', -h, /etc]\n    \
                   init: true\n    ports: ['{{ ports.web }}:80']\n";
    machine.template("compose.yml", compose);
    let kinfra = |arguments: &str| Run::of(engine.reach(&mut machine.command(arguments)));
    kinfra("apply").exits(0);
    kinfra("up --settle 1s").exits(0).prints("web   http://web.slot-1.localhost:26601  web\n");
    assert!(engine::get(26_601, "/passwd").contains("root"));
    kinfra("up").exits(0).says("runs already");
    kinfra("shell -- true").exits(0);
    kinfra("down").exits(0).says("Removed 1 container, 1 network");
}
