//! Git as a program, for what only git itself can say or change. What its files say at once is in `git.rs`.
#![expect(clippy::disallowed_methods, reason = "this is where kinfra starts git")]

use std::io;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use super::asked::{Asked, NoAnswer};
use super::child::{Destination, Watch, run};
use super::fs::Umask;
use super::plot::Plot;
use super::signals::Interrupt;
use crate::ended::{Ended, How};
use crate::fault::Fault;
use crate::time::Time;

/// How long a question may take.
const QUESTION: Duration = Duration::from_secs(20);

/// How long a change may take: a checkout, or reading all files of a worktree.
const CHANGE: Duration = Duration::from_mins(30);

/// What a caller of kinfra, such as a hook of git, may have set for another repository.
const OF_THE_CALLER: [&str; 15] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NAMESPACE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];

/// Git in a directory.
#[derive(Debug, Clone)]
pub struct Git {
    dir: Utf8PathBuf,
    /// Another index than that of the worktree, and the time of what is committed with it.
    index: Option<(Utf8PathBuf, String)>,
    /// What it writes belongs to the user, not to kinfra. `None` where it only reads.
    umask: Option<Umask>,
}

impl Git {
    /// Git that only reads.
    pub fn reading(dir: &Utf8Path) -> Self {
        Self { dir: dir.to_owned(), index: None, umask: None }
    }

    /// Git that writes, too.
    pub fn new(dir: &Utf8Path, umask: Umask) -> Self {
        Self { umask: Some(umask), ..Self::reading(dir) }
    }

    /// The same in another directory.
    #[must_use]
    pub fn at(&self, dir: &Utf8Path) -> Self {
        Self { dir: dir.to_owned(), ..self.clone() }
    }

    /// The same with another index than that of the worktree, for commits of one time.
    #[must_use]
    pub fn with_index(&self, index: &Utf8Path, at: Time) -> Self {
        Self { index: Some((index.to_owned(), at.to_string())), ..self.clone() }
    }

    /// The directory.
    pub fn dir(&self) -> &Utf8Path {
        &self.dir
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut git = Command::new("git");
        git.args(arguments).current_dir(&self.dir);
        for name in OF_THE_CALLER {
            git.env_remove(name);
        }
        // Its words are read here, no person answers its questions, and a question takes no lock.
        git.env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0");
        if self.umask.is_none() {
            git.env("GIT_OPTIONAL_LOCKS", "0");
        }
        if let Some((index, at)) = &self.index {
            git.env("GIT_INDEX_FILE", index);
            // A commit that keeps work needs a name, which not every user has set.
            for who in ["AUTHOR", "COMMITTER"] {
                let fields = [("NAME", "kinfra"), ("EMAIL", "kinfra@localhost"), ("DATE", at)];
                git.envs(fields.map(|(field, value)| (format!("GIT_{who}_{field}"), value)));
            }
        }
        git
    }

    /// What it prints, however it ends.
    fn output(&self, arguments: &[&str], timeout: Duration) -> Result<Output> {
        let start = || Asked::start(self.command(arguments));
        let asked = self.umask.map_or_else(start, |umask| umask.during(start));
        asked.map_err(NoAnswer::Failed).and_then(|asked| asked.outcome(timeout)).map_err(|why| {
            Fault::failed(format!("`git {}` {}", named(arguments), told(&why, &self.dir))).into()
        })
    }

    /// The answer to a question; `None` if git says no.
    ///
    /// # Errors
    /// When git does not answer.
    pub fn ask(&self, arguments: &[&str]) -> Result<Option<String>> {
        let output = self.output(arguments, QUESTION)?;
        Ok(output.status.success().then(|| text(&output.stdout)))
    }

    /// The answer to a question that has one.
    ///
    /// # Errors
    /// [`Fault`] says what git said.
    pub fn needed(&self, arguments: &[&str]) -> Result<String> {
        self.answer(arguments, QUESTION)
    }

    /// The answer to a question that has one, and what git says beside it.
    ///
    /// # Errors
    /// [`Fault`] says what git said.
    pub fn heard(&self, arguments: &[&str]) -> Result<(String, String)> {
        let output = self.succeeding(arguments, QUESTION)?;
        Ok((text(&output.stdout), text(&output.stderr)))
    }

    /// What a change prints.
    ///
    /// # Errors
    /// [`Fault`] says what git said.
    pub fn change(&self, arguments: &[&str]) -> Result<String> {
        self.answer(arguments, CHANGE)
    }

    fn answer(&self, arguments: &[&str], timeout: Duration) -> Result<String> {
        self.succeeding(arguments, timeout).map(|output| text(&output.stdout))
    }

    fn succeeding(&self, arguments: &[&str], timeout: Duration) -> Result<Output> {
        let output = self.output(arguments, timeout)?;
        if output.status.success() {
            return Ok(output);
        }
        Err(self.failed(arguments, text(&output.stderr).trim_end()).into())
    }

    /// Runs a change that Ctrl-C ends. Git holds the plot for as long as it runs, whatever becomes of kinfra.
    ///
    /// # Errors
    /// [`Fault`] says what git said, or that the user stopped it.
    pub fn run(&self, arguments: &[&str], plot: Option<&Plot>, interrupt: &Interrupt) -> Result<()> {
        let watch = Watch { timeout: CHANGE, interrupt, output: Destination::LastLines, lock: None };
        let start = || run(self.command(arguments), self.umask, &watch);
        let ended = plot.map_or_else(start, |plot| plot.lend(start));
        let failed = |why: &str| Fault::failed(format!("`git {}` {why}", named(arguments)));
        let Ended { how, last_lines } = ended.map_err(|error| failed(&told(&error.into(), &self.dir)))?;
        match how {
            How::Well => Ok(()),
            How::Badly(_) => Err(self.failed(arguments, &last_lines.join("\n")).into()),
            How::NotInTime => Err(failed("did not end in time").into()),
            How::Interrupted => Err(Fault::interrupted("stopped while git ran").into()),
        }
    }

    fn failed(&self, arguments: &[&str], said: &str) -> Fault {
        let said = if said.is_empty() { "without a word" } else { said };
        Fault::failed(format!("`git {}` failed in `{}`: {said}", named(arguments), self.dir))
    }
}

/// The command as it is called: its first words.
fn named(arguments: &[&str]) -> String {
    let words = arguments.iter().take_while(|word| !word.starts_with('-'));
    words.take(2).copied().collect::<Vec<_>>().join(" ")
}

fn told(why: &NoAnswer, dir: &Utf8Path) -> String {
    match why {
        NoAnswer::Late(timeout) => format!("did not answer within {}s in `{dir}`", timeout.as_secs().max(1)),
        NoAnswer::TooLong(most) => format!("printed more than {} MiB and was ended", most >> 20),
        NoAnswer::Flooded(most) => format!("failed with more than {} KiB of messages", most >> 10),
        NoAnswer::Failed(error)
            if error.kind() == io::ErrorKind::NotFound && super::fs::is_directory(dir) =>
        {
            "cannot be run: there is no `git` command".to_owned()
        }
        NoAnswer::Failed(error) => format!("cannot be run in `{dir}`: {error}"),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
