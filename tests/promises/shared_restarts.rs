//! Many clients claim and release while the server is ended and started again. A history of what was acknowledged to them
//! is judged afterwards.
//!
//! ```text
//! KINFRA_RESTARTS=1000 cargo test --profile ci -- --ignored shared_restarts    # 40 minutes
//! ```

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use kinfra::ledger::Loaded;
use kinfra::registry::ClaimId;
use kinfra::slot::SlotId;

use super::shared_ledger::{Client, claim, client, id, pool_of, release};
use crate::rig::figure;
use crate::rig::postgres::Postgres;

/// How many clients share how many slots.
const CLIENTS: u32 = 64;
const SLOTS: u16 = 6;

/// How long the server is left to itself.
const CALM: Duration = Duration::from_millis(1500);

/// How often it is restarted.
fn restarts() -> u32 {
    std::env::var("KINFRA_RESTARTS").map_or(6, |text| text.parse().expect("KINFRA_RESTARTS is a number"))
}

/// A slot that was surely held: from when the claim was acknowledged until its release was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hold {
    slot: SlotId,
    claim: ClaimId,
    from: Instant,
    /// `None` if it is held at the end.
    to: Option<Instant>,
}

/// What is wrong with a history: two holds of a slot at once, and what the registry has at the end that is not what was
/// acknowledged last. The end is a list of slots with their claims.
fn violations(history: &[Hold], end: &[(SlotId, ClaimId)]) -> Vec<String> {
    let mut found = Vec::new();
    let mut sorted: Vec<&Hold> = history.iter().collect();
    sorted.sort_by_key(|hold| (hold.slot, hold.from));
    // The one of those before that ends last.
    let mut last: Option<&Hold> = None;
    for hold in sorted {
        let before = last.filter(|last| last.slot == hold.slot);
        if let Some(before) = before.filter(|before| before.to.is_none_or(|to| hold.from < to)) {
            found.push(format!("slot {} is held twice: {before:?} {hold:?}", hold.slot));
        }
        let ends_later = |before: &Hold| before.to.is_none_or(|to| hold.to.is_some_and(|end| end < to));
        last = before.filter(|before| ends_later(before)).or(Some(hold));
    }
    let mut open: Vec<_> =
        history.iter().filter(|hold| hold.to.is_none()).map(|hold| (hold.slot, hold.claim)).collect();
    let mut end = end.to_vec();
    open.sort_by_key(|(slot, _)| *slot);
    end.sort_by_key(|(slot, _)| *slot);
    if open != end {
        found.push(format!("the registry has {end:?}, and {open:?} were acknowledged"));
    }
    found
}

/// The slot that a claim has, asked until the server answers.
fn look(ledger: &Client, known: &mut Option<Loaded>, own: ClaimId) -> Option<SlotId> {
    loop {
        if let Ok(loaded) = ledger.read(None) {
            let loaded = loaded.expect("a pool");
            let slot = loaded
                .registry
                .slots
                .iter()
                .find_map(|(slot, entry)| (entry.claim.as_ref()?.claim_id == Some(own)).then_some(*slot));
            *known = Some(loaded);
            return slot;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// What a client did until the end.
struct Worker<'a> {
    ledger: Client,
    known: Option<Loaded>,
    history: &'a Mutex<Vec<Hold>>,
    unknown: &'a AtomicU32,
}

impl Worker<'_> {
    /// Claims and releases. At the end it keeps what it has, if `keeps`.
    fn round(&mut self, own: ClaimId, keeps: bool) {
        let claimed = loop {
            if let Ok(claimed) = claim(&self.ledger, &mut self.known, "/w", own) {
                break claimed;
            }
            self.unknown.fetch_add(1, SeqCst);
            let claimed = look(&self.ledger, &mut self.known, own);
            if claimed.is_some() {
                break claimed;
            }
        };
        let Some(slot) = claimed else {
            thread::sleep(Duration::from_millis(2));
            return;
        };
        let from = Instant::now();
        thread::sleep(Duration::from_millis(1));
        let to = (!keeps).then(Instant::now);
        self.history.lock().expect("the history").push(Hold { slot, claim: own, from, to });
        if keeps {
            return;
        }
        loop {
            if release(&self.ledger, &mut self.known, slot, own).is_ok() {
                return;
            }
            self.unknown.fetch_add(1, SeqCst);
            if look(&self.ledger, &mut self.known, own).is_none() {
                return;
            }
        }
    }
}

#[test]
#[ignore = "needs PostgreSQL"]
fn no_slot_is_held_twice_while_the_server_is_restarted() {
    let server = Postgres::own();
    let database = pool_of(SLOTS, server);
    let (history, unknown) = (Mutex::new(Vec::new()), AtomicU32::new(0));
    let restarts = restarts();
    server.disturbed(CALM, |done| {
        thread::scope(|scope| {
            for number in 0..CLIENTS {
                let (history, unknown, url) = (&history, &unknown, database.url());
                scope.spawn(move || {
                    let mut worker = Worker { ledger: client(&url), known: None, history, unknown };
                    for round in 1.. {
                        let is_last = done.load(SeqCst) >= restarts;
                        worker.round(id(number * 10_000_000 + round), is_last);
                        if is_last {
                            return;
                        }
                    }
                });
            }
        });
    });
    let mut history = history.into_inner().expect("the history");
    let last = client(&database.url()).read(None).expect("it is read").expect("a pool");
    let claims = last.registry.slots.iter();
    let end: Vec<_> =
        claims.filter_map(|(slot, entry)| Some((*slot, entry.claim.as_ref()?.claim_id?))).collect();
    assert_eq!(violations(&history, &end), Vec::<String>::new());
    assert_eq!(end.len(), usize::from(SLOTS), "every slot is held at the end");
    figure(&format!(
        "{CLIENTS} clients on {SLOTS} slots, {restarts} restarts of the server: {} holds, {} answers that did not come, none held twice",
        history.len(),
        unknown.load(SeqCst)
    ));
    assert!(history.len() > 50 && unknown.load(SeqCst) > 0);

    // The judge sees what is wrong, wherever it is.
    let first =
        history.iter().filter(|hold| hold.to.is_some()).min_by_key(|hold| hold.from).expect("a hold").clone();
    history.push(Hold { claim: id(1), from: first.from + Duration::from_nanos(1), ..first.clone() });
    assert_eq!(violations(&history, &end).len(), 1, "one hold within another");
    history.pop();
    assert_eq!(violations(&history, &end[1..]).len(), 1, "a claim that the registry lost");
    let at = history.iter().position(|hold| hold.to.is_none()).expect("a hold");
    history[at].claim = id(2);
    assert_eq!(violations(&history, &end).len(), 1, "a claim that another overwrote");
}
