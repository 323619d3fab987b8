//! Programs that a test has started. Each ends with its test, and none runs for ever.

use std::io::{BufRead as _, BufReader, ErrorKind, Read};
use std::ops::{Deref, DerefMut};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process};

use super::Run;

/// How long a program may run. The slowest of them take seconds; many tests at once on few cores take longer.
const LIMIT: Duration = Duration::from_mins(5);

/// How long a program that was killed may still have its output open, in a process of another group.
const GRACE: Duration = Duration::from_secs(2);

/// How often the watchdog looks.
const TICK: Duration = Duration::from_millis(100);

/// A program with a process group of its own. Dropped, the whole group is killed.
pub(crate) struct Running {
    child: Option<Child>,
    what: String,
    watched: Arc<Watched>,
}

/// A process group that the watchdog knows of.
struct Watched {
    group: Pid,
    deadline: Instant,
    is_late: AtomicBool,
}

impl Running {
    /// Starts a program whose output is collected.
    pub(crate) fn piped(command: &mut Command) -> Self {
        Self::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()))
    }

    /// Starts a program as the command says.
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::start_within(LIMIT, command)
    }

    /// The same, with another time limit.
    pub(crate) fn start_within(limit: Duration, command: &mut Command) -> Self {
        let what = format!("{command:?}");
        let deadline = Instant::now() + limit;
        let child = loop {
            match command.process_group(0).spawn() {
                // The test has just written it, and a child of another test has not closed it yet.
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy && Instant::now() < deadline => {
                    thread::sleep(TICK);
                }
                spawned => break spawned.unwrap_or_else(|error| panic!("{what}: {error}")),
            }
        };
        let watched = Watched { group: Pid::from_child(&child), deadline, is_late: AtomicBool::new(false) };
        let watched = Arc::new(watched);
        watch().lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&watched));
        Self { child: Some(child), what, watched }
    }

    /// Sends a signal to the program alone.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.watched.group, signal).expect("it runs");
    }

    /// Waits for its end. A test fails if that does not come in time.
    pub(crate) fn ends(self) -> Run {
        Run::from(self.outcome())
    }

    /// The same, for output that may not be text.
    pub(crate) fn outcome(mut self) -> Output {
        drop(self.stdin.take());
        let (stdout, stderr) = (all_of(self.stdout.take()), all_of(self.stderr.take()));
        let status = self.wait().expect("its end");
        let [stdout, stderr] = [stdout, stderr].map(|output| {
            let left = self.watched.deadline.saturating_duration_since(Instant::now());
            output.recv_timeout(left + GRACE).unwrap_or_else(|_| self.is_late())
        });
        if self.watched.is_late.load(Relaxed) {
            self.is_late();
        }
        Output { status, stdout, stderr }
    }

    fn is_late(&self) -> ! {
        panic!("it did not end in time: {}", self.what)
    }

    fn forget(&self) {
        let mut watched = watch().lock().unwrap_or_else(PoisonError::into_inner);
        watched.retain(|other| !Arc::ptr_eq(other, &self.watched));
    }
}

impl Deref for Running {
    type Target = Child;

    fn deref(&self) -> &Child {
        self.child.as_ref().expect("a child")
    }
}

impl DerefMut for Running {
    fn deref_mut(&mut self) -> &mut Child {
        self.child.as_mut().expect("a child")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(child) = &mut self.child else { return };
        // Never after it was waited for: the kernel may have reused its id.
        if child.try_wait().is_ok_and(|status| status.is_none()) {
            let _ = kill_process_group(self.watched.group, Signal::KILL);
            let _ = child.wait();
        }
        self.forget();
    }
}

/// Reads a stream to its end on a thread of its own: a process that outlives the program may keep it open.
fn all_of(stream: Option<impl Read + Send + 'static>) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            let _ = stream.read_to_end(&mut bytes);
        }
        let _ = sender.send(bytes);
    });
    receiver
}

/// The watchdog: a thread that kills programs that run too long. If a signal stops the tests, it kills them
/// all, because Ctrl-C does not reach their own process groups.
fn watch() -> &'static Mutex<Vec<Arc<Watched>>> {
    static WATCH: OnceLock<Mutex<Vec<Arc<Watched>>>> = OnceLock::new();
    WATCH.get_or_init(|| {
        let stops = [Signal::INT, Signal::TERM, Signal::HUP].map(|signal| {
            let stop = Arc::new(AtomicBool::new(false));
            signal_hook::flag::register(signal.as_raw(), Arc::clone(&stop)).expect("a signal handler");
            (signal, stop)
        });
        thread::spawn(move || {
            loop {
                thread::sleep(TICK);
                let stop = stops.iter().find(|(_, stop)| stop.load(Relaxed)).map(|(signal, _)| signal);
                for watched in watch().lock().unwrap_or_else(PoisonError::into_inner).iter() {
                    if stop.is_some() || watched.deadline < Instant::now() {
                        watched.is_late.store(true, Relaxed);
                        let _ = kill_process_group(watched.group, Signal::KILL);
                    }
                }
                if let Some(signal) = stop {
                    let _ = signal_hook::low_level::emulate_default_handler(signal.as_raw());
                }
            }
        });
        Mutex::new(Vec::new())
    })
}

#[test]
fn a_program_ends_with_its_test_and_so_does_what_it_started() {
    let machine = super::Machine::new();
    let mut shell = machine.program("sh");
    shell.args(["-c", "sleep 600 & echo $!; wait"]).stdout(Stdio::piped());
    let mut shell = Running::start(&mut shell);
    let mut pid = String::new();
    let stdout = shell.stdout.take().expect("its stdout");
    BufReader::new(stdout).read_line(&mut pid).expect("the id of the other");
    let sleep = Pid::from_raw(pid.trim().parse().expect("an id")).expect("an id");
    test_kill_process(sleep).expect("it runs");
    drop(shell);
    // Its new parent may take a moment to reap it.
    let begun = Instant::now();
    let is_there = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", sleep.as_raw_nonzero()));
        test_kill_process(sleep).is_ok() && !stat.is_ok_and(|stat| stat.contains(") Z "))
    };
    while is_there() {
        assert!(begun.elapsed() < Duration::from_secs(10), "it still runs");
        thread::sleep(TICK);
    }
}

#[test]
#[should_panic(expected = "it did not end in time")]
fn a_program_that_left_another_with_its_output_fails_its_test() {
    let machine = super::Machine::new();
    let mut shell = machine.program("bash");
    // In a group of its own: killing the group of the shell does not end it.
    shell.args(["-c", "set -m; sleep 20 & exit 0"]);
    let begun = Instant::now();
    let piped = shell.stdout(Stdio::piped()).stderr(Stdio::piped());
    let shell = Running::start_within(Duration::from_secs(2), piped);
    let end = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| shell.ends()));
    assert!(begun.elapsed() < Duration::from_secs(15), "it was waited for");
    std::panic::resume_unwind(end.expect_err("it is late"));
}

#[test]
#[should_panic(expected = "it did not end in time")]
fn a_program_that_hangs_fails_its_test() {
    let machine = super::Machine::new();
    let mut sleep = machine.program("sleep");
    Running::start_within(Duration::from_millis(1), sleep.arg("600").stdout(Stdio::piped())).ends();
}
