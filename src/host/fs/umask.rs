//! The umask: kinfra sets its own, and gives the caller's back to the program that takes its place.

use rustix::fs::Mode;

/// Sets kinfra's own umask, 077, and returns the caller's.
///
/// A caller's umask of 0777 would lock kinfra out of its own files. Setting a mode by name afterwards could
/// follow a link.
pub fn set_umask() -> Umask {
    Umask(rustix::process::umask(Mode::RWXG | Mode::RWXO))
}

/// The umask that kinfra was started with.
#[derive(Debug, Clone, Copy)]
pub struct Umask(Mode);

impl Umask {
    /// Sets this umask again.
    pub fn restore(self) {
        rustix::process::umask(self.0);
    }

    /// Sets this umask while something is done, such as starting a program.
    pub fn during<T>(self, work: impl FnOnce() -> T) -> T {
        let own = rustix::process::umask(self.0);
        let done = work();
        rustix::process::umask(own);
        done
    }
}
