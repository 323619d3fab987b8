//! A real Docker engine, for the tests of what runs: `.ci/engine COMMAND` starts one and gives it the images.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::{Machine, Run, tools};

/// A small root with busybox in it, to build from and to run.
pub(crate) const BUSYBOX: &str = "busybox:kinfra";

/// A database server that takes the variables of the usual `postgres` image.
pub(crate) const POSTGRES: &str = "postgres:kinfra";

/// What Compose writes on all that it makes.
const PROJECT: &str = "com.docker.compose.project";

/// An engine that answers, and the Compose projects that a test may start on it. Dropped, all that they made goes.
pub(crate) struct Engine {
    docker: PathBuf,
    host: String,
    /// Docker's directory with Compose in it, and no credentials.
    config: TempDir,
    projects: Vec<String>,
}

impl Engine {
    /// The engine of this machine. What an earlier run, which was killed, left of these projects goes first.
    ///
    /// Two tests must not name the same project: both may run at once.
    #[track_caller]
    pub(crate) fn for_projects(projects: &[&str]) -> Self {
        let engine = Self::for_projects_as_they_are(projects);
        engine.remove_all().unwrap_or_else(|left| panic!("what an earlier run left does not go: {left}"));
        engine
    }

    /// The same, for projects that another engine of the test has begun.
    #[track_caller]
    pub(crate) fn for_projects_as_they_are(projects: &[&str]) -> Self {
        let docker = tools::find("docker").expect("this test needs docker: run it by .ci/engine");
        let mut context = Command::new(docker);
        context.args(["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]).stdin(Stdio::null());
        let host = Run::of(&mut context).exits(0).stdout;
        Self::at(host.trim(), projects)
    }

    /// The engine at an address. A test that needs one fails where none answers.
    #[track_caller]
    fn at(host: &str, projects: &[&str]) -> Self {
        Self::with(host, projects, &[BUSYBOX, POSTGRES])
    }

    /// An engine that has the image of busybox only.
    #[track_caller]
    pub(crate) fn with_busybox_at(host: &str, projects: &[&str]) -> Self {
        Self::with(host, projects, &[BUSYBOX])
    }

    #[track_caller]
    fn with(host: &str, projects: &[&str], images: &[&str]) -> Self {
        let docker = tools::find("docker").expect("this test needs docker: run it by .ci/engine");
        let config = tempfile::tempdir().expect("a temporary directory");
        let plugins = crate::formats::compose::docker_config().join("cli-plugins");
        if plugins.is_dir() {
            symlink(plugins, config.path().join("cli-plugins")).expect("a link to Docker's plugins");
        }
        let projects = projects.iter().map(|project| (*project).to_owned()).collect();
        let engine = Self { docker, host: host.to_owned(), config, projects };
        for image in images {
            let run = engine.docker(&["image", "inspect", image]);
            let why = "this test needs a Docker engine with the images of .ci/engine: run it by that";
            assert_eq!(run.code, Some(0), "{why}\n{host}: {}", run.stderr);
        }
        engine
    }

    /// Its address.
    pub(crate) fn address(&self) -> &str {
        &self.host
    }

    /// Lets a command reach the engine, and the example's Compose file find the images.
    pub(crate) fn reach<'command>(&self, command: &'command mut Command) -> &'command mut Command {
        command.env("DOCKER_HOST", &self.host).env("DOCKER_CONFIG", self.config.path());
        command.env("BUSYBOX_IMAGE", BUSYBOX).env("POSTGRES_IMAGE", POSTGRES)
    }

    /// Runs `docker`.
    pub(crate) fn docker(&self, arguments: &[&str]) -> Run {
        let mut docker = Command::new(&self.docker);
        docker.env_clear().stdin(Stdio::null()).args(arguments);
        Run::of(self.reach(&mut docker))
    }

    /// `docker compose` in the project of a machine, for one of the projects of this test.
    pub(crate) fn compose(&self, machine: &Machine, project: &str) -> Command {
        assert!(self.projects.iter().any(|own| own == project), "{project} is none of this test's projects");
        let mut compose = machine.program(&self.docker);
        self.reach(compose.args(["compose", "--project-name", project]));
        compose
    }

