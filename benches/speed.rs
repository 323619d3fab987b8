//! The figures of docs/guarantees.md: `cargo bench --bench speed`.
//!
//! Each figure is the median time of whole processes. A figure and what it is compared to are measured in turn, so that a
//! noisy machine slows both. Pools are made below `target`, or below the directory that `KINFRA_BENCH_DIR` names.
//!
//! The figures of stacks need a Docker engine with the tests' images: `.ci/engine cargo bench --bench speed stacks`
//! measures these alone, as `cargo bench --bench speed slots` does those of `kinfra slots`. Those of a registry on a server
//! need one: `KINFRA_BENCH_SERVER=postgres://… cargo bench --bench speed server` names an empty database.
#![expect(
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark sets up its own machine and prints what it measured"
)]

#[path = "speed/server.rs"]
mod server;
#[path = "speed/slots.rs"]
mod slots;
#[path = "speed/stacks.rs"]
mod stacks;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use camino::Utf8Path;
use kinfra::compose::model::Model;
use kinfra::compose::resource::Resource;
use kinfra::proof::isolation::{Owner, Stack, prove};
use kinfra::slot::SlotId;
use tempfile::TempDir;

const KINFRA: &str = env!("CARGO_BIN_EXE_kinfra");
const SOURCES: &str = env!("CARGO_MANIFEST_DIR");

fn main() {
    let arguments: Vec<String> = env::args().collect();
    if let [_, verb, from, to, slots] = arguments.as_slice()
        && verb == "bare"
    {
        return bare(Path::new(from), Path::new(to), slots.parse().expect("a number of slots"));
    }
    let place = env::var("KINFRA_BENCH_DIR").unwrap_or_else(|_| env!("CARGO_TARGET_TMPDIR").to_owned());
    let machine = TempDir::new_in(place).expect("a directory to measure in");
    let is_asked_for = |part: &str| arguments.iter().any(|argument| argument == part);
    if is_asked_for("stacks") {
        return stacks::measure(machine.path());
    }
    if is_asked_for("slots") {
        return slots::measure(machine.path());
    }
    if is_asked_for("server") {
        return server::measure(machine.path());
    }
    plan_of_six(machine.path());
    apply_of_six(machine.path());
    claims(machine.path());
    claims_of_many(machine.path());
    apply_of_many(machine.path());
    slots::measure(machine.path());
    isolation();
    stacks::measure(machine.path());
}

/// The isolation proof of the main stack and 100 slots of 20 services each, in this process: once with nothing
/// in common, and once with a directory that every pair of stacks shares.
fn isolation() {
    let models: Vec<Model> = (0..=100).map(model_of).collect();
    let worktrees: Vec<String> = (0..=100).map(|slot| format!("/home/dev/shop/.worktrees/{slot}")).collect();
    let stacks = models.iter().zip(&worktrees).zip(0_u16..).map(|((model, worktree), slot)| {
        let owner = SlotId::new(slot).map_or(Owner::Main, Owner::Slot);
        Stack { owner, model, worktree: Utf8Path::new(worktree) }
    });
    let stacks: Vec<Stack<'_>> = stacks.collect();
    let shared = [["mount:/home/dev/.npm", "network:proxy"].as_slice(), &["network:proxy"]];
    let [apart, sharing] = shared.map(|resources| {
        let shared = resources.iter().map(|text| Resource::parse(text).expect("a resource")).collect();
        let prove = |_| {
            let start = Instant::now();
            let found = prove(&stacks, &shared).conflicts.len();
            (start.elapsed(), found)
        };
        let (mut times, found): (Vec<Duration>, Vec<usize>) = (0..30).map(prove).unzip();
        (median(&mut times), found.last().copied().unwrap_or_default())
    });
    assert_eq!((apart.1, sharing.1), (0, 101 * 100 / 2), "conflicts");
    println!("isolation proof, 100 slots of 20 services: {} ms (at most 50)", ms(apart.0));
    println!("    with {} conflicts: {} ms", sharing.1, ms(sharing.0));
}

