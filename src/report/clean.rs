//! What cleaning a slot removed, and what stays.

use super::commas::Commas;
use crate::claims::clean_slots::{Tidied, Tidying};
use crate::registry::Left;
use crate::shown::{bytes, printable, size};
use crate::stack::clean::Cleaned;
use crate::stack::remove::{Removed, Sized};
use crate::thing::Kind;
use crate::time::Time;

/// What cleaning would do, a line per slot.
pub fn plan(tidying: &Tidying, now: Time) -> String {
    let clean = tidying.clean.iter().map(|slot| (slot, format!("Slot {slot} is clean\n")));
    let would = tidying.slots.iter().map(|(slot, left)| {
        let of = left.as_ref().map(|left| of(left, now)).unwrap_or_default();
        (slot, format!("  - Would clean slot {slot}{of}\n"))
    });
    let mut lines: Vec<_> = clean.chain(would).collect();
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect()
}

/// What was cleaned, a line per slot.
pub fn done(tidied: &Tidied, now: Time) -> String {
    tidied.cleaned.iter().map(|one| cleaned(one, now)).collect()
}

/// What was removed of a stack, and what stays, a line each.
pub fn removed(removed: &Removed) -> String {
    let Removed { gone, volumes, others, cut_off, elsewhere } = removed;
    let from = elsewhere.as_ref().map_or_else(String::new, |elsewhere| format!(" in {elsewhere}"));
    let gone = (!gone.is_empty()).then(|| format!("Removed {}{from}\n", counted(gone)));
    let kept = (!volumes.is_empty())
        .then(|| format!("Kept for its worktree: {}\n", Commas(volumes.iter().map(named))));
    let others = others.iter().map(|other| format!("Left {}\n", printable(other)));
    let cut_off = cut_off.iter().map(|why| {
        let why = printable(why);
        format!("warning: not every container was stopped before it was removed, so what is kept may lack the last writes: {why}\n")
    });
    gone.into_iter().chain(kept).chain(others).chain(cut_off).collect()
}

/// A slot that was cleaned for another holder, in a line.
pub fn cleaned(cleaned: &Cleaned, now: Time) -> String {
    let Cleaned { slot, left, removed } = cleaned;
    let what = if removed.gone.is_empty() { "nothing was left".to_owned() } else { summed(&removed.gone) };
    let place = removed.elsewhere.as_ref().map_or_else(String::new, |elsewhere| format!(", in {elsewhere}"));
    let of = left.as_ref().map(|left| of(left, now)).unwrap_or_default();
    format!("Cleaned slot {slot}: {what}{of}{place}\n")
}

/// Whose a stack was, and when it was released.
pub fn of(left: &Left, now: Time) -> String {
    let by = left.by.directory().and_then(|path| path.file_name());
    let by = by.map_or_else(String::new, |name| format!(", of {}", printable(name)));
    let at = Time::parse(&left.at)
        .map_or_else(|_| String::new(), |at| format!(", released {}", super::slots::ago(at, now)));
    format!("{by}{at}")
}

/// How many there are of a kind, if there are any.
fn count(things: &[Sized], kind: Kind) -> Option<String> {
    let count = things.iter().filter(|thing| thing.kind == kind).count();
    let plural = if count == 1 { "" } else { "s" };
    (count > 0).then(|| format!("{count} {}{plural}", kind.word()))
}

/// How many there are of each kind, and the size of all volumes, if each of theirs is known.
fn summed(things: &[Sized]) -> String {
    let kinds = [Kind::Container, Kind::Network, Kind::Image, Kind::Volume];
    let counts = kinds.into_iter().filter_map(|kind| count(things, kind));
    let volumes = things.iter().filter(|thing| thing.kind == Kind::Volume);
    let sizes: Option<Vec<u64>> = volumes.map(|volume| bytes(volume.size.as_deref()?)).collect();
    let sum = sizes.filter(|sizes| !sizes.is_empty()).map(|sizes| size(sizes.iter().sum()));
    Commas(counts.chain(sum)).to_string()
}

