//! What users run, as they run it: the acceptance document step by step, the examples, the hooks and the
//! wheel.
//!
//! `kinfra-slot-provisioning.md` is the users' own test of the old tool, kept here word for word.

mod agents;
mod board;
mod ci;
pub(crate) mod examples;
mod hooks;
mod ktrdr;
mod leftovers;
mod lies;
mod lies_end;
mod memory;
mod provisioning;
mod reboot;
mod release;
mod removal;
mod skill;
mod stack_verbs;
mod stacks;
mod stories;
mod subnets;
mod tutorial;
mod wheel;

use std::process::Command;

use crate::support::Run;

const DOCUMENT: &str = include_str!("kinfra-slot-provisioning.md");

/// How the document writes the directory that the commands run in.
const REPOSITORY: &str = "/path/to/ktrdr/repo";

/// One `### Step N: Title` section.
pub(crate) struct Step {
    pub(crate) number: usize,
    pub(crate) title: &'static str,
    /// Its first `bash` block.
    pub(crate) script: &'static str,
}

/// All steps, in the document's order.
pub(crate) fn steps() -> Vec<Step> {
    DOCUMENT.split("\n### Step ").skip(1).map(|section| parse(section).expect(section)).collect()
}

fn parse(section: &'static str) -> Option<Step> {
    let (heading, body) = section.split_once('\n')?;
    let (number, title) = heading.split_once(": ")?;
    let (_, block) = body.split_once("\n```bash\n")?;
    let (script, _) = block.split_once("\n```\n")?;
    Some(Step { number: number.parse().ok()?, title, script })
}

/// Runs every step in a new bash that the caller makes. Panics at the first step that does not pass.
pub(crate) fn pass_every_step(bash: impl Fn() -> Command) {
    for Step { number, title, script } in steps() {
        let run = Run::of(bash().arg("-c").arg(script.replace(REPOSITORY, "\"$PWD\"")));
        let says =
            |word: &str| run.stdout.lines().chain(run.stderr.lines()).any(|line| line.starts_with(word));
        let passed = run.code == Some(0) && says("PASS") && !says("FAIL") && !says("WARNING");
        assert!(passed, "step {number}, {title}: {run:#?}");
    }
}
