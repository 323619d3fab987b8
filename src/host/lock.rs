//! The locks of a root: the writers' own, and one per stack. The kernel frees a lock when the last process
//! that has it ends, however it ends.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::process::Child;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::io::{Errno, FdFlags, fcntl_getfd, fcntl_setfd};

use super::clock;
use super::fs::{Dir, SharedFileSystem};
use super::signals::Interrupt;
use super::signature::{self, HeldBy};
use crate::fault::Fault;

/// The name of the root's lock: made once, never renamed or removed.
pub(super) const NAME: &str = ".lock";

/// How soon Ctrl-C is heard.
const HEARD: Duration = Duration::from_millis(50);

/// The longest wait for a lock that something may be left undone for.
const SHORT: Duration = Duration::from_millis(500);

/// The stack of a thread that only waits, in bytes.
const STACK: usize = 64 << 10;

/// How a lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// By one, and by none beside it.
    Alone,
    /// By any number at once, and by none alone.
    Together,
}

/// How to take the lock.
#[derive(Debug, Clone, Copy)]
pub struct LockPolicy<'a> {
    /// How long to wait for it.
    pub patience: Duration,
    /// The flag that says how long to wait, if the command has one.
    pub flag: Option<&'a str>,
    /// The command that other processes are told as the holder.
    pub command: &'a str,
    /// Whether a network file system is accepted.
    pub network: bool,
    /// What ends the wait early, if the process listens for it.
    pub interrupt: Option<&'a Interrupt>,
}

impl LockPolicy<'_> {
    /// To wait only a little, for what may be left undone.
    #[must_use]
    pub fn in_passing(&self) -> Self {
        Self { patience: self.patience.min(SHORT), flag: None, ..*self }
    }
}

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    name: String,
}

impl Lock {
    /// Waits for the lock that is the file with this name.
    pub(super) fn acquire(dir: &Dir, name: &str, hold: Hold, policy: &LockPolicy<'_>) -> Result<Self> {
        let LockPolicy { patience, flag, command, network, interrupt } = *policy;
        let shared = dir.shared_file_system()?.filter(SharedFileSystem::refuses_locks);
        if let Some(kind) = shared.filter(|_| !network) {
            let advice =
                "put the root on a local one, or give --unsafe-no-lock if only this machine writes to it";
            let what = format!("`{}` is on {kind}, where locks may not hold", dir.path());
            return Err(Fault::locked(what).advise(advice).into());
        }
        let path = dir.path().join(name);
        let waiting = clock::Stopwatch::start();
        loop {
            let file = dir.open_or_make(name)?;
            let held_by = || signature::read(&file);
            match take(&file, hold, patience.saturating_sub(waiting.elapsed()), interrupt) {
                Ok(Taking::Done) => {
                    let lock = Self { file, name: name.to_owned() };
                    if lock.is_held(dir)? {
                        match hold {
                            Hold::Alone => signature::write(&lock.file, command),
                            Hold::Together => signature::add(&lock.file, std::process::id(), command),
                        }
                        return Ok(lock);
                    }
                    // The file was replaced meanwhile, and this lock protects nothing. Take the new one.
                }
                Ok(Taking::TooLate) => {
                    let holder = held_by().process;
                    let fault = Fault::locked(format!("`{path}` is held by {holder}"));
                    let or_longer = flag.map_or_else(String::new, |flag| format!(", or give {flag} more"));
                    return Err(fault.advise(format!("wait for it{or_longer}")).into());
                }
                Ok(Taking::Stopped) => {
                    let holder = held_by().process;
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

    /// Who holds a lock, if another process does. Takes the lock for a moment to find out.
    pub(super) fn holder(dir: &Dir, name: &str) -> Result<Option<HeldBy>> {
        let path = dir.path().join(name);
        let Some(file) = dir.open_file(name)? else { return Ok(None) };
        for (hold, taken) in
            [(Hold::Alone, File::try_lock_shared as fn(&File) -> _), (Hold::Together, File::try_lock)]
        {
            match taken(&file) {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let by = signature::read(&file);
                    return Ok(Some(HeldBy { is_kinfra: by.is_kinfra && hold == Hold::Alone, ..by }));
                }
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("`{path}` cannot be locked"));
                }
            }
        }
        Ok(None)
    }

    /// Whether the path still names the locked file.
    pub(super) fn is_held(&self, dir: &Dir) -> Result<bool> {
        let path = dir.path().join(&self.name);
        dir.still_names(&self.name, &self.file).with_context(|| format!("could not examine `{path}`"))
    }

    /// Starts a program that holds the lock, too: it is held until both this process and that one are done,
    /// and whatever the program starts in its turn.
    ///
    /// No other thread may start a program meanwhile: that one would hold the lock as well.
    pub(super) fn lend(&self, spawn: impl FnOnce() -> io::Result<Child>) -> io::Result<Child> {
        let before = self.outlive()?;
        let child = spawn();
        fcntl_setfd(&self.file, before)?;
        child
    }

    /// Lets the lock outlive this process, if it becomes another program. Returns how it was before.
    pub(super) fn outlive(&self) -> io::Result<FdFlags> {
        let before = fcntl_getfd(&self.file)?;
        fcntl_setfd(&self.file, before - FdFlags::CLOEXEC)?;
        Ok(before)
    }

    /// Goes on to hold the lock together with others. Another process that waited to hold it alone may come
    /// in between, and then this one holds it no more.
    pub(super) fn share(&self) {
        let _ = self.file.try_lock_shared();
    }

    /// Notes another process that holds the lock, too.
    pub(super) fn sign(&self, process: u32, command: &str) {
        signature::add(&self.file, process, command);
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
fn take(file: &File, hold: Hold, patience: Duration, interrupt: Option<&Interrupt>) -> io::Result<Taking> {
    let tried = match hold {
        Hold::Alone => file.try_lock(),
        Hold::Together => file.try_lock_shared(),
    };
    match tried {
        Err(TryLockError::WouldBlock) if patience.is_zero() => return Ok(Taking::TooLate),
        Err(TryLockError::WouldBlock) => {}
        Ok(()) => return Ok(Taking::Done),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let pending = match hold {
        Hold::Alone => Waiting::exclusive(file.try_clone()?),
        Hold::Together => Waiting::shared(file.try_clone()?),
    }?;
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