/// How many there are of each kind; volumes by name and size.
fn counted(things: &[Sized]) -> String {
    let counts =
        [Kind::Container, Kind::Network, Kind::Image].into_iter().filter_map(|kind| count(things, kind));
    let volumes = things.iter().filter(|thing| thing.kind == Kind::Volume).map(named);
    Commas(counts.chain(volumes)).to_string()
}

fn named(volume: &Sized) -> String {
    with_size(&volume.name, volume.size.as_deref())
}

/// A volume with its size.
pub(super) fn with_size(volume: &str, size: Option<&str>) -> String {
    let size = size.map_or_else(String::new, |size| format!(" ({})", printable(size)));
    format!("volume {}{size}", printable(volume))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_docker_are_summed() {
        let volume = |name: &str, size: Option<&str>| Sized {
            kind: Kind::Volume,
            name: name.to_owned(),
            size: size.map(str::to_owned),
        };
        let container = Sized { kind: Kind::Container, ..volume("web", None) };
        let two = [volume("a", Some("47.5MB")), volume("b", Some("512kB")), container.clone()];
        assert_eq!(summed(&two), "1 container, 2 volumes, 48MB");
        assert_eq!(summed(&[volume("a", Some("7kB")), volume("b", None)]), "2 volumes");
        assert_eq!(summed(&[container]), "1 container");
        assert_eq!(counted(&two), "1 container, volume a (47.5MB), volume b (512kB)");
    }

    #[test]
    fn what_was_removed_and_what_stays_has_a_line_each() {
        let volume = |name: &str, size: Option<&str>| Sized {
            kind: Kind::Volume,
            name: name.to_owned(),
            size: size.map(str::to_owned),
        };
        let nothing = || Removed {
            gone: Vec::new(),
            volumes: Vec::new(),
            others: Vec::new(),
            elsewhere: None,
            cut_off: None,
        };
        let [engine, in_use] = ["far", "near"].map(crate::registry::Engine::parse);
        let elsewhere =
            || Some(crate::registry::Elsewhere { engine: engine.clone(), in_use: in_use.clone() });
        let all = Removed {
            gone: vec![volume("a", Some("7kB"))],
            volumes: vec![volume("b", None), volume("c", Some("1kB"))],
            others: vec!["image x".to_owned()],
            elsewhere: elsewhere(),
            cut_off: Some("no answer".to_owned()),
        };
        assert_eq!(removed(&nothing()), "");
        assert_eq!(
            removed(&all),
            "Removed volume a (7kB) in the Docker context `far` (in use is the Docker context `near`)\nKept for its \
             worktree: volume b, volume c (1kB)\nLeft image x\nwarning: not every container was stopped before it was \
             removed, so what is kept may lack the last writes: no answer\n"
        );
        let now = Time::parse("2026-03-10T12:00:00Z").unwrap();
        let at = Time::parse("2026-03-10T10:00:00Z").unwrap();
        let slot = crate::slot::SlotId::new(3).unwrap();
        let left = |by: &str| {
            let claim = crate::registry::Claim::of(by.to_owned().into(), None);
            Left::new(&claim, at, crate::registry::Remains::Stack)
        };
        assert_eq!(of(&left("/src/login"), now), ", of login, released 2h ago");
        assert_eq!(of(&Left { at: "x".to_owned(), ..left("unknown") }, now), "");
        let one = Cleaned { slot, left: None, removed: nothing() };
        assert_eq!(cleaned(&one, now), "Cleaned slot 3: nothing was left\n");
        let other = Cleaned { left: Some(left("/src/login")), removed: all, ..one };
        let place = "in the Docker context `far` (in use is the Docker context `near`)";
        let said = format!("Cleaned slot 3: 1 volume, 7kB, of login, released 2h ago, {place}\n");
        assert_eq!(cleaned(&other, now), said);
        let tidied = Tidied { cleaned: vec![other], ..Tidied::default() };
        assert_eq!(done(&tidied, now), said);
    }
}
