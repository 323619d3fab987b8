//! The same with slots that worktrees really claim: `kinfra compose` runs what the corpus expects.

use std::fs;
use std::path::Path;

use camino::Utf8Path;
use serde_json::Value;

use super::trial::{HOME, Trial, bare};
use super::{CORPUS, EXPECTED};
use crate::formats::compose::judge::{Things, common, things};
use crate::support::{PORTS, Run};

/// Projects of different shapes, none of which needs a decision.
const CLAIMED: [&str; 12] = [
    "n8n",
    "immich",
    "fastapi-template",
    "compose-file-in-dotenv",
    "include-with-project-directory",
    "redis-sentinel",
    "external-volumes",
    "volume-on-device",
    "shared-image",
    "service-names",
    "urls-of-the-main-stack",
    "name-at-top",
];

#[test]
#[ignore = "needs Docker Compose v2"]
fn corpus_slots_that_worktrees_claim_are_isolated() {
    for name in CLAIMED {
        let trial = Trial::of(name);
        let spec = fs::read_to_string(Path::new(CORPUS).join(name).join(EXPECTED[0])).expect("slots.toml");
        for worktree in [trial.main(), trial.worktree(1), trial.worktree(2)] {
            fs::write(worktree.join(EXPECTED[0]), &spec).expect("slots.toml");
        }
        kinfra(&trial, &trial.main(), &["apply"]);
        for slot in [1, 2] {
            // They are copies, and no worktrees of one repository.
            kinfra(&trial, &trial.worktree(slot), &["apply"]);
            let said = kinfra(&trial, &trial.worktree(slot), &["claim"]);
            assert!(said.contains(&format!("Claimed slot {slot}")), "{name}: {said}");
        }
        let mut stacks: Vec<Things> = vec![trial.main_stack().expect("a project").things];
        stacks.extend([1, 2].map(|slot| claimed_stack(&trial, &trial.worktree(slot))));
        for (one, other) in [(0, 1), (0, 2), (1, 2)] {
            let found = common(&stacks[one], &stacks[other]);
            assert!(found.iter().all(|thing| thing.starts_with("system:")), "{name}: {found:?}");
        }
        assert_overlay(&trial);
    }
}

fn kinfra(trial: &Trial, directory: &Utf8Path, arguments: &[&str]) -> String {
    let home = trial.home();
    fs::create_dir_all(&home).expect("a home");
    let mut kinfra = bare(env!("CARGO_BIN_EXE_kinfra"), directory);
    let run = Run::of(kinfra.env("HOME", home).env(PORTS, "").args(arguments));
    assert_eq!(run.code, Some(0), "{}: {arguments:?}: {run:?}", trial.name);
    run.stdout
}

fn claimed_stack(trial: &Trial, worktree: &Utf8Path) -> Things {
    let config = ["compose", "--profile", "*", "config", "--format", "json"];
    let json: Value = serde_json::from_str(&kinfra(trial, worktree, &config)).expect("JSON");
    things(&json, worktree.as_str())
}

/// The overlay of the slot is the one that the corpus expects, with another registry in another home.
fn assert_overlay(trial: &Trial) {
    let root = trial.home().join(format!(".{}/slots", trial.name));
    let text = fs::read_to_string(root.join("slot-1/kinfra-overlay.yaml")).expect("an overlay");
    let registry = fs::read_to_string(root.join("registry.json")).expect("a registry");
    let registry: Value = serde_json::from_str(&registry).expect("JSON");
    let text = text.replace(registry["id"].as_str().expect("an id"), "5f0c");
    let claim = registry["slots"]["1"]["claim_id"].as_str().expect("a claim's id");
    let text = text.replace(&claim[..12], "slot");
    let text = trial.masked(&text.replace(trial.home().as_str(), HOME));
    let expected = fs::read_to_string(Path::new(CORPUS).join(&trial.name).join(EXPECTED[1]));
    assert_eq!(text, expected.expect("an overlay"), "{}", trial.name);
}
