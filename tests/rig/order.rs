//! Whether the queue of a pool is served in order. The pool is looked at again and again while requests are served.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

/// A waiter that was called and did not answer for as long is passed over.
const ANSWER: Duration = Duration::from_secs(10);

/// What was seen of a queue.
pub(crate) struct Order {
    root: PathBuf,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// The waiters of the last look.
    waiting: BTreeSet<Ticket>,
    /// The worktrees whose waiters are being killed.
    dying: BTreeSet<String>,
    /// The tickets of those that were killed: the next claim removes them.
    dead: BTreeSet<Ticket>,
    served: usize,
    wrong: Vec<String>,
}

/// A place in the queue. A number comes again once the queue was empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Ticket {
    number: u64,
    inode: u64,
    owner: String,
}

impl Order {
    /// Of the pool with this root.
    pub(crate) fn of(root: PathBuf) -> Self {
        Self { root, seen: Mutex::default() }
    }

    /// Looks once. A waiter that was served must have left a free slot for each waiter ahead of it: that one may be cleaning
    /// its slot, or take it next. What happened between two looks has no order.
    pub(crate) fn look(&self) {
        let tickets = self.tickets();
        let (held, free) = self.slots();
        let mut seen = self.seen();
        let is_waiting = |ticket: &Ticket| {
            let is_dead = seen.dead.contains(ticket) || seen.dying.contains(&ticket.owner);
            !held.contains(&ticket.owner) && !is_dead
        };
        let waiting: BTreeSet<_> = tickets.into_iter().filter(is_waiting).collect();
        let still: Vec<_> = seen.waiting.intersection(&waiting).cloned().collect();
        for served in std::mem::replace(&mut seen.waiting, waiting) {
            if !held.contains(&served.owner) {
                continue;
            }
            seen.served += 1;
            let ahead: Vec<_> = still.iter().filter(|other| other.number < served.number).collect();
            if ahead.len() > free {
                seen.wrong.push(format!("{served:?} was served before {ahead:?}, with {free} free slots"));
            }
        }
    }

    /// Kills a waiter of a worktree: from now on, it is none.
    pub(crate) fn kills<T>(&self, worktree: &str, kill: impl FnOnce() -> T) -> T {
        self.seen().dying.insert(worktree.to_owned());
        let killed = kill();
        let tickets = self.tickets().into_iter().filter(|ticket| ticket.owner == worktree);
        let mut seen = self.seen();
        seen.dead.extend(tickets);
        seen.dying.remove(worktree);
        killed
    }

    /// How many waiters were seen to be served, and those that were so before their turn.
    pub(crate) fn judged(self) -> (usize, Vec<String>) {
        let seen = self.seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        (seen.served, seen.wrong)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tickets of all that are not passed over, dead or alive.
    fn tickets(&self) -> Vec<Ticket> {
        let files = fs::read_dir(self.root.join(".queue")).into_iter().flatten().flatten();
        let ticket = |file: fs::DirEntry| {
            // It may go at any time.
            let (text, meta) = (fs::read_to_string(file.path()).ok()?, file.metadata().ok()?);
            let called = text.lines().find_map(|line| line.strip_prefix("called ")?.parse().ok());
            let is_passed_over = called.is_some_and(|called| since(called) >= ANSWER);
            let (number, owner) = (file.file_name().to_str()?.parse().ok()?, text.lines().nth(1)?.to_owned());
            (!is_passed_over).then_some(Ticket { number, inode: meta.ino(), owner })
        };
        files.filter_map(ticket).collect()
    }

    /// The holders, and how many slots have none.
    fn slots(&self) -> (BTreeSet<String>, usize) {
        let registry = fs::read_to_string(self.root.join("registry.json")).expect("a registry");
        let registry: Value = serde_json::from_str(&registry).expect("JSON");
        let slots = registry["slots"].as_object().expect("slots");
        let holders = slots.values().filter_map(|slot| Some(slot["claimed_by"].as_str()?.to_owned()));
        let holders: Vec<_> = holders.collect();
        let free = slots.len() - holders.len();
        (holders.into_iter().collect(), free)
    }
}

fn since(seconds: u64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970");
    now.saturating_sub(Duration::from_secs(seconds))
}

#[test]
fn a_waiter_that_is_served_before_its_turn_is_seen() {
    let judge = |is_killed: bool, holders: [Option<&str>; 2]| {
        let root = tempfile::tempdir().expect("a temporary directory");
        let registry = |holders: [Option<&str>; 2]| {
            let [one, two] = holders;
            let slots = serde_json::json!({"slots": {"1": {"claimed_by": one}, "2": {"claimed_by": two}}});
            fs::write(root.path().join("registry.json"), slots.to_string()).expect("a registry");
        };
        let ticket = |number: u64| root.path().join(".queue").join(number.to_string());
        fs::create_dir(root.path().join(".queue")).expect("a queue");
        for (number, owner) in [(1, "/first"), (2, "/second")] {
            fs::write(ticket(number), format!("any\n{owner}\n")).expect("a ticket");
        }
        registry([Some("/a"), Some("/b")]);
        let order = Order::of(root.path().to_owned());
        order.look();
        if is_killed {
            order.kills("/first", || {});
        }
        registry(holders);
        fs::remove_file(ticket(2)).expect("it was served");
        order.look();
        order.judged()
    };
    let (served, wrong) = judge(false, [Some("/a"), Some("/second")]);
    assert_eq!((served, wrong.len()), (1, 1), "{wrong:?}");
    // There is a slot for the first one, too, or it has died.
    assert_eq!(judge(false, [None, Some("/second")]), (1, Vec::new()));
    assert_eq!(judge(true, [Some("/a"), Some("/second")]), (1, Vec::new()));
    assert_eq!(judge(false, [Some("/a"), Some("/b")]), (0, Vec::new()));
}
