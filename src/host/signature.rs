//! Who holds a lock, as the lock's file says: a line per process. Advisory: only the kernel knows whether a
//! lock is held. On a full disk other processes miss the name.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::os::unix::fs::FileExt as _;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use super::clock;

/// The length of a line without its end, padded with spaces, in bytes.
const WIDTH: usize = 64;

/// The most bytes that are read.
const MOST: u64 = 4096;

/// What a Compose that holds a lock is called.
pub(super) const COMPOSE: &str = "docker compose";

/// A process that holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldBy {
    /// The process in words: "process 4242 (kinfra apply) for 12s".
    pub process: String,
    /// Whether it is a kinfra, which ends by itself. A Compose may not.
    pub is_kinfra: bool,
}

/// Makes this process the only one that the file names.
pub(super) fn write(file: &File, command: &str) {
    replace(file, &[line(std::process::id(), command)]);
}

/// Adds a process to those that the file names, and removes those that have ended.
pub(super) fn add(file: &File, process: u32, command: &str) {
    let text = text(file);
    let lives = |line: &&str| Signature::read(line).is_some_and(|read| read.lives() && !read.is_of(process));
    let mut lines: Vec<String> = text.lines().filter(lives).map(str::to_owned).collect();
    lines.push(line(process, command));
    replace(file, &lines);
}

/// The process that holds the lock: the first that the file names and that lives.
pub(super) fn read(file: &File) -> HeldBy {
    let text = text(file);
    let all: Vec<Signature<'_>> = text.lines().filter_map(Signature::read).collect();
    let process = match (all.iter().find(|signature| signature.lives()), all.first()) {
        (Some(holder), _) => {
            return HeldBy { process: holder.told(), is_kinfra: holder.command != COMPOSE };
        }
        // It was killed before what it started could be noted, or this is not its machine.
        (None, Some(ended)) => format!("{}, or what it started", ended.told()),
        (None, None) => "another process".to_owned(),
    };
    HeldBy { process, is_kinfra: false }
}

/// Whether kinfra made the file: it names a kinfra or a Compose, or nothing yet.
pub(super) fn is_of_kinfra(file: &File) -> bool {
    let is_ours = |command: &str| command == COMPOSE || command.starts_with("kinfra");
    text(file).lines().all(|line| Signature::read(line).is_some_and(|read| is_ours(read.command.trim_end())))
}

/// A line of the file.
struct Signature<'a> {
    process: &'a str,
    since: i64,
    command: &'a str,
}

impl<'a> Signature<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let mut words = line.trim().splitn(3, ' ');
        let (process, since, command) = (words.next()?, words.next()?.parse().ok()?, words.next()?);
        Some(Self { process, since, command })
    }

    fn is_of(&self, process: u32) -> bool {
        self.process == process.to_string()
    }

    /// Whether its process is there.
    fn lives(&self) -> bool {
        let pid = self.process.parse().ok().and_then(Pid::from_raw);
        pid.is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH))
    }

    fn told(&self) -> String {
        let age = clock::unix_seconds().saturating_sub(self.since).max(0);
        format!("process {} ({}) for {age}s", self.process.escape_debug(), self.command.escape_debug())
    }
}

fn line(process: u32, command: &str) -> String {
    format!("{process} {} {command}", clock::unix_seconds())
}

fn text(mut file: &File) -> String {
    let mut text = String::new();
    // What is not text names no process.
    let _ = file.rewind().and_then(|()| file.take(MOST).read_to_string(&mut text));
    text
}

fn replace(file: &File, lines: &[String]) {
    let mut text = String::new();
    for line in lines {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{:WIDTH$}", line.trim_end());
    }
    let length = text.len() as u64;
    // Making a file shorter can cost as much as a sync.
    if file.write_all_at(text.as_bytes(), 0).is_ok() && file.metadata().is_ok_and(|file| file.len() > length)
    {
        let _ = file.set_len(length);
    }
}