    /// The containers, volumes, networks and images of a project, a line each.
    pub(crate) fn made_by(&self, project: &str) -> Vec<String> {
        let kinds = ["container", "volume", "network", "image"];
        let made = kinds.iter().flat_map(|kind| {
            let ids = self.ids(kind, project);
            ids.into_iter().map(move |id| format!("{kind} {id}"))
        });
        made.collect()
    }

    fn ids(&self, kind: &str, project: &str) -> Vec<String> {
        let filter = format!("label={PROJECT}={project}");
        let mut list = vec![kind, "ls", "--quiet", "--filter", &filter];
        list.extend((kind == "container").then_some("--all"));
        self.docker(&list).stdout.lines().map(str::to_owned).collect()
    }

    /// Removes what the projects made. The error is what is there all the same.
    pub(crate) fn remove_all(&self) -> Result<(), String> {
        // By kind: a container of one project may use a volume of another.
        for (kind, remove) in [
            ("container", &["rm", "--force", "--volumes"][..]),
            ("volume", &["volume", "rm", "--force"]),
            ("network", &["network", "rm"]),
            ("image", &["image", "rm", "--force"]),
        ] {
            for project in &self.projects {
                let ids = self.ids(kind, project);
                if !ids.is_empty() {
                    let ids = ids.iter().map(String::as_str);
                    self.docker(&remove.iter().copied().chain(ids).collect::<Vec<_>>());
                }
            }
        }
        let left: Vec<_> = self.projects.iter().flat_map(|project| self.made_by(project)).collect();
        if left.is_empty() { Ok(()) } else { Err(left.join(", ")) }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let removed = self.remove_all();
        // A second panic would hide the first.
        if !thread::panicking() {
            removed.unwrap_or_else(|left| panic!("the test leaves behind: {left}"));
        }
    }
}

/// What a web server of this machine answers at a path, without its headers. A container that runs may take a
/// while on a busy machine until its server listens.
#[track_caller]
pub(crate) fn get(port: u16, path: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match ask(port, path) {
            Ok(answer) => return answer,
            Err(_) if Instant::now() < deadline => thread::sleep(Duration::from_millis(100)),
            Err(error) => panic!("{path} on port {port}: {error}"),
        }
    }
}

fn ask(port: u16, path: &str) -> io::Result<String> {
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    server.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(server, "GET {path} HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    server.read_to_string(&mut answer)?;
    let answered = answer.split_once("\r\n\r\n").filter(|(head, _)| head.contains(" 200 "));
    answered.map(|(_, body)| body.to_owned()).ok_or_else(|| io::Error::other(format!("no page: {answer}")))
}

const STACK: &str = "services:
  web:
    image: kinfra-rig-web
    build: .
    ports: ['127.0.0.1::80']
    volumes: ['data:/data']
volumes:
  data:
";

#[test]
#[ignore = "needs a Docker engine"]
fn all_that_a_test_made_goes_even_after_a_panic() {
    let machine = Machine::new();
    machine.write("compose.yaml", STACK);
    machine
        .write("Dockerfile", format!("FROM {BUSYBOX}\nRUN echo hello >/srv/a\nCMD httpd -f -p 80 -h /srv\n"));
    let project = "kinfra-rig-goes";
    let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let engine = Engine::for_projects(&[project]);
        Run::of(engine.compose(&machine, project).args(["up", "--detach", "--build"])).exits(0);
        let run = Run::of(engine.compose(&machine, project).args(["port", "web", "80"])).exits(0);
        let port = run.stdout.trim().rsplit(':').next().expect("a port").parse().expect("a number");
        assert_eq!(get(port, "/a"), "hello\n");
        assert_eq!(engine.made_by(project).len(), 4, "{:?}", engine.made_by(project));
        panic!("as a test does");
    }));
    let why = failed.expect_err("it panics");
    assert_eq!(why.downcast_ref(), Some(&"as a test does"), "it failed before");
    // Asked anew: what `for_projects` would remove first must not be there.
    let engine = Engine::at(&Engine::for_projects(&[]).host, &[project]);
    assert_eq!(engine.made_by(project), Vec::<String>::new());
}

#[test]
#[ignore = "needs docker"]
#[should_panic(expected = "this test needs a Docker engine")]
fn a_test_fails_where_no_engine_answers() {
    let nowhere = tempfile::tempdir().expect("a temporary directory");
    let socket = nowhere.path().join("sock");
    fs::write(&socket, "").expect("a file that is no socket");
    Engine::at(&format!("unix://{}", socket.display()), &[]);
}
