//! Claims where the registry is in PostgreSQL, beside those of a file.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use kinfra::claims::lease;
use kinfra::claims::pick::Grant;
use kinfra::host::identity::host_of_pools;
use kinfra::host::postgres::credentials::Login;
use kinfra::ledger::{Change, Database, Loaded, Locking};
use kinfra::registry::{Claim, OwnPlace};
use kinfra::server::Given;

use super::{kinfra, median, ms, ratio, time};

/// For how long pairs of claim and release are counted.
const WHILE: Duration = Duration::from_secs(5);

/// Measures claims on the server of `KINFRA_BENCH_SERVER`, in a database that has nothing yet.
pub(crate) fn measure(dir: &Path) {
    let url = env::var("KINFRA_BENCH_SERVER").expect("KINFRA_BENCH_SERVER=postgres://… of an empty database");
    time(Command::new(super::KINFRA).args(["registry", "init", &url]));
    let [file, server] = Pool::both(dir, 6, &url);
    // More of them than slots would ask in vain, and that would be measured.
    for clients in [1, 6] {
        println!("{clients} persistent clients: {:.0} pairs a second", persistent(&url, dir, clients));
    }
    for slots in [6, 100, 1_000, 10_000] {
        claims(Pool::both(dir, slots, &url), &url);
    }
    for clients in [1, 6, 64, 200] {
        let [file, server] = [&file, &server].map(|pool| pool.pairs(clients));
        println!("{clients} processes wait for 6 slots: file {file:.0} pairs a second, server {server:.0}");
    }
}

/// A pool in a root of its own.
struct Pool {
    spec: PathBuf,
    root: PathBuf,
}

impl Pool {
    /// One in a file, and one on a server.
    fn both(dir: &Path, slots: u32, url: &str) -> [Self; 2] {
        [("file", String::new()), ("server", format!("[registry]\nurl = \"{url}\"\n"))].map(|(kind, registry)| {
            let project = dir.join(format!("{kind}-{slots}"));
            if !project.exists() {
                fs::create_dir_all(project.join("templates")).expect("a project");
                fs::write(project.join("templates/env"), "A={{ slot.id }}\n").expect("a template");
                let spec = format!(
                    "version = 1\n[pool]\nname = \"{kind}-{slots}\"\nroot = \"~/many\"\nenv_prefix = \"A_\"\n{registry}[ports]\n\
                     web = 20000\n[[profiles]]\nname = \"only\"\n[[slots]]\nids = \"1-{slots}\"\nprofile = \"only\"\n[files]\n\
                     \".env.sandbox\" = \"env\"\n"
                );
                fs::write(project.join("slots.toml"), spec).expect("a spec");
            }
            let pool = Self { spec: project.join("slots.toml"), root: project.join("root") };
            time(&mut pool.kinfra("apply"));
            pool
        })
    }

    fn kinfra(&self, verb: &str) -> Command {
        kinfra(verb, &self.spec, &self.root)
    }

    /// How many claims, each with its release, so many processes at a time make in a second. Each waits for its turn.
    fn pairs(&self, clients: u32) -> f64 {
        let pairs = AtomicU32::new(0);
        let end = Instant::now() + WHILE;
        thread::scope(|scope| {
            for client in 0..clients {
                let pairs = &pairs;
                scope.spawn(move || {
                    let worktree = self.root.with_extension(format!("client-{client}"));
                    fs::create_dir_all(&worktree).expect("a worktree");
                    while Instant::now() < end {
                        time(self.kinfra("claim").arg("--wait").current_dir(&worktree));
                        time(self.kinfra("release").current_dir(&worktree));
                        pairs.fetch_add(1, Relaxed);
                    }
                });
            }
        });
        f64::from(pairs.into_inner()) / WHILE.as_secs_f64()
    }
}

