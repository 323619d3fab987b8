//! What kinfra adds to Docker.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{KINFRA, median, ms, ratio, time};

/// An image that `.ci/engine` makes.
const IMAGE: &str = "busybox:kinfra";

/// Measures it, if there is an engine.
pub(crate) fn measure(dir: &Path) {
    let image = Command::new("docker").args(["image", "inspect", IMAGE]).output();
    if !image.is_ok_and(|image| image.status.success()) {
        return println!("stacks: not measured, because no Docker engine with {IMAGE} answers");
    }
    let plain = Shop::new(dir, "kinfra-bench", 29_300, false);
    never_started(&plain);
    up_of_small(&plain);
    slots_of_twelve(&plain);
    drop(plain);
    up_again(&Shop::new(dir, "kinfra-bench-healthy", 29_330, true));
}

fn never_started(shop: &Shop) {
    // Docker is asked nothing: this one would tell.
    let (empty, asked) = (shop.dir.join("empty"), shop.dir.join("asked"));
    fs::create_dir(&empty).expect("a directory");
    let docker = format!("#!/bin/sh\ntouch {}\nexit 1\n", asked.display());
    let mut make = Command::new("sh");
    make.args(["-c", "printf %s \"$1\" >docker && chmod +x docker", "sh", &docker]).current_dir(&empty);
    time(&mut make);
    let mut path = empty.into_os_string();
    path.push(":");
    path.push(env::var_os("PATH").unwrap_or_default());
    let (mut claims, mut releases) = (Vec::new(), Vec::new());
    for _ in 0..50 {
        claims.push(time(shop.kinfra("1", "claim").env("PATH", &path)));
        releases.push(time(shop.kinfra("1", "release").env("PATH", &path)));
    }
    assert!(!asked.exists(), "Docker was asked");
    println!(
        "claim of a slot that was never started, for Compose: {} ms; release: {} ms",
        ms(median(&mut claims)),
        ms(median(&mut releases))
    );
}

fn up_of_small(shop: &Shop) {
    let (mut ups, mut composes) = (Vec::new(), Vec::new());
    for _ in 0..9 {
        ups.push(time(&mut shop.kinfra("1", "up --settle 0s")));
        composes.push(time(&mut shop.compose("up -d")));
        time(&mut shop.kinfra("1", "down"));
        time(&mut shop.compose("down"));
    }
    let (up, compose) = (median(&mut ups), median(&mut composes));
    println!("up of two services, settle time 0: {} ms; docker compose up -d: {} ms", ms(up), ms(compose));
    let more = ms(up.saturating_sub(compose.mul_f64(1.1)));
    println!("    {more} ms more than 1.1 times docker compose up -d (at most 300)");
}

fn slots_of_twelve(shop: &Shop) {
    for slot in 1..=TWELVE {
        time(&mut shop.kinfra(&slot.to_string(), "up --settle 0s"));
    }
    let (mut slots, mut lists) = (Vec::new(), Vec::new());
    for _ in 0..50 {
        slots.push(time(&mut shop.kinfra("1", "slots")));
        lists.push(time(Command::new("docker").args(["ps", "-a"])));
    }
    let (slots, list) = (median(&mut slots), median(&mut lists));
    println!("slots, twelve running stacks: {} ms; docker ps -a: {} ms", ms(slots), ms(list));
    println!("    {:.2} times docker ps -a (at most 1.3)", ratio(slots, list));
}

fn up_again(shop: &Shop) {
    // The first one waits for the settle time.
    time(&mut shop.kinfra("1", "up"));
    time(&mut shop.compose("up -d"));
    let (mut ups, mut composes) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        ups.push(time(&mut shop.kinfra("1", "up")));
        composes.push(time(&mut shop.compose("up -d")));
    }
    let (up, compose) = (median(&mut ups), median(&mut composes));
    println!("up when all is up: {} ms (at most 250)", ms(up));
    println!("    {:.2} times docker compose up -d, {} ms (at most 0.5)", ratio(up, compose), ms(compose));
}

const TWELVE: u16 = 12;

/// A project with two services, and worktrees named 1 to 12. Dropped, all that it started goes.
struct Shop {
    dir: PathBuf,
    pool: &'static str,
}

impl Shop {
    /// The second service may wait until the first one is healthy.
    fn new(dir: &Path, pool: &'static str, port: u16, waits: bool) -> Self {
        let shop = Self { dir: dir.join(pool), pool };
        shop.clear();
        let project = shop.dir.join("main");
        fs::create_dir_all(&project).expect("a project");
        let service = format!("    image: {IMAGE}\n    init: true\n    stop_grace_period: 0s\n");
        let check = "    healthcheck: {test: [CMD, wget, -q, -O, /dev/null, 'http://127.0.0.1/etc/hostname'], interval: 500ms}\n";
        let wait = "    depends_on: {web: {condition: service_healthy}}\n";
        let [check, wait] = [check, wait].map(|text| if waits { text } else { "" });
        let compose = format!(
            "services:\n  web:\n{service}    command: [httpd, -f, -p, '80', -h, /]\n    ports: ['{port}:80']\n{check}  \
             worker:\n{service}    command: [sleep, '10000']\n{wait}"
        );
        let spec = format!(
            "version = 1\n[pool]\nname = \"{pool}\"\nroot = \"~/pool\"\nenv_prefix = \"BENCH_\"\n[compose]\n\
             [ports]\nweb = {{ base = {port}, publish = \"web:80\" }}\n[[profiles]]\nname = \"only\"\n\
             [[slots]]\nids = \"1-{TWELVE}\"\nprofile = \"only\"\n"
        );
        fs::write(project.join("compose.yaml"), compose).expect("a Compose file");
        fs::write(project.join("slots.toml"), spec).expect("a spec");
        let git = "git init -q && git add . && git -c user.name=me -c user.email=me@example.org commit -qm shop && \
                   for each in $(seq $0); do git worktree add -q -b $each ../$each; done";
        time(Command::new("sh").args(["-c", git, &TWELVE.to_string()]).current_dir(project));
        time(&mut shop.kinfra("main", "apply"));
        shop
    }

    fn kinfra(&self, worktree: &str, arguments: &str) -> Command {
        let mut command = Command::new(KINFRA);
        command.args(arguments.split(' ')).current_dir(self.dir.join(worktree)).env("HOME", &self.dir);
        let config = env::var("DOCKER_CONFIG").or_else(|_| env::var("HOME").map(|home| home + "/.docker"));
        command.env("DOCKER_CONFIG", config.expect("a home")).env_remove("XDG_STATE_HOME");
        command
    }

    /// Compose by itself, for the main worktree.
    fn compose(&self, arguments: &str) -> Command {
        let mut command = Command::new("docker");
        command.args(["compose", "--project-name", &format!("{}-main", self.pool)]);
        command.args(arguments.split(' ')).current_dir(self.dir.join("main"));
        command
    }

    fn clear(&self) {
        let script = "for of in kinfra.pool=$0 com.docker.compose.project=$0-main; do
            docker ps -aq --filter label=$of | xargs -r docker rm -fv
            docker network ls -q --filter label=$of | xargs -r docker network rm
        done";
        time(Command::new("sh").args(["-c", script, self.pool]));
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.clear();
    }
}
