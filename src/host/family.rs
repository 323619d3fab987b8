//! A program that kinfra started, and all that it started itself, also what was left to another parent. They
//! are told by a variable in their environment.

use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use camino::Utf8Path;
use rustix::process::{Pid, Signal, kill_process};

use super::clock;
use super::fs::{Dir, read_named};
use super::signals::Relay;

/// The variable that they have.
const MARK: &str = "KINFRA_CHILD";

/// Where Linux shows processes.
const PROCESSES: &str = "/proc";

/// The most that is read of a process's environment, in bytes.
const LIMIT: u64 = 4 << 20;

/// How often it is looked for what was started meanwhile.
const ROUNDS: usize = 3;

/// A program's own mark.
#[derive(Debug, Clone)]
pub(super) struct Family(String);

impl Family {
    /// Marks a program that is to be started.
    pub(super) fn mark(command: &mut Command) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // The number of a process is given again, and in a container it is small.
        let mark = format!("{}-{count}-{}", std::process::id(), clock::now());
        command.env(MARK, &mark);
        if Relay::outlasts() {
            command.process_group(0);
        }
        Self(mark)
    }

    /// Kills all that has the mark. Only Linux shows what has it.
    pub(super) fn kill(&self) {
        for _ in 0..ROUNDS {
            let there = self.members();
            if there.is_empty() {
                return;
            }
            for process in there {
                // It may have ended by itself.
                let _ = kill_process(process, Signal::KILL);
            }
        }
    }

    pub(super) fn members(&self) -> Vec<Pid> {
        let processes = Utf8Path::new(PROCESSES);
        let names = Dir::open(processes).ok().and_then(|dir| dir.names().ok()).unwrap_or_default();
        let ids = names.iter().filter_map(|name| name.to_str()?.parse().ok());
        let mark = format!("{MARK}={}", self.0);
        let has_it = |id: &i32| {
            let variables = read_named(&processes.join(id.to_string()).join("environ"), LIMIT).ok().flatten();
            variables.is_some_and(|all| all.split(|byte| *byte == 0).any(|one| one == mark.as_bytes()))
        };
        ids.filter(has_it).filter_map(Pid::from_raw).collect()
    }
}