/// A claim by a process, on a file and on a server, and the smallest question to that server, by turns.
fn claims([file, server]: [Pool; 2], url: &str) {
    let (mut files, mut servers, mut questions) = (Vec::new(), Vec::new(), Vec::new());
    let worktree = file.root.with_extension("worktree");
    fs::create_dir_all(&worktree).expect("a worktree");
    for _ in 0..51 {
        for (pool, claims) in [(&file, &mut files), (&server, &mut servers)] {
            claims.push(time(pool.kinfra("claim").current_dir(&worktree)));
            time(pool.kinfra("release").current_dir(&worktree));
        }
        questions.push(time(Command::new(psql()).args(["-X", "-c", "select 1", url])));
    }
    let [file, server, question] = [files, servers, questions].map(|mut times| median(&mut times));
    println!(
        "claim in {}: file {} ms; server {} ms; `psql -c 'select 1'` {} ms",
        slots_of(&worktree),
        ms(file),
        ms(server),
        ms(question)
    );
    println!("    {:.2} times psql (at most 3)", ratio(server, question));
}

/// The pool's name without its kind.
fn slots_of(worktree: &Path) -> String {
    let project =
        worktree.parent().and_then(Path::file_name).expect("a project").to_string_lossy().into_owned();
    format!("{} slots", project.rsplit('-').next().unwrap_or_default())
}

/// The program itself: Debian's `psql` is a script in Perl that starts it.
fn psql() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut programs: Vec<PathBuf> = versions.map(|version| version.path().join("bin/psql")).collect();
    programs.retain(|program| program.is_file());
    programs.sort();
    programs.pop().unwrap_or_else(|| "psql".into())
}

/// The pool of six slots on the server.
fn server_of(url: &str, dir: &Path) -> Database {
    let login = Login::of(Given::parse(url).expect("a url"), "postgres");
    let root = dir.join("server-6/root").canonicalize().expect("a root");
    let root = root.to_str().expect("text").into();
    Database::new(login, "bench", "server-6", OwnPlace { host: host_of_pools(), root })
}

/// How many claims, each with its release, so many clients make in a second that stay connected.
fn persistent(url: &str, dir: &Path, clients: u32) -> f64 {
    let pairs = AtomicU32::new(0);
    let end = Instant::now() + WHILE;
    thread::scope(|scope| {
        for client in 0..clients {
            let pairs = &pairs;
            let own = Arc::new(server_of(url, dir));
            scope.spawn(move || {
                let (name, mut known) = (format!("/client-{client}"), None);
                while Instant::now() < end {
                    if pair(&own, &mut known, &name) {
                        pairs.fetch_add(1, Relaxed);
                    } else {
                        thread::sleep(Duration::from_millis(2));
                    }
                }
            });
        }
    });
    f64::from(pairs.into_inner()) / WHILE.as_secs_f64()
}

/// A claim and its release. `false` if no slot is free.
fn pair(pool: &Arc<Database>, known: &mut Option<Loaded>, name: &str) -> bool {
    let locking = Locking { may_make: false, patience: Duration::from_mins(1), flag: None, interrupt: None };
    let mut held = None;
    for _ in 0..2 {
        let mut change = Change::begin(pool, known.as_ref(), locking).expect("a change").expect("a pool");
        let before = Arc::clone(&change.loaded().registry);
        let mut after = Arc::clone(&before);
        let registry = Arc::make_mut(&mut after);
        if let Some(slot) = held {
            lease::end(registry, slot);
        } else {
            let free = registry.slots.iter().find(|(_, entry)| entry.claim.is_none()).map(|(slot, _)| *slot);
            held = free;
            if let Some(slot) = free {
                lease::grant(
                    registry,
                    Grant::New(slot),
                    Claim::of(name.to_owned().into(), None),
                    None,
                    change.now(),
                );
            }
        }
        change.save(&before, &after, None).expect("a save");
        change.unlock().expect("an end");
        *known = Some(change.loaded().clone());
        if held.is_none() {
            return false;
        }
    }
    true
}
