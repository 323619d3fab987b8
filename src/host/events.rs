//! What happens to the containers of an engine, as it happens.

use std::io::Read as _;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::docker::docker;
use crate::registry::Engine;

/// What changes what is said of a container. A health check of its own makes many other events.
const KINDS: [&str; 8] = [
    "event=create",
    "event=start",
    "event=die",
    "event=destroy",
    "event=oom",
    "event=pause",
    "event=unpause",
    "event=health_status",
];

/// Follows an engine. Dropped, it ends the program that it follows with.
pub struct Events {
    docker: Child,
    happened: Arc<AtomicBool>,
    has_ended: Arc<AtomicBool>,
}

impl Events {
    /// Begins to follow an engine. `None` if `docker` cannot be started.
    pub fn follow(engine: &Engine) -> Option<Self> {
        let mut docker = docker(Some(engine));
        docker.args(["events", "--filter", "type=container", "--format", "{{.ID}}"]);
        docker.args(KINDS.iter().flat_map(|kind| ["--filter", kind]));
        docker.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut docker = docker.spawn().ok()?;
        let mut stdout = docker.stdout.take()?;
        let (happened, has_ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (happens, ends) = (Arc::clone(&happened), Arc::clone(&has_ended));
        thread::spawn(move || {
            let mut some = [0; 4096];
            while stdout.read(&mut some).is_ok_and(|bytes| bytes > 0) {
                happens.store(true, Ordering::Relaxed);
            }
            ends.store(true, Ordering::Relaxed);
        });
        Some(Self { docker, happened, has_ended })
    }

    /// Whether something happened since this was asked last.
    pub fn happened(&self) -> bool {
        self.happened.swap(false, Ordering::Relaxed)
    }

    /// Whether the engine is followed no longer.
    pub fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Relaxed)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.docker.kill();
        let _ = self.docker.wait();
    }
}
