//! What the tests of the proof have in common.

mod kinds;
mod whole;

use std::collections::BTreeSet;

use camino::Utf8Path;

use super::{Isolation, Owner, Stack, prove};
use crate::compose::model::Model;
use crate::compose::resource::Resource;
use crate::slot::SlotId;

/// A project of these services, and of what else is at the top.
fn model(name: &str, services: &str, rest: &str) -> Model {
    Model::parse(&format!(r#"{{"name": "{name}", "services": {{{services}}}, {rest} "x": 0}}"#)).unwrap()
}

fn shared(resources: &[&str]) -> BTreeSet<Resource> {
    resources.iter().map(|text| Resource::parse(text).unwrap()).collect()
}

fn slot(number: u16) -> Owner {
    Owner::Slot(SlotId::new(number).unwrap())
}

/// The proof for the main stack in `/main` and slot 1 in `/wt/1`.
fn two(main: &Model, first: &Model, resources: &[&str]) -> Isolation {
    let stacks = [
        Stack { owner: Owner::Main, model: main, worktree: Utf8Path::new("/main") },
        Stack { owner: slot(1), model: first, worktree: Utf8Path::new("/wt/1") },
    ];
    prove(&stacks, &shared(resources))
}

/// What a stack of these services has in common with another project of them, one line each.
fn common(services: &str, rest: &str, resources: &[&str]) -> Vec<String> {
    let found = two(&model("a", services, rest), &model("b", services, rest), resources);
    found.conflicts.iter().map(|conflict| conflict.thing.to_string()).collect()
}

/// The things in common of two services with these bodies.
fn between(one: &str, other: &str) -> Vec<String> {
    let of = |name: &str, body: &str| model(name, &format!(r#""s": {{{body}}}"#), "");
    let found = two(&of("a", one), &of("b", other), &[]);
    found.conflicts.iter().map(|conflict| conflict.thing.to_string()).collect()
}

const NONE: [&str; 0] = [];

fn port(published: &str, rest: &str) -> String {
    format!(r#""ports": [{{"target": 80, "published": "{published}"{rest}}}]"#)
}

fn bind(source: &str, rest: &str) -> String {
    format!(r#""volumes": [{{"type": "bind", "source": "{source}", "target": "/t"{rest}}}]"#)
}
