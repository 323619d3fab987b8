//! Signals that would otherwise end kinfra in the middle of a write.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use camino::Utf8Path;
use rustix::process::Signal;
use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;

use super::fs::read_named;

/// The most that is read of what Linux says of a process, in bytes.
const LIMIT: u64 = 64 << 10;

/// How soon a signal is noticed.
const NOTICED: Duration = Duration::from_millis(20);

/// Whether programs that are started now are kept apart from the terminal's keys.
static APART: AtomicBool = AtomicBool::new(false);

/// Makes a write beyond the file size limit (`ulimit -f`) fail with an error. By default the signal ends the
/// process.
///
/// # Errors
/// When the handler cannot be installed.
pub fn survive_file_size_limit() -> io::Result<()> {
    flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false))).map(drop)
}

/// A flag that is set when the user asks kinfra to stop, by Ctrl-C or SIGTERM.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Installs the handlers. The first signal sets the flag, so that the operation can finish its current
    /// step. The second ends the process.
    ///
    /// # Errors
    /// When a handler cannot be installed.
    pub fn listen() -> io::Result<Self> {
        let requested = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_default(signal, Arc::clone(&requested))?;
            flag::register(signal, Arc::clone(&requested))?;
        }
        Ok(Self(requested))
    }

    /// Whether the user asked to stop.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The signals that a command of the user gets in kinfra's place. kinfra outlives all of them, so that it can
/// release what it claimed.
pub struct Relay {
    arrived: Vec<(Signal, Arc<AtomicBool>)>,
    stop: Interrupt,
}

impl Relay {
    /// Those that ask a program to stop.
    const STOP: [Signal; 4] = [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM];
    /// Those that mean something to the command alone, and would end kinfra before it released the slot.
    const OTHERS: [Signal; 7] =
        [Signal::USR1, Signal::USR2, Signal::ALARM, Signal::VTALARM, Signal::PROF, Signal::XCPU, Signal::IO];

    /// Installs the handlers, for good. What kinfra was started to ignore, as by `nohup`, it goes on to
    /// ignore, and so does the command.
    ///
    /// # Errors
    /// When a handler cannot be installed.
    pub fn listen() -> io::Result<Self> {
        let (mut arrived, stop) = (Vec::new(), Interrupt::default());
        let ignored = ignored();
        let is_heard = |signal: &Signal| !ignored.contains(signal);
        for signal in Self::STOP.into_iter().filter(is_heard) {
            flag::register(signal.as_raw(), Arc::clone(&stop.0))?;
        }
        for signal in Self::STOP.into_iter().chain(Self::OTHERS).filter(is_heard) {
            let has_arrived = Arc::new(AtomicBool::new(false));
            flag::register(signal.as_raw(), Arc::clone(&has_arrived))?;
            arrived.push((signal, has_arrived));
        }
        Ok(Self { arrived, stop })
    }

    /// The flag that is set by a signal which asks to stop.
    pub fn stop(&self) -> &Interrupt {
        &self.stop
    }

    /// Does something that no signal stops: the programs that it starts are in process groups of their own,
    /// where no key of a terminal reaches them. `tell` is called when a signal asked to stop.
    pub fn outlasted<T>(&self, tell: impl Fn() + Send, work: impl FnOnce() -> T) -> T {
        self.arrived().for_each(drop);
        APART.store(true, Ordering::Relaxed);
        let done = thread::scope(|scope| {
            let (working, ended) = mpsc::channel::<()>();
            scope.spawn(move || {
                let mut goes_on = true;
                while goes_on {
                    goes_on = ended.recv_timeout(NOTICED) == Err(RecvTimeoutError::Timeout);
                    // Looked at once more at the end: a signal is never passed over in silence.
                    if self.arrived().any(|signal| Self::STOP.contains(&signal)) {
                        tell();
                    }
                }
            });
            let done = work();
            drop(working);
            done
        });
        APART.store(false, Ordering::Relaxed);
        done
    }

    /// Whether something goes on that no signal stops.
    pub(super) fn outlasts() -> bool {
        APART.load(Ordering::Relaxed)
    }

    /// The signals that have arrived since the last call.
    pub(super) fn arrived(&self) -> impl Iterator<Item = Signal> {
        let arrived = self.arrived.iter();
        arrived.filter_map(|(signal, flag)| flag.swap(false, Ordering::Relaxed).then_some(*signal))
    }
}

/// The signals that this process was started to ignore. Only Linux shows them.
fn ignored() -> Vec<Signal> {
    let status = read_named(Utf8Path::new("/proc/self/status"), LIMIT).ok().flatten().unwrap_or_default();
    let status = String::from_utf8_lossy(&status);
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    let all = Relay::STOP.into_iter().chain(Relay::OTHERS);
    all.filter(|signal| mask & (1 << (signal.as_raw() - 1)) != 0).collect()
}
