//! The writers' lock of a root. The kernel frees it when its holder dies, however it dies.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::io::Errno;

use super::clock;
use super::fs::Dir;
use super::signals::Interrupt;
use crate::fault::Fault;

/// The name of the root's lock: made once, never renamed or removed.
pub(super) const NAME: &str = ".lock";

/// How soon Ctrl-C is heard.
const HEARD: Duration = Duration::from_millis(50);

/// The stack of a thread that only waits, in bytes.
const STACK: usize = 64 << 10;

/// The length of a holder's signature, padded with spaces, in bytes.
const WIDTH: usize = 64;

/// How to take the lock.
#[derive(Debug, Clone, Copy)]
pub struct LockPolicy<'a> {
    /// How long to wait for it.
    pub patience: Duration,
    /// The command that other processes are told as the holder.
    pub command: &'a str,
    /// Whether a network file system is accepted.
    pub network: bool,
    /// What ends the wait early, if the process listens for it.
    pub interrupt: Option<&'a Interrupt>,
}

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    name: String,
}

impl Lock {
    /// Waits for the lock that is the file with this name.
    pub(super) fn acquire(dir: &Dir, name: &str, policy: &LockPolicy<'_>) -> Result<Self> {
        let LockPolicy { patience, command, network, interrupt } = *policy;
        if let Some(kind) = dir.network_file_system()?.filter(|_| !network) {
            let advice =
                "put the root on a local one, or give --unsafe-no-lock if only this machine writes to it";
            let what =
                format!("`{}` is on a network file system ({kind}), where locks may not hold", dir.path());
            return Err(Fault::locked(what).advise(advice).into());
        }
        let path = dir.path().join(name);
        let waiting = clock::Stopwatch::start();
        loop {
            let file = dir.open_or_make(name)?;
            let held_by = || read_signature(&file);
            match take(&file, patience.saturating_sub(waiting.elapsed()), interrupt) {
                Ok(Taking::Done) => {
                    let lock = Self { file, name: name.to_owned() };
                    if lock.is_held(dir)? {
                        lock.sign(command);
                        return Ok(lock);
                    }
                    // The file was replaced meanwhile, and this lock protects nothing. Take the new one.
                }
                Ok(Taking::TooLate) => {
                    let holder = held_by();
                    let fault = Fault::locked(format!("`{path}` is held by {holder}"));
                    return Err(fault.advise("wait for it, or give --lock-timeout more").into());
                }
                Ok(Taking::Stopped) => {
                    let holder = held_by();
                    let message = format!("stopped waiting for `{path}`, held by {holder}: nothing was done");
                    return Err(Fault::interrupted(message).into());
                }
                Err(error) => {
                    let cannot = [Errno::NOLCK, Errno::OPNOTSUPP].map(Errno::raw_os_error);
                    let may_hold = !error.raw_os_error().is_some_and(|code| cannot.contains(&code));
                    let fault = Fault::locked(format!("`{path}` cannot be locked ({error})"));
                    let advice = "put the root on a local file system";
                    return Err(if may_hold { fault } else { fault.advise(advice) }.into());
                }
            }
        }
    }

    /// A lock's holder, if another process holds it. Takes the lock shared for a moment to find out.
    pub(super) fn holder(dir: &Dir, name: &str) -> Result<Option<String>> {
        let path = dir.path().join(name);
        let Some(file) = dir.open_file(name)? else { return Ok(None) };
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(Some(read_signature(&file))),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("`{path}` cannot be locked"))
            }
        }
    }

    /// Whether the path still names the locked file.
    pub(super) fn is_held(&self, dir: &Dir) -> Result<bool> {
        let path = dir.path().join(&self.name);
        dir.still_names(&self.name, &self.file).with_context(|| format!("could not examine `{path}`"))
    }

    /// Notes the holder in the file. Advisory: on a full disk other processes only miss the name.
    fn sign(&self, command: &str) {
        let mut file = &self.file;
        let signature = format!("{} {} {command}", std::process::id(), clock::unix_seconds());
        // Always the same length: making a file shorter can cost as much as a sync.
        let _ = file.write_all(format!("{signature:WIDTH$}\n").as_bytes());
    }
}

/// How taking a lock can end.
enum Taking {
    Done,
    TooLate,
    Stopped,
}

/// Takes the lock of a file. If another process holds it, the kernel hands it over at once, to the first that
/// waits.
fn take(file: &File, patience: Duration, interrupt: Option<&Interrupt>) -> io::Result<Taking> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) if patience.is_zero() => return Ok(Taking::TooLate),
        Err(TryLockError::WouldBlock) => {}
        Ok(()) => return Ok(Taking::Done),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let pending = Waiting::exclusive(file.try_clone()?)?;
    let waiting = clock::Stopwatch::start();
    loop {
        let left = patience.saturating_sub(waiting.elapsed());
        match pending.within(left.min(HEARD)) {
            Some(taken) => return taken.map(|_| Taking::Done),
            None if interrupt.is_some_and(Interrupt::is_requested) => return Ok(Taking::Stopped),
            None if left <= HEARD => return Ok(Taking::TooLate),
            None => {}
        }
    }
}

/// A lock that another process holds, waited for in the kernel. Such a wait has no timeout, so a thread does
/// it. A lock that arrives after the timeout is released.
#[derive(Debug)]
pub(super) struct Waiting {
    taken: Receiver<io::Result<File>>,
}

impl Waiting {
    /// Begins to wait for the lock of a file, whichever of its handles this is.
    fn exclusive(file: File) -> io::Result<Self> {
        Self::begin(file, File::lock)
    }

    /// Begins to wait until no process holds the file exclusively.
    pub(super) fn shared(file: File) -> io::Result<Self> {
        Self::begin(file, File::lock_shared)
    }

    fn begin(file: File, lock: fn(&File) -> io::Result<()>) -> io::Result<Self> {
        let (sender, taken) = mpsc::channel();
        thread::Builder::new().stack_size(STACK).spawn(move || {
            let locked = loop {
                match lock(&file) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    locked => break locked,
                }
            };
            let _ = sender.send(locked.map(|()| file));
        })?;
        Ok(Self { taken })
    }

    /// Waits this long at most. `None` if another process still holds the lock.
    pub(super) fn within(&self, most: Duration) -> Option<io::Result<File>> {
        match self.taken.recv_timeout(most) {
            Ok(taken) => Some(taken),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Err(io::Error::other("its thread ended"))),
        }
    }
}

/// Who holds the lock: "process 4242 (kinfra apply) for 12s".
fn read_signature(mut file: &File) -> String {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(1024).read_to_string(&mut text));
    let mut words = text.lines().next().unwrap_or_default().trim().splitn(3, ' ');
    let signature =
        read.ok().and_then(|_| Some((words.next()?, words.next()?.parse::<u64>().ok()?, words.next()?)));
    match signature {
        Some((pid, since, command)) => {
            let age = clock::unix_seconds().saturating_sub(since);
            format!("process {} ({}) for {age}s", pid.escape_debug(), command.escape_debug())
        }
        None => "another process".to_owned(),
    }
}
