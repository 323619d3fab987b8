//! The ledger in PostgreSQL by itself: what is read and saved, by many clients, and over connections that are cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use kinfra::claims::lease;
use kinfra::claims::pick::Grant;
use kinfra::host::postgres::credentials::Login;
use kinfra::ledger::{Database, Loaded};
use kinfra::registry::{Claim, ClaimId, Registry};
use kinfra::server::Given;
use kinfra::slot::SlotId;

use crate::rig::cut::{Cut, Proxy};
use crate::rig::figure;
use crate::rig::postgres::{self, Postgres};
use crate::support::Machine;

/// A pool of six slots, in a database of its own.
fn pool() -> postgres::Database {
    pool_of(6)
}

/// A pool of so many slots.
fn pool_of(slots: u16) -> postgres::Database {
    let database = Postgres::shared().database();
    let machine = Machine::small();
    machine.kinfra(&format!("registry init {}", database.url())).exits(0);
    let made = client(&database.url()).transact(None, true, |change| {
        *Arc::make_mut(&mut change.registry) = of_slots(slots);
        Ok(())
    });
    made.expect("it is made").expect("a pool");
    database
}

/// The ledger of a client.
fn client(url: &str) -> Database {
    let given = Given::parse(url).expect("a url");
    Database::new(Login::of(given, "postgres"), "test", "small", "box")
}

fn of_slots(count: u16) -> Registry {
    let slots = (1..=count).map(|slot| {
        format!(
            r#""{slot}": {{"slot_id": {slot}, "infrastructure_path": "/p/{slot}", "profile": "only", "workers": {{}},
                "ports": {{"web": {}}}, "claimed_by": null, "claimed_at": null, "status": "stopped", "their": 1.50}}"#,
            8000 + slot
        )
    });
    let slots: Vec<String> = slots.collect();
    let text = format!(r#"{{"version": 2, "theirs": [1.0], "slots": {{{}}}}}"#, slots.join(","));
    Registry::parse(&text).expect("a registry")
}

/// Takes a free slot. `None` if there is none.
fn claim(
    ledger: &Database,
    known: &mut Option<Loaded>,
    name: &str,
    id: ClaimId,
) -> anyhow::Result<Option<SlotId>> {
    let changed = ledger.transact(known.as_ref(), false, |change| {
        let free =
            change.registry.slots.iter().find(|(_, entry)| entry.claim.is_none()).map(|(slot, _)| *slot);
        if let Some(slot) = free {
            let now = change.now;
            let claim = Claim { claim_id: Some(id), ..Claim::of(name.to_owned().into(), None) };
            lease::grant(Arc::make_mut(&mut change.registry), Grant::New(slot), claim, None, now);
        }
        Ok(free)
    })?;
    let (slot, loaded) = changed.expect("a pool");
    *known = Some(loaded);
    Ok(slot)
}

/// Gives it back. A slot that is not held by this claim is a lost update.
fn release(ledger: &Database, known: &mut Option<Loaded>, slot: SlotId, id: ClaimId) -> anyhow::Result<()> {
    let changed = ledger.transact(known.as_ref(), false, |change| {
        let held = change.registry.slots[&slot].claim.as_ref().and_then(|claim| claim.claim_id);
        assert_eq!(held, Some(id), "slot {slot} is another's");
        lease::end(Arc::make_mut(&mut change.registry), slot);
        Ok(())
    })?;
    *known = Some(changed.expect("a pool").1);
    Ok(())
}

fn id(number: u32) -> ClaimId {
    let mut bits = [0; 16];
    bits[12..].copy_from_slice(&number.to_be_bytes());
    ClaimId::from_random(bits)
}

