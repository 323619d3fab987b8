//! A plan as one JSON document, and an apply as one JSON document per event.

use anyhow::Error;
use camino::Utf8Path;
use serde_json::{Map, Value, json};

use super::document::{FORMAT_VERSION, document, line};
use super::plan::Totals;
use crate::apply::Outcome;
use crate::desired::{Outline, SlotOutline};
use crate::diff::{FieldChange, Remnant};
use crate::fault::advice_of;
use crate::file::RelPath;
use crate::observe::ImportState;
use crate::plan::{Action, Blocked, FileChange, Kind, Plan, SlotPlan};
use crate::slot::SlotId;

/// The plan, with its spec's path. The same inputs give the same bytes.
pub fn plan(plan: &Plan, pool: &Outline, spec: Option<&Utf8Path>) -> String {
    document(&plan_value(plan, pool, spec))
}

fn plan_value(plan: &Plan, pool: &Outline, spec: Option<&Utf8Path>) -> Value {
    let import = plan.import.as_ref().map(|import| match import {
        ImportState::Pending { path, sha256, slots, claimed, outside } => json!({
            "state": "pending", "path": path, "sha256": sha256, "slots": slots, "claimed": claimed, "outside": outside
        }),
        ImportState::Changed(path) => {
            json!({ "state": "changed", "path": path, "sha256": null, "slots": null, "claimed": null, "outside": [] })
        }
    });
    let slots: Vec<Value> = plan.slots.iter().map(|(id, slot)| slot_value(*id, slot, pool)).collect();
    let totals = Totals::of(plan);
    let blocked = totals.blocked.iter().map(|(kind, (count, flags))| {
        let flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
        (kind.to_string(), json!({ "slots": count, "flags": flags }))
    });
    json!({
        "format_version": FORMAT_VERSION,
        "spec": spec,
        "pool": pool.name,
        "root": pool.root.as_str(),
        "registry": pool.registry,
        "import": import,
        "slots": slots,
        "totals": { "add": totals.add, "change": totals.change, "destroy": totals.destroy },
        "blocked": blocked.collect::<Map<_, _>>(),
    })
}

fn slot_value(id: SlotId, slot: &SlotPlan, pool: &Outline) -> Value {
    let wanted = pool.slots.get(&id);
    let ports = |slot: &SlotOutline| {
        slot.ports.iter().map(|(name, port)| (name.to_string(), json!(port))).collect::<Map<_, _>>()
    };
    let file = |path: &RelPath, change: FileChange| {
        let is_written = matches!(
            change,
            FileChange::Write | FileChange::Replace | FileChange::Overwrite | FileChange::SetMode(_)
        );
        let file = wanted.and_then(|slot| slot.files.get(path)).filter(|_| is_written);
        json!({ "path": path, "change": change_name(change), "sha256": file.map(|file| file.sha256) })
    };
    let each = |paths: &[RelPath], change| paths.iter().map(|path| file(path, change)).collect();
    let (fields, files, stays): (&[FieldChange], Vec<Value>, &[String]) = match &slot.action {
        Some(Action::Create(files) | Action::Restore(files)) => (&[], each(files, FileChange::Write), &[]),
        Some(Action::Update { fields, files }) => {
            (fields, files.iter().map(|(path, change)| file(path, *change)).collect(), &[])
        }
        Some(Action::Remove { files, stays }) => (&[], each(files, FileChange::Remove), stays),
        Some(Action::Adopt) | None => (&[], Vec::new(), &[]),
    };
    json!({
        "slot_id": id,
        "profile": wanted.map(|slot| slot.profile.as_str()),
        "ports": wanted.map(ports),
        "action": slot.action.as_ref().map(action_name),
        "fields": fields.iter().map(field_value).collect::<Vec<_>>(),
        "files": files,
        "stays": stays,
        "blocked": slot.blocked.iter().map(blocked_value).collect::<Vec<_>>(),
        "flags": slot.flags().map(|flags| flags.iter().map(ToString::to_string).collect::<Vec<_>>()),
    })
}

fn action_name(action: &Action) -> &'static str {
    match action {
        Action::Create(_) => "create",
        Action::Adopt => "adopt",
        Action::Restore(_) => "restore",
        Action::Update { .. } => "update",
        Action::Remove { .. } => "remove",
    }
}

fn change_name(change: FileChange) -> &'static str {
    match change {
        FileChange::Write => "write",
        FileChange::Replace => "replace",
        FileChange::Overwrite => "overwrite",
        FileChange::SetMode(_) => "set_mode",
        FileChange::Remove => "remove",
        FileChange::Disown => "disown",
    }
}

fn field_value(change: &FieldChange) -> Value {
    let FieldChange { field, old, new } = change;
    json!({ "field": field, "old": old, "new": new })
}

