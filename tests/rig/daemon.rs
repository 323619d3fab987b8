//! A Docker daemon of a test's own, which the test may kill. It wants root, as `.ci/engine` does.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::engine::{BUSYBOX, Engine};
use crate::support::{Run, Running, tools};

/// How long a daemon may run: as long as the longest test that has one.
const LIMIT: Duration = Duration::from_mins(30);

/// A daemon with the image of busybox. Dropped, it ends.
pub(crate) struct Daemon {
    dir: TempDir,
    /// What keeps its containers. It is not the daemon's own, so it stays when that is killed.
    containerd: Running,
    dockerd: Option<Running>,
}

impl Daemon {
    /// Starts one, beside the engine of the machine and apart from it.
    #[track_caller]
    pub(crate) fn start() -> Self {
        Self::start_with(|_| ())
    }

    /// The same. `prepare` gets the directory that its data will be in.
    #[track_caller]
    pub(crate) fn start_with(prepare: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let data = dir.path().join("data");
        fs::create_dir(&data).expect("a directory");
        prepare(&data);
        let mut containerd = Command::new(tools::find("containerd").expect("containerd is there"));
        for (option, name) in [("--address", "containerd"), ("--root", "images"), ("--state", "state")] {
            containerd.arg(option).arg(dir.path().join(name));
        }
        containerd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let containerd = Running::start_within(LIMIT, &mut containerd);
        let mut daemon = Self { dir, containerd, dockerd: None };
        wait_for("containerd's socket", || daemon.path("containerd").exists());
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
        if let Some(mut daemon) = self.dockerd.take() {
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
        // In a network of its own: it would take the bridge and the firewall of the machine's engine.
        let mut dockerd = Command::new(tools::find("unshare").expect("unshare is there"));
        // Its loopback is where containers publish.
        dockerd.args(["--net", "--", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"]);
        dockerd.arg(tools::find("dockerd").expect("dockerd is there"));
        dockerd.arg("--host").arg(self.address());
        for (option, name) in [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")] {
            dockerd.arg(option).arg(self.path(name));
        }
        dockerd.arg("--containerd").arg(self.path("containerd"));
        dockerd.args([
            "--storage-driver",
            "vfs",
            "--bridge",
            "none",
            "--iptables=false",
            "--ip-forward=false",
        ]);
        dockerd.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
        self.dockerd = Some(Running::start_within(LIMIT, &mut dockerd));
        let version = ["version", "--format", "{{.Server.Version}}"];
        wait_for("an answer of dockerd", || Run::of(self.docker().args(version)).code == Some(0));
    }
}

#[track_caller]
fn wait_for(what: &str, is_there: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_there() {
        assert!(begun.elapsed() < Duration::from_mins(1), "there is never {what}");
        thread::sleep(Duration::from_millis(100));
    }
}

/// Asks a program to end, and kills it if it does not.
fn end(program: &mut Running) {
    let _ = kill_process(Pid::from_child(program), Signal::TERM);
    let begun = Instant::now();
    while matches!(program.try_wait(), Ok(None)) && begun.elapsed() < Duration::from_secs(30) {
        thread::sleep(Duration::from_millis(100));
    }
    let _ = program.kill();
    let _ = program.wait();
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.dockerd.iter_mut().for_each(end);
        end(&mut self.containerd);
    }
}
