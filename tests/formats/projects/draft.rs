//! A stand-in for init.

use std::collections::BTreeSet;

use kinfra::compose::model::Model;
use kinfra::proof::isolation::{HostThing, shared_by_every_slot};

use super::slots::Slots;
use super::trial::{Resolved, Trial};

pub(super) fn slots_toml(trial: &Trial, main: &Resolved) -> Result<String, String> {
    let model = Model::parse(&main.text).map_err(|error| error.to_string())?;
    let mut text = format!(
        "version = 1\n[pool]\nname = \"{0}\"\nroot = \"~/.kinfra/{0}\"\nenv_prefix = \"KI_\"\n[compose]\n[compose.per_slot]\n",
        trial.name
    );
    for conflict in shared_by_every_slot(&model, &main.worktree, &BTreeSet::new()) {
        let is_data = conflict
            .first
            .targets
            .iter()
            .all(|target| ["/var/lib/", "/data", "/config"].iter().any(|data| target.starts_with(data)));
        let outside = conflict
            .thing
            .path()
            .is_none_or(|path| !path.starts_with(main.worktree.parent().expect("a parent")));
        let in_force = outside
            && match conflict.thing {
                HostThing::Volume(_) | HostThing::Network(_) => true,
                HostThing::Mount(_) => is_data,
                _ => false,
            };
        for line in conflict.remedy().per_slot {
            text.push_str(&format!("{}{line}\n", if in_force { "" } else { "# " }));
        }
    }
    text.push_str("[[profiles]]\nname = \"standard\"\n[[slots]]\nids = \"1-3\"\nprofile = \"standard\"\n[ports]\nprimary = 1024\n");
    let slots = Slots::declared(&text)?;
    let claimed = slots.claimed(trial, 1)?;
    for (_, line) in slots.overlay(&claimed, &model).unpublished {
        text.push_str(&format!("{line}\n"));
    }
    Ok(text)
}
