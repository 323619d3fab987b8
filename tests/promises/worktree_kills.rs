//! `start` and `done` are killed before, during and after every call of git and of docker that changes something, and before
//! every change of a file. Git itself is ended in the middle of each of its changes, too. A question changes nothing: killed
//! before it, what is left is what the last change left. Afterwards no work is lost and no slot leaks, and the same command, or `done`, leads to
//! the end.
//!
//! ```text
//! cargo test --profile ci -- --ignored worktree_kills
//! ```

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::rig::figure;
use crate::rig::fleet::{Fleet, Slot};
use crate::rig::scripted::{Call, Fault, When};
use crate::rig::strace::{self, Injection};
use crate::support::Run;
use crate::support::tools::set_mode;

const START: &str = "start fix";
const DONE: &str = "done fix --discard";

/// The system calls by which kinfra changes files. One that only syncs leaves what was there before it.
const CHANGES: [&str; 8] =
    ["mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "renameat2", "linkat", "symlinkat"];

/// The calls of git that change something.
const OF_GIT: [&str; 8] = [
    "worktree add",
    "worktree lock",
    "worktree unlock",
    "worktree remove",
    "update-ref",
    "commit-tree",
    "symbolic-ref",
    "reset",
];

/// Where kinfra is killed.
#[derive(Debug)]
enum Kill {
    /// Before, in or after a call of git, by its number. In the middle of it, kinfra is killed and git goes on, or git itself is
    /// ended.
    Git(usize, &'static str),
    Docker(Call, Fault),
    File(strace::Call),
}

/// A project in which git kills kinfra when a file says so.
struct Project {
    fleet: Fleet,
    path: PathBuf,
}

impl Project {
    fn new() -> Self {
        let fleet = Fleet::new(&[]);
        let git = fleet.machine.tools().join("git");
        let real = git.canonicalize().expect("git");
        fs::remove_file(&git).expect("a link");
        let script = format!(
            "#!/bin/sh\nif [ ! -f ~/kill ]; then exec {git} \"$@\"; fi\necho \"$1 $2\" >>~/calls\nread at when <~/kill\n\
             [ \"$at\" = $(wc -l <~/calls) ] || exec {git} \"$@\"\n\
             case $when in after) {git} \"$@\";; before) ;; *) {git} \"$@\" & sleep 0.002;; esac\n\
             if [ $when = itself ]; then kill $!; else kill -9 $PPID; fi\nwait $!\n",
            git = real.display()
        );
        fs::write(&git, script).expect("a script");
        set_mode(&git, 0o755);
        let path = fleet.machine.project().with_file_name("project-fix");
        Self { fleet, path }
    }

    fn command(&self, arguments: &str) -> Command {
        self.fleet.command("project", arguments)
    }

    /// Runs a command, and once more while what was killed still works.
    fn kinfra(&self, arguments: &str) -> Run {
        for _ in 0..50 {
            let run = self.fleet.kinfra("project", arguments).never_says("panicked");
            if run.code != Some(6) {
                return run;
            }
            thread::sleep(Duration::from_millis(100));
        }
        panic!("{arguments}: the lock is never free");
    }

    /// The places at which a command can be killed, from an undisturbed run.
    fn kills(&self, arguments: &str, of_files: bool) -> Vec<Kill> {
        let (machine, engine) = (&self.fleet.machine, &self.fleet.engine);
        if of_files {
            let calls = strace::calls(&self.command(arguments)).into_iter();
            return calls.filter(|call| CHANGES.contains(&&*call.name)).map(Kill::File).collect();
        }
        engine.forget_calls();
        machine.write("~/kill", "0 never\n");
        self.kinfra(arguments).exits(0);
        let calls = machine.read("~/calls");
        self.forget();
        let calls = calls.lines().enumerate();
        let changes = calls.filter(|(_, words)| OF_GIT.iter().any(|change| words.starts_with(change)));
        let git = changes.flat_map(|(number, _)| {
            ["before", "during", "itself", "after"].map(|time| Kill::Git(number + 1, time))
        });
        let changes = engine.points().into_iter().filter(|call| !call.asks());
        let docker = changes
            .flat_map(|call| [Fault::KillHalf, Fault::KillAfter].map(|it| Kill::Docker(call.clone(), it)));
        git.chain(docker).collect()
    }

    fn forget(&self) {
        for file in ["~/kill", "~/calls"] {
            drop(fs::remove_file(self.fleet.machine.path(file)));
        }
    }

    fn killed(&self, arguments: &str, kill: &Kill) {
        let (machine, engine) = (&self.fleet.machine, &self.fleet.engine);
        let mut command = self.command(arguments);
        match kill {
            Kill::Git(at, when) => {
                machine.write("~/kill", format!("{at} {when}\n"));
                let run = Run::of(&mut command);
                assert!(run.code.is_none() || *when == "itself", "{kill:?}: {run:#?}");
            }
            Kill::Docker(call, fault) => {
                engine.forget_calls();
                engine.fails(*fault, &When::Call(call.clone()));
                Run::of(&mut command);
                engine.mend();
            }
            Kill::File(call) => drop(Injection::Kill(call).run(&command, &machine.path("~/trace"))),
        }
        self.forget();
        self.fleet.check().unwrap_or_else(|why| panic!("{arguments}: {kill:?}: {why}"));
    }

    /// The worktree is whole, and has its slot.
    fn is_started(&self, kill: &Kill) {
        let path = self.path.canonicalize().unwrap_or_else(|_| panic!("{kill:?}: no worktree"));
        assert_eq!(self.fleet.machine.git(&path, "status --porcelain --branch"), "## fix\n", "{kill:?}");
        let held = self.fleet.slots().into_values().filter(|slot| *slot != Slot::Clean).collect::<Vec<_>>();
        assert_eq!(held, [Slot::Held(path)], "{kill:?}");
    }

    /// Nothing is left of it.
    fn is_done(&self, kill: &Kill) {
        let (machine, project) = (&self.fleet.machine, self.fleet.machine.project());
        assert!(self.fleet.made_nothing() && !self.path.exists(), "{kill:?}: {:#?}", self.fleet.summary());
        assert_eq!(machine.git(&project, "worktree list").lines().count(), 1, "{kill:?}");
        assert_eq!(machine.git(&project, "branch --list fix"), "", "{kill:?}");
    }

    /// One start is killed, and continued or ended.
    fn start(&self, number: usize, kill: &Kill) {
        self.killed(START, kill);
        if number % 2 == 1 {
            let ended = self.kinfra("done fix");
            assert!(matches!(ended.code, Some(0 | 4)), "{kill:?}: {ended:#?}");
        }
        let started = self.kinfra(START);
        assert_eq!(started.code, Some(0), "{kill:?}: {started:#?}");
        self.is_started(kill);
        let done = self.kinfra("done fix");
        assert_eq!(done.code, Some(0), "{kill:?}: {done:#?}");
        self.is_done(kill);
    }

    /// One removal is killed, and continued.
    fn done(&self, number: usize, kill: &Kill) {
        let (machine, project, work) =
            (&self.fleet.machine, self.fleet.machine.project(), self.path.join("work"));
        self.kinfra(START).exits(0);
        let text = format!("work {number}\n");
        fs::write(work, &text).expect("a file");
        self.killed(DONE, kill);
        let done = self.kinfra(DONE);
        let is_over = done.code == Some(4) && done.stderr.contains("holds no slot");
        assert!(done.code == Some(0) || is_over, "{kill:?}: {done:#?}");
        self.is_done(kill);
        let kept = machine.git(&project, "for-each-ref --format=%(refname) refs/kinfra");
        let has = |reference: &str| machine.git(&project, &format!("show {reference}:work")) == text;
        assert!(kept.lines().any(has), "{kill:?}: the work is lost: {kept}");
        for reference in kept.lines() {
            machine.git(&project, &format!("update-ref -d {reference}"));
        }
    }
}

/// Kills `start`, or `done`, at each place of one kind. The number of places.
fn sweep(of_files: bool, is_start: bool) -> usize {
    let project = Project::new();
    if is_start {
        let kills = project.kills(START, of_files);
        project.kinfra("done fix").exits(0);
        kills.iter().enumerate().for_each(|(number, kill)| project.start(number, kill));
        return kills.len();
    }
    project.kinfra(START).exits(0);
    fs::write(project.path.join("work"), "x").expect("a file");
    let kills = project.kills(DONE, of_files);
    kills.iter().enumerate().for_each(|(number, kill)| project.done(number, kill));
    kills.len()
}

#[test]
#[ignore = "needs strace and a minute"]
fn a_start_or_a_removal_that_was_killed_anywhere_loses_nothing() {
    strace::need_strace();
    let count: usize = thread::scope(|scope| {
        let kinds = [(false, true), (false, false), (true, true), (true, false)];
        let sweeps = kinds.map(|(of_files, is_start)| scope.spawn(move || sweep(of_files, is_start)));
        sweeps.into_iter().map(|sweep| sweep.join().expect("no kill is lost")).sum()
    });
    figure(&format!("start and done survived {count} kills"));
    assert!(count > 80, "only {count} kills");
}
