//! What stacks left behind: what would be removed, what went, and what stays.

use std::fmt::Write as _;

use owo_colors::OwoColorize as _;

use super::clean::of;
use crate::shown::{printable, word};
use crate::stack::leftovers::{Cleared, Group, Leftovers, Owner, Tie, Tied};
use crate::time::Time;

/// What would be removed, and what stays and why, a line each.
pub fn plan(leftovers: &Leftovers, now: Time) -> String {
    let mut text = String::new();
    for (owner, group) in &leftovers.groups {
        let what = group.labelled();
        let _ = match owner {
            Owner::Held(slot) => {
                writeln!(text, "  {} Slot {slot} is held{}: {}", "=".dimmed(), by(group), group.all())
            }
            Owner::Free(_) => {
                let of = group.left.as_ref().map(|left| of(left, now)).unwrap_or_default();
                writeln!(text, "  {} Would clean {owner}{of}: {what}", "-".red())
            }
            Owner::SlotGone(_) | Owner::PoolGone(..) if what != "nothing" => {
                writeln!(text, "  {} Would remove of {owner}: {what}", "-".red())
            }
            Owner::SlotGone(_) | Owner::PoolGone(..) => Ok(()),
            Owner::Another(root) => {
                let command = format!("kinfra clean --all --root {}", word(root.as_str()));
                writeln!(text, "  {} {}: of {owner}; `{command}` cleans there", "=".dimmed(), group.all())
            }
            Owner::Unknown(..) => writeln!(text, "  {} {}: of {owner}", "!".yellow(), group.all()),
        };
    }
    for (owner, tied) in leftovers.named() {
        let _ = writeln!(text, "  {} Stays: {}", "!".yellow(), untouched(owner, tied));
    }
    if leftovers.is_clean() {
        text.push_str("Nothing is left that no worktree holds.\n");
    }
    text
}

/// What went, and what stays.
pub fn done(cleared: &Cleared) -> String {
    let mut text = String::new();
    for (owner, group) in &cleared.gone.groups {
        let _ = writeln!(text, "Removed of {owner}: {}", group.all());
    }
    for (owner, tied) in &cleared.stays {
        let _ = writeln!(text, "Stays: {} of {owner}", name(tied));
    }
    text
}

/// Why a thing is not touched.
fn untouched(owner: &Owner, tied: &Tied) -> String {
    let why = match tied.tie {
        Tie::ProjectOnly => format!("it has the project name of {owner}, and no label of kinfra"),
        Tie::NamedByAPerson | Tie::Labels => format!("it was made for {owner}, and has another name"),
    };
    format!("{}: {why}", name(tied))
}

fn name(tied: &Tied) -> String {
    format!("{} {}", tied.thing.kind.word(), printable(&tied.thing.name))
}

fn by(group: &Group) -> String {
    let holder = group.holder.as_ref().and_then(|holder| holder.directory()?.file_name());
    holder.map_or_else(String::new, |name| format!(" by {}", printable(name)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::registry::{Claim, Engine, Holder, Left, Remains};
    use crate::slot::SlotId;
    use crate::thing::{Kind, Labels, Thing};

    fn tied(name: &str, tie: Tie) -> Tied {
        let [key, name] = [name, name].map(str::to_owned);
        let thing = Thing { kind: Kind::Volume, key, name, labels: Labels::default(), bytes: None };
        Tied { engine: Engine::parse("default"), thing, tie }
    }

    fn group(names: &[(&str, Tie)]) -> Group {
        Group { things: names.iter().map(|(name, tie)| tied(name, *tie)).collect(), ..Group::default() }
    }

    #[test]
    fn what_goes_and_what_stays_has_a_line_each() {
        let now = Time::parse("2026-03-10T12:00:00Z").unwrap();
        let slot = |id| SlotId::new(id).unwrap();
        let at = Time::parse("2026-03-10T10:00:00Z").unwrap();
        let left = Left::new(&Claim::of("/src/login".to_owned().into(), None), at, Remains::Stack);
        let holder = Some(Holder::from("/src/search".to_owned()));
        let groups = BTreeMap::from([
            (Owner::Held(slot(1)), Group { holder, ..group(&[("a", Tie::Labels)]) }),
            (
                Owner::Free(slot(2)),
                Group { left: Some(left), ..group(&[("b", Tie::Labels), ("c", Tie::ProjectOnly)]) },
            ),
            (Owner::SlotGone(slot(9)), group(&[("d", Tie::Labels), ("e", Tie::NamedByAPerson)])),
            (Owner::PoolGone("/gone".into(), slot(1)), group(&[("f", Tie::ProjectOnly)])),
            (Owner::Another("/there".into()), group(&[("g", Tie::Labels)])),
            (Owner::Unknown("/far".into(), "far".to_owned()), group(&[("h", Tie::Labels)])),
        ]);
        let leftovers = Leftovers { groups, silent: BTreeMap::new() };
        let text = anstream::adapter::strip_str(&plan(&leftovers, now)).to_string();
        assert_eq!(
            text,
            "  = Slot 1 is held by search: volume a
  - Would clean slot 2, of login, released 2h ago: volume b
  - Would remove of slot 9, which the pool does not have any more: volume d
  = volume g: of the pool in `/there`; `kinfra clean --all --root /there` cleans there
  ! volume h: of a pool in `/far`: far
  ! Stays: volume c: it has the project name of slot 2, and no label of kinfra
  ! Stays: volume e: it was made for slot 9, which the pool does not have any more, and has another name
  ! Stays: volume f: it has the project name of slot 1 of a pool that is gone, in `/gone`, and no label of kinfra
"
        );
        assert_eq!(plan(&Leftovers::default(), now), "Nothing is left that no worktree holds.\n");
        let gone = Leftovers {
            groups: [(Owner::Free(slot(2)), group(&[("b", Tie::Labels)]))].into(),
            ..Leftovers::default()
        };
        let stays = vec![(Owner::Free(slot(2)), tied("c", Tie::Labels))];
        let cleared = Cleared { gone, stays, errors: Vec::new() };
        assert_eq!(done(&cleared), "Removed of slot 2: volume b\nStays: volume c of slot 2\n");
    }
}
