//! A Docker daemon of a test's own, which the test may kill. It wants root, as `.ci/engine` does.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::engine::{BUSYBOX, Engine};
use crate::support::{Run, tools};

/// A daemon with the image of busybox. Dropped, it ends.
pub(crate) struct Daemon {
    dir: TempDir,
    daemon: Option<Child>,
}

impl Daemon {
    /// Starts one, beside the engine of the machine and apart from it.
    #[track_caller]
    pub(crate) fn start() -> Self {
        let mut daemon = Self { dir: tempfile::tempdir().expect("a temporary directory"), daemon: None };
        daemon.start_again();
        let machines = Engine::for_projects(&[]);
        let image = daemon.path("image.tar").display().to_string();
        machines.docker(&["save", "--output", &image, BUSYBOX]).exits(0);
        Run::of(daemon.docker().args(["load", "--input", &image])).exits(0);
        daemon
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn address(&self) -> String {
        format!("unix://{}", self.path("sock").display())
    }

    fn docker(&self) -> Command {
        let mut docker = Command::new(tools::find("docker").expect("docker is there"));
        docker.env_clear().env("DOCKER_HOST", self.address()).env("DOCKER_CONFIG", self.dir.path());
        docker
    }

    /// The engine at its address.
    pub(crate) fn engine(&self, projects: &[&str]) -> Engine {
        Engine::with_busybox_at(&self.address(), projects)
    }

    /// Kills it as the kernel would: its containers run on until it starts again.
    pub(crate) fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().expect("the daemon can be killed");
            daemon.wait().expect("the daemon ends");
        }
    }

    /// Starts it, and waits until it answers.
    #[track_caller]
    pub(crate) fn start_again(&mut self) {
        // One that was killed leaves it.
        let _ = fs::remove_file(self.path("pid"));
        let log = File::options().create(true).append(true).open(self.path("log")).expect("a log");
        let mut dockerd = Command::new(tools::find("dockerd").expect("dockerd is there"));
        dockerd.arg("--host").arg(self.address());
        for (option, name) in [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")] {
            dockerd.arg(option).arg(self.path(name));
        }
        // The other engine of the machine has the bridge and the rules of the firewall.
        dockerd.args([
            "--storage-driver",
            "vfs",
            "--bridge",
            "none",
            "--iptables=false",
            "--ip-forward=false",
        ]);
        dockerd.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
        self.daemon = Some(dockerd.spawn().expect("dockerd starts"));
        let begun = Instant::now();
        while Run::of(self.docker().args(["version", "--format", "{{.Server.Version}}"])).code != Some(0) {
            let log = || fs::read_to_string(self.path("log")).unwrap_or_default();
            assert!(begun.elapsed() < Duration::from_secs(60), "dockerd does not answer: {}", log());
            thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let Some(mut daemon) = self.daemon.take() else { return };
        let pid = rustix::process::Pid::from_child(&daemon);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let begun = Instant::now();
        while matches!(daemon.try_wait(), Ok(None)) && begun.elapsed() < Duration::from_secs(30) {
            thread::sleep(Duration::from_millis(100));
        }
        let _ = daemon.kill();
        let _ = daemon.wait();
    }
}
