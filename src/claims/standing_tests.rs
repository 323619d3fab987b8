use super::*;
use crate::claims::pick::tests::{of, pool};
use crate::registry::{MOST_FAILURES, Remains, Started};

const HOURS: i64 = 3_600_000_000;

fn at(hours: i64) -> Time {
    Time::from_unix_micros(hours * HOURS)
}

fn slot(id: u16) -> SlotId {
    SlotId::new(id).unwrap()
}

/// A free slot whose holder left something at hour 100.
fn with_left(remains: Option<Remains>, failures: u32) -> Registry {
    let mut registry = pool("l");
    let left = remains.map(|remains| Left { failures, ..Left::new(&of("/w", 1), at(100), remains) });
    registry.slot_mut(slot(1)).unwrap().started = Some(Started {
        at: String::new(),
        project: "shop-slot-1".to_owned(),
        engine: None,
        profiles: Vec::new(),
        left,
    });
    registry
}

#[test]
fn a_free_slot_is_cleaned_if_no_worktree_will_come_back_for_what_is_in_it() {
    let keep = Some(Span::parse("8h").unwrap());
    let left = |remains| Left::new(&of("/w", 1), at(100), remains);
    let (there, gone, away) = (Worktree::There, Worktree::Gone, Worktree::Away(Doubt::Unmounted));
    let data = left(Remains::Data);
    for (remains, failures, now, keep_data, worktree, why) in [
        (None, 0, 101, None, there, Some(Uncleaned::Dirty(None))),
        (Some(Remains::Stack), 0, 101, None, there, Some(Uncleaned::Dirty(Some(left(Remains::Stack))))),
        (Some(Remains::Stack), MOST_FAILURES, 101, None, there, None),
        (Some(Remains::Data), 0, 101, None, there, None),
        (Some(Remains::Data), 0, 101, None, gone, Some(Uncleaned::OfNone(data.clone()))),
        (Some(Remains::Data), 0, 107, keep, there, None),
        (Some(Remains::Data), 0, 108, keep, there, Some(Uncleaned::TooOld(data.clone()))),
        (Some(Remains::Data), 0, 108, keep, away, Some(Uncleaned::TooOld(data.clone()))),
        (Some(Remains::Data), 0, 108, None, away, None),
        (Some(Remains::Data), 0, 108, keep, gone, Some(Uncleaned::OfNone(data))),
    ] {
        let reaping = Reaping::of(&with_left(remains, failures), at(now), keep_data, |_| worktree);
        assert_eq!(reaping.cleans.get(&slot(1)), why.as_ref(), "{remains:?} {now} {worktree:?}");
        assert_eq!(reaping.is_empty(), why.is_none(), "{remains:?} {now} {worktree:?}");
    }
    assert!(Reaping::of(&pool("lL"), at(0), None, |_| there).is_empty());
}

#[test]
fn whose_directory_is_missing_for_no_reason_that_passes_is_looked_at() {
    let missing = [
        (Doubt::ParentMissing, "its directory is missing, and so is the directory above it"),
        (
            Doubt::RepoMissing,
            "its directory is missing, and the repository it was a worktree of is missing or another",
        ),
        (Doubt::NoGit, "its directory is there, without its `.git`"),
        (Doubt::Moved, "its directory is missing, and git has a worktree of its name elsewhere"),
        (Doubt::Another, "another directory is at its path"),
        (Doubt::AnotherAbove, "its directory is missing, and the one above it is not the one that it was in"),
    ];
    let passing = [
        (Doubt::OtherHost, "it was claimed on another machine"),
        (Doubt::Unreadable, "its directory cannot be examined"),
        (Doubt::Unknown, "its directory is not known"),
        (Doubt::Unmounted, "the disk of its directory may not be mounted"),
        (Doubt::Locked, "its directory is missing, but `git worktree lock` keeps it"),
    ];
    for (doubts, expected) in [(&missing[..], Standing::Missing), (&passing[..], Standing::Held)] {
        for (doubt, words) in doubts {
            assert_eq!(standing(&of("/w", 1), at(0), Worktree::Away(*doubt)), expected, "{doubt:?}");
            assert_eq!(doubt.to_string(), *words);
            let reaping = Reaping::of(&pool("L"), at(0), None, |_| Worktree::Away(*doubt));
            assert_eq!(reaping.doubts.keys().collect::<Vec<_>>(), [&slot(1)], "{doubt:?}");
            assert_eq!(reaping.has_unreadable(), *doubt == Doubt::Unreadable);
            assert!(reaping.is_empty(), "nothing is done where a directory may come back");
        }
    }
}

#[test]
fn only_what_was_shown_is_cleaned() {
    let now = Reaping::of(&with_left(None, 0), at(101), None, |_| Worktree::There);
    let other = Reaping::of(&with_left(Some(Remains::Stack), 0), at(101), None, |_| Worktree::There);
    assert_eq!(now.clone().within(&now), now);
    assert!(now.clone().within(&other).is_empty());
    assert!(now.clone().within(&Reaping::default()).is_empty());
    // A claim whose directory is gone ends, whatever its lease says.
    let gone = Reaping::of(&pool("L"), at(0), None, |_| Worktree::Gone);
    assert_eq!(gone.clone().still_in(&pool("L"), at(0)), gone);
    assert!(gone.still_in(&pool("l"), at(0)).is_empty());
}