#[test]
#[ignore = "needs PostgreSQL"]
fn what_is_saved_is_read_by_another_client() {
    let database = pool();
    let (one, other) = (client(&database.url()), client(&database.url()));
    let mut known = None;
    let before = other.read(None).expect("it is read").expect("a pool");
    assert_eq!(*before.registry, of_slots(6));
    let slot = claim(&one, &mut known, "/w/one", id(1)).expect("a claim").expect("a slot");
    let after = other.read(Some(&before)).expect("it is read").expect("a pool");
    assert_eq!(after.registry, known.as_ref().expect("what it knows").registry);
    assert_eq!(after.registry, other.read(None).expect("it is read").expect("a pool").registry);
    assert!(Arc::ptr_eq(
        &after.registry.slots[&SlotId::new(6).expect("a slot")],
        &before.registry.slots[&SlotId::new(6).expect("a slot")]
    ));
    assert_eq!(database.sql("select slot, holder, made_by from kinfra.claim"), "1|/w/one|postgres");
    release(&one, &mut known, slot, id(1)).expect("a release");
    assert_eq!(database.sql("select count(*) from kinfra.claim"), "0");
    // A slot that goes is known to those who read only what changed.
    let changed = one.transact(known.as_ref(), false, |change| {
        Arc::make_mut(&mut change.registry).slots.pop_last();
        Ok(())
    });
    let ((), loaded) = changed.expect("a change").expect("a pool");
    let without = other.read(Some(&after)).expect("it is read").expect("a pool");
    assert_eq!((without.registry.slots.len(), without.registry), (5, loaded.registry));
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_newer_schema_is_not_written_to() {
    let database = pool();
    database.sql("insert into kinfra.migration (version, kinfra) values (99, '9.9')");
    let error = claim(&client(&database.url()), &mut None, "/w", id(1)).expect_err("it is newer");
    assert!(format!("{error:#}").contains("has version 99"), "{error:#}");
    assert_eq!(database.sql("select generation from kinfra.pool; select count(*) from kinfra.claim"), "1\n0");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_row_that_another_program_changed_is_not_overwritten() {
    let database = pool();
    let ledger = client(&database.url());
    let error = ledger.transact(None, false, |change| {
        let url = database.url();
        // Not through the lock: as a person with psql may.
        drop(url);
        database.sql("update kinfra.slot set generation = 7 where slot = 1");
        lease::grant(
            Arc::make_mut(&mut change.registry),
            Grant::New(SlotId::new(1).expect("a slot")),
            Claim::of("/w".to_owned().into(), None),
            None,
            change.now,
        );
        Ok(())
    });
    let error = format!("{:#}", error.expect_err("it is fenced"));
    assert!(error.contains("another client saved slot 1 meanwhile"), "{error}");
    assert_eq!(database.sql("select generation from kinfra.pool; select count(*) from kinfra.claim"), "1\n0");
}

/// A connection is cut at every message of a claim, before the server has it and before its answer arrives. What is
/// acknowledged is there, and what is refused is not, unless that is said.
#[test]
#[ignore = "needs PostgreSQL"]
fn a_connection_that_is_cut_anywhere_loses_nothing() {
    let database = pool();
    let direct = client(&database.url());
    let mut outcomes = [0; 2];
    for number in 0..200 {
        let cut =
            if number % 2 == 0 { Cut::BeforeRequest(number / 2) } else { Cut::BeforeAnswer(number / 2) };
        let proxy = Proxy::to(database.server.port(), cut);
        let url = format!("postgres://postgres@127.0.0.1:{}/{}?sslmode=disable", proxy.port(), database.name);
        let own = id(u32::try_from(number).expect("a number") + 1);
        let claimed = claim(&client(&url), &mut None, "/w", own);
        let held = || {
            let now = direct.read(None).expect("it is read").expect("a pool");
            now.registry.slots.iter().find_map(|(slot, entry)| {
                entry.claim.as_ref().filter(|claim| claim.claim_id == Some(own)).map(|_| *slot)
            })
        };
        match claimed {
            Ok(slot) => {
                outcomes[0] += 1;
                assert!(slot.is_some() && held() == slot, "{cut:?}: acknowledged, and not there");
            }
            Err(error) => {
                outcomes[1] += 1;
                let is_told = format!("{error:#}").contains("not known whether");
                assert!(is_told || held().is_none(), "{cut:?}: refused, and there: {error:#}");
            }
        }
        if let Some(slot) = held() {
            release(&direct, &mut None, slot, own).expect("a release");
        }
        if !proxy.was_cut() {
            break;
        }
    }
    figure(&format!(
        "a connection cut at every message: {} claims acknowledged, {} refused",
        outcomes[0], outcomes[1]
    ));
    assert!(outcomes[0] > 2 && outcomes[1] > 0, "{outcomes:?}");
}

/// How many pairs of a claim and a release a second, by clients that keep their connection.
#[test]
#[ignore = "needs PostgreSQL"]
fn many_clients_take_turns_and_no_slot_is_given_twice() {
    for clients in [1, 6, 64] {
        // A slot for each, so that all of them want the row at all times, and none asks in vain.
        let database = pool_of(u16::try_from(clients).expect("a number"));
        let (pairs, is_over) = (AtomicU32::new(0), AtomicBool::new(false));
        let taken: [AtomicU32; 65] = std::array::from_fn(|_| AtomicU32::new(0));
        let began = Instant::now();
        thread::scope(|scope| {
            for number in 0..clients {
                let (database, pairs, is_over, taken) = (&database, &pairs, &is_over, &taken);
                scope.spawn(move || {
                    let (ledger, mut known, mut round) = (client(&database.url()), None, 0);
                    while !is_over.load(Relaxed) {
                        round += 1;
                        let own = id(number * 1_000_000 + round + 1);
                        let slot = claim(&ledger, &mut known, "/w", own).expect("a claim").expect("a slot");
                        let holders = taken[usize::from(slot.get())].fetch_add(1, Relaxed);
                        assert_eq!(holders, 0, "slot {slot} is held twice");
                        taken[usize::from(slot.get())].fetch_sub(1, Relaxed);
                        release(&ledger, &mut known, slot, own).expect("a release");
                        pairs.fetch_add(1, Relaxed);
                    }
                });
            }
            thread::sleep(Duration::from_secs(5));
            is_over.store(true, Relaxed);
        });
        let pairs = f64::from(pairs.load(Relaxed)) / began.elapsed().as_secs_f64();
        figure(&format!(
            "PostgreSQL, {clients} clients on as many slots: {pairs:.0} pairs of claim and release a second"
        ));
        assert!(pairs > 5.0, "{pairs}");
    }
}
