//! Overlays broken on purpose: the judge sees each thing that is not set apart any more.

use std::collections::BTreeSet;

use camino::Utf8Path;
use serde_json::Value;

use super::slots::Slots;
use super::trial::Trial;
use super::verdict;
use crate::formats::compose::judge::common;

/// A project, what its overlay loses, and what the slot then has in common with the main stack.
const BROKEN: [(&str, &[&str], &[&str]); 9] = [
    ("temporal", &["container_name"], &["container:temporal", "container:temporal-ui"]),
    ("nextcloud", &["name"], &["volume:nextcloud_db", "network:nextcloud_network"]),
    ("n8n", &["ports"], &["port:5678/tcp"]),
    ("elk", &["ports"], &["port:9200/tcp", "port:50000/tcp", "port:50000/udp"]),
    ("fixed-subnet", &["ipam", "ipv4_address"], &["subnet:172.22.1.0/24", "ipv4_address:172.22.1.254"]),
    ("external-volumes", &["external", "name", "labels"], &["volume:pnpm-store", "volume:team_pgdata"]),
    ("local-persist", &["driver", "driver_opts"], &["device:rclone allow_other=true,remote=drive:backup"]),
    ("shared-image", &["image"], &["image:ghcr.io/acme/shop:dev"]),
    ("data-directories", &["volumes"], &["mount:/srv/mysql", "mount:/srv/mongo", "mount:/home/dev/redis"]),
];

#[test]
#[ignore = "needs Docker Compose v2"]
fn corpus_judge_sees_what_a_broken_overlay_leaves() {
    for (name, keys, left) in BROKEN {
        let trial = Trial::of(name);
        let main = trial.main_stack().expect("a project");
        let slots = Slots::declared(&trial.init().expect("a spec").0).expect("slots");
        let claimed = slots.claimed(&trial, 1).expect("a slot");
        let project = main.json["name"].as_str().expect("a name");
        let model = verdict::model(&trial.stack(&claimed.project, project, &[]).expect("a project").text);
        let text = slots.overlay(&claimed, &model.expect("a model")).text;
        let stack = |text: &str| {
            let file = trial.write("overlay.yaml", text);
            let files: [&Utf8Path; 1] = [&file];
            trial.stack(&claimed.project, &claimed.name, &files).expect("a stack")
        };
        let found = |text: &str| common(&main.things, &stack(text).things);
        assert!(found(&text).is_empty(), "{name}: {:?}", found(&text));
        let found = found(&without(&text, keys));
        let missing: Vec<&&str> = left.iter().filter(|thing| !found.contains(**thing)).collect();
        assert!(missing.is_empty(), "{name} without {keys:?}: {missing:?} is not in {found:?}");
    }
}

/// The overlay without these keys, at any depth, and without the lines below them.
fn without(overlay: &str, keys: &[&str]) -> String {
    let keys: BTreeSet<String> = keys.iter().map(|key| format!("{}:", Value::from(*key))).collect();
    let mut kept = String::new();
    let mut skipped = None;
    for line in overlay.lines() {
        let text = line.trim_start();
        let depth = line.len() - text.len();
        if skipped.is_some_and(|above| depth > above || (depth == above && text.starts_with('-'))) {
            continue;
        }
        // The groups at the top are no keys of a service.
        let is_left_out = depth > 0 && keys.iter().any(|key| text.starts_with(key.as_str()));
        skipped = is_left_out.then_some(depth);
        if !is_left_out {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}
