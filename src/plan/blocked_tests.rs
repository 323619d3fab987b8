use super::*;
use crate::diff::Field;

fn path() -> RelPath {
    RelPath::new("a").unwrap()
}

fn taken(flags: Option<Flag>, kind: Kind) -> Blocked {
    Blocked::PortTaken {
        name: PortName::new("api").unwrap(),
        port: Port::new(8001).unwrap(),
        holder: SlotId::new(2).unwrap(),
        flags: flags.map(|flag| BTreeSet::from([flag])),
        kind,
    }
}

#[test]
fn each_reason_has_the_flag_that_allows_it_and_says_who_asked_for_it() {
    use Flag::{IncludeClaimed, Overwrite, Prune, Update};
    let by = Remnant::DataOf("/w".to_owned());
    let slot = SlotId::new(1).unwrap();
    let field = FieldChange { field: Field::Profile, old: None, new: None };
    let always = &[None, Some(Update), Some(Overwrite), Some(Prune), Some(IncludeClaimed)][..];
    let updates = &[Some(Update), Some(Overwrite)][..];
    let (overwrites, prunes, never) = (&[Some(Overwrite)][..], &[Some(Prune)][..], &[][..]);
    // The flag, the flags with which it is asked for, how it counts, and whether a file's text would change.
    for (blocked, flag, is_asked_for, kind, is_text) in [
        (Blocked::Foreign(path()), Some(Overwrite), overwrites, Kind::Change, true),
        (Blocked::Edited(path()), Some(Overwrite), overwrites, Kind::Change, true),
        (Blocked::Field(field), Some(Update), updates, Kind::Change, false),
        (Blocked::Outdated(path()), Some(Update), updates, Kind::Change, true),
        (Blocked::Absent(path()), Some(Update), updates, Kind::Change, false),
        (Blocked::WrongMode(path(), FileMode::SHARED), Some(Update), updates, Kind::Change, false),
        (Blocked::Dropped(path()), Some(Update), updates, Kind::Change, false),
        (Blocked::Disowned(path()), Some(Update), updates, Kind::Change, false),
        (Blocked::Obstructed(None, Obstacle::File), None, always, Kind::Change, false),
        (Blocked::Surplus { held: false }, Some(Prune), prunes, Kind::Destroy, false),
        (Blocked::Surplus { held: true }, None, prunes, Kind::Destroy, false),
        (Blocked::Leftover(Vec::new()), None, prunes, Kind::Destroy, false),
        (Blocked::Held("/w".to_owned()), Some(IncludeClaimed), never, Kind::Change, false),
        (Blocked::NotClean(slot, by), None, never, Kind::Destroy, false),
        (Blocked::Containers, None, never, Kind::Change, false),
        (Blocked::Running, Some(IncludeClaimed), never, Kind::Change, false),
        (Blocked::ContainersUnknown(String::new()), None, never, Kind::Change, false),
        (taken(Some(Prune), Kind::Change), Some(Prune), updates, Kind::Change, false),
        (taken(None, Kind::Add), None, always, Kind::Add, false),
    ] {
        assert_eq!(blocked.flags(), flag.map(|flag| BTreeSet::from([flag])), "{blocked:?}");
        for given in always {
            let allowed: BTreeSet<Flag> = given.iter().copied().collect();
            let expected = is_asked_for.contains(given);
            assert_eq!(blocked.is_asked_for(&allowed), expected, "{blocked:?} with {given:?}");
        }
        assert_eq!((blocked.kind(), blocked.changed_file().is_some()), (kind, is_text), "{blocked:?}");
    }
}