fn blocked_value(blocked: &Blocked) -> Value {
    match blocked {
        Blocked::Foreign(path) => json!({ "reason": "foreign", "path": path }),
        Blocked::Field(FieldChange { field, old, new }) => {
            json!({ "reason": "field", "field": field, "old": old, "new": new })
        }
        Blocked::Outdated(path) => json!({ "reason": "outdated", "path": path }),
        Blocked::Absent(path) => json!({ "reason": "absent", "path": path }),
        Blocked::WrongMode(path, mode) => {
            json!({ "reason": "wrong_mode", "path": path, "mode": mode.to_string() })
        }
        Blocked::Dropped(path) => json!({ "reason": "dropped", "path": path }),
        Blocked::Disowned(path) => json!({ "reason": "disowned", "path": path }),
        Blocked::Edited(path) => json!({ "reason": "edited", "path": path }),
        Blocked::Obstructed(path, obstacle) => {
            json!({ "reason": "obstructed", "path": path, "by": obstacle.to_string() })
        }
        Blocked::Surplus { held } => json!({ "reason": "surplus", "held": held }),
        Blocked::Leftover(names) => json!({ "reason": "leftover", "names": names }),
        Blocked::Held(holder) => json!({ "reason": "held", "claimed_by": holder }),
        Blocked::NotClean(_, Remnant::DataOf(by)) => json!({ "reason": "keeps_data", "of": by }),
        Blocked::NotClean(_, Remnant::Anything) => json!({ "reason": "not_clean" }),
        Blocked::Containers => json!({ "reason": "containers" }),
        Blocked::Running => json!({ "reason": "running" }),
        Blocked::ContainersUnknown(said) => json!({ "reason": "containers_unknown", "said": said }),
        Blocked::PortTaken { name, port, holder, flags: _, kind: _ } => {
            json!({ "reason": "port_taken", "port_name": name, "port": port, "holder": holder })
        }
    }
}

/// The first event of an apply: its plan.
pub fn planned(plan: &Plan, pool: &Outline, spec: Option<&Utf8Path>) -> String {
    let mut event = json!({ "event": "plan" });
    if let (Value::Object(event), Value::Object(plan)) = (&mut event, plan_value(plan, pool, spec)) {
        event.extend(plan);
    }
    line(&event)
}

/// One event per slot, and the summary, which always comes last.
pub fn applied(outcome: &Outcome) -> String {
    let done = outcome
        .done
        .iter()
        .map(|(slot, action)| (slot, json!({ "result": "done", "action": action_name(action) })));
    let failed = outcome
        .failed
        .iter()
        .map(|(slot, error)| (slot, with_error(json!({ "result": "failed" }), Some(error))));
    let left_out = outcome.left_out.iter().map(|slot| (slot, json!({ "result": "interrupted" })));
    let mut slots: Vec<(&SlotId, Value)> = done.chain(failed).chain(left_out).collect();
    slots.sort_by_key(|(slot, _)| **slot);
    let mut text = String::new();
    for (slot, mut event) in slots {
        let result = event.as_object_mut().map(std::mem::take).unwrap_or_default();
        let mut event = json!({ "event": "slot", "slot_id": slot });
        if let Value::Object(event) = &mut event {
            event.extend(result);
        }
        text.push_str(&line(&event));
    }
    let [added, changed, destroyed] =
        [Kind::Add, Kind::Change, Kind::Destroy].map(|kind| outcome.count(kind));
    let counts = json!({
        "added": added,
        "changed": changed,
        "destroyed": destroyed,
        "failed": outcome.failed.len(),
        "interrupted": outcome.left_out.len(),
        "backups": outcome.backups,
    });
    text.push_str(&summary(with_error(counts, outcome.error.as_ref())));
    text
}

/// The summary of an apply that did nothing because of this error.
pub fn refused(error: &Error) -> String {
    let counts = json!({
        "added": 0, "changed": 0, "destroyed": 0, "failed": 0, "interrupted": 0, "backups": [],
    });
    summary(with_error(counts, Some(error)))
}

/// Adds `error` and `advice`, both null if there is none.
fn with_error(mut event: Value, error: Option<&Error>) -> Value {
    if let Value::Object(event) = &mut event {
        event.insert("error".to_owned(), json!(error.map(|error| plain(&format!("{error:#}")))));
        event.insert("advice".to_owned(), json!(error.and_then(advice_of).map(plain)));
    }
    event
}

/// Text without colour codes.
fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn summary(counts: Value) -> String {
    let mut event = json!({ "event": "summary", "format_version": FORMAT_VERSION });
    if let (Value::Object(event), Value::Object(counts)) = (&mut event, counts) {
        event.extend(counts);
    }
    line(&event)
}