/// A slot's resolved files: 20 services, each with a port, a network, a mount of the worktree, a volume and an image.
fn model_of(slot: u32) -> Model {
    let services = (0..20).map(|service| {
        let port = 10_000 + 20 * slot + service;
        format!(
            r#""service-{service}": {{"build": {{"context": "."}}, "networks": {{"default": null, "proxy": null}},
                "ports": [{{"target": 80, "published": "{port}", "host_ip": "127.0.0.1", "protocol": "tcp"}}],
                "volumes": [{{"type": "bind", "source": "/home/dev/shop/.worktrees/{slot}/{service}", "target": "/app"}},
                    {{"type": "bind", "source": "/home/dev/.npm", "target": "/root/.npm"}},
                    {{"type": "volume", "source": "data-{service}", "target": "/data"}}]}}"#
        )
    });
    let services = services.collect::<Vec<_>>().join(",");
    let networks = r#"{"default": {}, "proxy": {"name": "proxy", "external": true}}"#;
    let json = format!(r#"{{"name": "shop-{slot}", "services": {{{services}}}, "networks": {networks}}}"#);
    Model::parse(&json).expect("a model")
}

fn plan_of_six(dir: &Path) {
    let root = dir.join("six");
    time(&mut kinfra("apply", Path::new("/"), &root));
    let empty = empty_program(dir);
    let (mut plans, mut empties) = (Vec::new(), Vec::new());
    for _ in 0..300 {
        plans.push(time(&mut kinfra("plan", Path::new("/"), &root)));
        empties.push(time(&mut Command::new(&empty)));
    }
    let (plan, empty) = (median(&mut plans), median(&mut empties));
    println!("plan, six slots applied: {} ms; empty Rust program: {} ms", ms(plan), ms(empty));
    println!("    {:.2} times an empty program (at most 2.5)", ratio(plan, empty));
}

fn apply_of_six(dir: &Path) {
    let fresh = |run: usize| time(&mut kinfra("apply", Path::new("/"), &dir.join(format!("fresh-{run}"))));
    let mut applies: Vec<Duration> = (0..50).map(fresh).collect();
    println!("apply, six slots, durable: {} ms (at most 15)", ms(median(&mut applies)));
}

/// Claims and releases of the embedded pool: each claim writes the registry, its backup, the worktree's env file and the
/// Compose override.
fn claims(dir: &Path) {
    let (root, worktree) = (dir.join("claims"), dir.join("worktree"));
    fs::create_dir(&worktree).expect("a worktree");
    time(&mut kinfra("apply", Path::new("/"), &root));
    let (mut claims, mut again, mut releases) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..100 {
        claims.push(time(kinfra("claim", Path::new("/"), &root).current_dir(&worktree)));
        again.push(time(kinfra("claim", Path::new("/"), &root).current_dir(&worktree)));
        releases.push(time(kinfra("release", Path::new("/"), &root).current_dir(&worktree)));
    }
    println!("claim, durable: {} ms (at most 5)", ms(median(&mut claims)));
    println!(
        "claim of what is held: {} ms; release: {} ms",
        ms(median(&mut again)),
        ms(median(&mut releases))
    );
}

/// Claims in a pool of six slots and in one of a thousand, by turns.
fn claims_of_many(dir: &Path) {
    let worktree = dir.join("claimant");
    fs::create_dir(&worktree).expect("a worktree");
    let pools = [6, 1000].map(|slots| (spec_of(dir, slots), dir.join(format!("claims-{slots}")), Vec::new()));
    for (spec, root, _) in &pools {
        time(&mut kinfra("apply", spec, root));
    }
    let mut pools = pools;
    for _ in 0..50 {
        for (spec, root, claims) in &mut pools {
            claims.push(time(kinfra("claim", spec, root).current_dir(&worktree)));
            time(kinfra("release", spec, root).current_dir(&worktree));
        }
    }
    let [six, thousand] = pools.map(|(_, _, mut claims)| median(&mut claims));
    println!("claim, 1,000 slots: {} ms; six slots: {} ms", ms(thousand), ms(six));
    println!("    {:.2} times six slots", ratio(thousand, six));
}

fn apply_of_many(dir: &Path) {
    let specs = [100, 1000].map(|slots| (slots, spec_of(dir, slots)));
    let (mut hundreds, mut thousands, mut bares, mut peak) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for run in 0..7 {
        for (slots, spec) in &specs {
            let root = dir.join(format!("{slots}-{run}"));
            let mut command = kinfra("apply", spec, &root);
            if *slots == 100 {
                hundreds.push(time(&mut command));
                continue;
            }
            thousands.push(time(&mut command));
            let mut bare = Command::new(env::current_exe().expect("this program"));
            bare.arg("bare")
                .arg(root.join("slot-1"))
                .arg(dir.join(format!("bare-{run}")))
                .arg(slots.to_string());
            bares.push(time(&mut bare));
        }
    }
    for run in 0..3 {
        peak = peak.max(peak_kib(&mut kinfra("apply", &specs[1].1, &dir.join(format!("peak-{run}")))));
    }
    let (hundred, thousand, bare) = (median(&mut hundreds), median(&mut thousands), median(&mut bares));
    println!("apply, 100 slots, durable: {} ms", ms(hundred));
    println!("apply, 1,000 slots, durable: {} ms; bare program: {} ms", ms(thousand), ms(bare));
    println!("    {:.2} times the bare program (at most 3)", ratio(thousand, bare));
    println!("    {:.2} times 100 slots (at most 12)", ratio(thousand, hundred));
    println!("    peak memory {:.1} MiB (at most 30)", f64::from(peak) / 1024.0);
}

