//! The example `compose-app` in worktrees, on an engine.

use std::path::Path;

use super::examples::files;
use crate::rig::engine::{self, Engine};
use crate::support::{Machine, Run};

/// Where the example is.
const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/compose-app");

/// A machine with the example, under a name and on ports that no other test has.
pub(super) struct Board {
    pub(super) machine: Machine,
    web: u16,
}

impl Board {
    /// `web` is the port of the main stack's page. Its database is 100 above.
    pub(super) fn new(pool: &str, web: u16) -> Self {
        let machine = Machine::new().with_real_ports();
        machine.install("docker");
        let db = web + 100;
        for (path, text) in files(Path::new(EXAMPLE)) {
            let text = text.replace("8080", &web.to_string());
            machine.write(&path, text.replace("5432:5432", &format!("{db}:5432")));
        }
        machine.set_mode("worker", 0o755);
        machine.edit_spec("base = 5432", &format!("base = {db}"));
        machine.edit_spec("\"board\"", &format!("\"{pool}\""));
        machine.repository(machine.project());
        Self { machine, web }
    }

    pub(super) fn applied(pool: &str, web: u16, engine: &Engine) -> Self {
        let board = Self::new(pool, web);
        Run::of(engine.reach(&mut board.machine.command("apply"))).exits(0);
        board
    }

    /// kinfra in a worktree. One argument a word: SQL has spaces in it.
    pub(super) fn kinfra(&self, engine: &Engine, branch: &str, words: &[&str]) -> Run {
        let mut command = self.machine.command("");
        let tree = self.machine.path(&format!("~/{branch}"));
        Run::of(engine.reach(command.args(words).current_dir(tree)))
    }

    /// A worktree with a page of its own, which holds a slot.
    pub(super) fn worktree(&self, engine: &Engine, branch: &str) {
        self.machine.worktree(branch);
        self.machine.write(&format!("~/{branch}/site/index.html"), format!("board of {branch}\n"));
        self.kinfra(engine, branch, &["claim"]).exits(0);
    }

    pub(super) fn up(&self, engine: &Engine, branch: &str) -> Run {
        self.kinfra(engine, branch, &["compose", "up", "-d", "--wait"])
    }

    pub(super) fn sql(&self, engine: &Engine, branch: &str, text: &str) -> String {
        let psql = ["compose", "exec", "-T", "db", "psql", "-U", "board", "-At", "-c", text];
        self.kinfra(engine, branch, &psql).exits(0).stdout
    }

    /// Asserts that a slot serves the code of its branch, also in the service that uses another's image, and
    /// has its own data.
    #[track_caller]
    pub(super) fn is_its_own(&self, engine: &Engine, branch: &str, slot: u16) {
        assert_eq!(engine::get(self.web + slot, "/"), format!("board of {branch}\n"));
        let log = self.kinfra(engine, branch, &["compose", "logs", "--no-log-prefix", "worker"]).exits(0);
        log.prints(&format!("the worker of board of {branch} sees board of {branch}"));
        assert_eq!(self.sql(engine, branch, "SELECT text FROM notice"), format!("about {branch}\n"));
    }
}