/// The program that `apply` is compared to: writes the files of one slot directory for each slot, and syncs them.
fn bare(from: &Path, to: &Path, slots: u32) {
    let files: Vec<(PathBuf, Vec<u8>)> = fs::read_dir(from)
        .expect("a slot directory")
        .map(|entry| entry.expect("an entry"))
        .map(|entry| (entry.file_name().into(), fs::read(entry.path()).expect("a file")))
        .collect();
    for slot in 1..=slots {
        let dir = to.join(format!("slot-{slot}"));
        fs::create_dir_all(&dir).expect("a directory");
        for (name, content) in &files {
            fs::write(dir.join(name), content).expect("a file");
        }
    }
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(fs::File::open(to).expect("the directory")).expect("synced");
}

/// A pool with the embedded templates and as many slots as asked for.
fn spec_of(dir: &Path, slots: u16) -> PathBuf {
    let project = dir.join(format!("spec-{slots}"));
    fs::create_dir_all(project.join("templates")).expect("a project");
    for entry in fs::read_dir(Path::new(SOURCES).join("templates")).expect("templates") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), project.join("templates").join(entry.file_name())).expect("a template");
    }
    let ports = ["api", "db", "grafana", "jaeger_ui", "prometheus", "otlp_grpc", "otlp_http"];
    let ports = ports.iter().zip(1_u32..).map(|(name, place)| format!("{name} = {}\n", 4000 + 4001 * place));
    let spec = format!(
        "version = 1\n[pool]\nname = \"many\"\nroot = \"~/many\"\nenv_prefix = \"KTRDR_\"\n[ports]\n{}\
         [[profiles]]\nname = \"light\"\nworkers = {{ backtest = 1, training = 1 }}\n\
         [[slots]]\nids = \"1-{slots}\"\nprofile = \"light\"\n[files]\n\".env.sandbox\" = \"env.sandbox\"\n\
         \"docker-compose.yml\" = \"docker-compose.yml\"\n\"prometheus.yml\" = \"prometheus.yml\"\n",
        ports.collect::<String>()
    );
    fs::write(project.join("slots.toml"), spec).expect("a spec");
    project.join("slots.toml")
}

/// kinfra on a root of its own; `/` for a spec means the embedded one.
fn kinfra(verb: &str, spec: &Path, root: &Path) -> Command {
    let mut command = Command::new(KINFRA);
    command.arg(verb).arg("--root").arg(root).current_dir("/").env("HOME", "/nonexistent");
    // Its index is empty: the other pools here use the same ports, and kinfra would refuse this one.
    let state = root.with_extension("state");
    fs::create_dir_all(state.join("kinfra/pools")).expect("an index");
    command.env("XDG_STATE_HOME", state);
    if spec != Path::new("/") {
        command.arg("--spec").arg(spec);
    }
    command
}

fn empty_program(dir: &Path) -> PathBuf {
    let (source, program) = (dir.join("empty.rs"), dir.join("empty"));
    fs::write(&source, "fn main() {}\n").expect("a source");
    let options = ["-O", "-C", "lto=fat", "-C", "panic=abort", "-C", "strip=symbols"];
    let built = Command::new("rustc").args(options).arg(&source).arg("-o").arg(&program).status();
    assert!(built.expect("rustc starts").success());
    program
}

fn time(command: &mut Command) -> Duration {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let status = command.status().expect("a program that starts");
    let elapsed = start.elapsed();
    assert!(status.success(), "{command:?}: {status}");
    elapsed
}

/// The peak resident memory of a process in KiB, by the kernel's count.
fn peak_kib(command: &mut Command) -> u32 {
    let mut child =
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a program that starts");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().expect("a child").is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(peak);
    }
    peak
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().expect("something was measured")
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64()
}

fn ms(time: Duration) -> String {
    format!("{:.1}", time.as_micros() as f64 / 1000.0)
}
