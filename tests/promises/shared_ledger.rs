//! The ledger in PostgreSQL by itself: what is read and saved, by many clients, and over connections that are cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use camino::Utf8Path;
use kinfra::claims::lease;
use kinfra::claims::pick::Grant;
use kinfra::fault::{Exit, exit_of};
use kinfra::host::lock::{Hold, LockPolicy};
use kinfra::host::postgres::credentials::Login;
use kinfra::host::root::{Root, StackLock};
use kinfra::ledger::{Change, Database, Ledger, Loaded, Locking};
use kinfra::registry::{Claim, ClaimId, OwnPlace, Registry};
use kinfra::server::Given;
use kinfra::slot::SlotId;
use kinfra::time::{Span, Time};
use tempfile::TempDir;

use crate::rig::cut::{Cut, Proxy};
use crate::rig::figure;
use crate::rig::postgres::{self, Postgres};
use crate::support::Machine;

/// A pool of six slots, in a database of its own.
fn pool() -> postgres::Database {
    pool_of(6, Postgres::shared())
}

/// A pool of so many slots, on a server.
pub(super) fn pool_of(slots: u16, server: &'static Postgres) -> postgres::Database {
    let database = server.database();
    let machine = Machine::small();
    machine.kinfra(&format!("registry init {}", database.url())).exits(0);
    let made = client(&database.url()).transact(None, true, |registry, _| {
        *registry = of_slots(slots);
        Ok(())
    });
    made.expect("it is made").expect("a pool");
    database
}

/// The ledger of a client.
pub(super) struct Client(Arc<Database>);

pub(super) fn client(url: &str) -> Client {
    client_in(url, "/p")
}

fn client_in(url: &str, root: &str) -> Client {
    let given = Given::parse(url).expect("a url");
    let place = OwnPlace { host: "box".to_owned(), root: root.into() };
    Client(Arc::new(Database::new(Login::of(given, "postgres"), "test", "small", place)))
}

/// Locks that are waited for as long as it takes.
const PATIENT: Locking<'_> =
    Locking { may_make: false, patience: Duration::from_mins(1), flag: None, interrupt: None };

impl Client {
    pub(super) fn read(&self, known: Option<&Loaded>) -> anyhow::Result<Option<Loaded>> {
        self.0.read(known)
    }

    /// One change with one save.
    fn transact<T>(
        &self,
        known: Option<&Loaded>,
        may_make: bool,
        work: impl FnOnce(&mut Registry, Time) -> anyhow::Result<T>,
    ) -> anyhow::Result<Option<(T, Loaded)>> {
        let begun = Change::begin(&self.0, known, Locking { may_make, ..PATIENT })?;
        let Some(mut change) = begun else { return Ok(None) };
        let before = Arc::clone(&change.loaded().registry);
        let mut after = Arc::clone(&before);
        let done = work(Arc::make_mut(&mut after), change.now())?;
        change.save(&before, &after, None)?;
        change.unlock()?;
        Ok(Some((done, change.loaded().clone())))
    }
}

fn of_slots(count: u16) -> Registry {
    let slots = (1..=count).map(|slot| {
        format!(
            r#""{slot}": {{"slot_id": {slot}, "infrastructure_path": "/p/slot-{slot}", "profile": "only", "workers": {{}},
                "ports": {{"web": {}}}, "claimed_by": null, "claimed_at": null, "status": "stopped", "their": 1.50}}"#,
            8000 + slot
        )
    });
    let slots: Vec<String> = slots.collect();
    let text = format!(r#"{{"version": 2, "theirs": [1.0], "slots": {{{}}}}}"#, slots.join(","));
    Registry::parse(&text).expect("a registry")
}

/// Takes a free slot. `None` if there is none.
pub(super) fn claim(
    ledger: &Client,
    known: &mut Option<Loaded>,
    name: &str,
    id: ClaimId,
) -> anyhow::Result<Option<SlotId>> {
    let changed = ledger.transact(known.as_ref(), false, |registry, now| {
        let free = registry.slots.iter().find(|(_, entry)| entry.claim.is_none()).map(|(slot, _)| *slot);
        if let Some(slot) = free {
            let claim = Claim { claim_id: Some(id), ..Claim::of(name.to_owned().into(), None) };
            lease::grant(registry, Grant::New(slot), claim, None, now);
        }
        Ok(free)
    })?;
    let (slot, loaded) = changed.expect("a pool");
    *known = Some(loaded);
    Ok(slot)
}

/// Gives it back. A slot that is not held by this claim is a lost update.
pub(super) fn release(
    ledger: &Client,
    known: &mut Option<Loaded>,
    slot: SlotId,
    id: ClaimId,
) -> anyhow::Result<()> {
    let changed = ledger.transact(known.as_ref(), false, |registry, _| {
        let held = registry.slots[&slot].claim.as_ref().and_then(|claim| claim.claim_id);
        assert_eq!(held, Some(id), "slot {slot} is another's");
        lease::end(registry, slot);
        Ok(())
    })?;
    *known = Some(changed.expect("a pool").1);
    Ok(())
}

fn eight_hours() -> Span {
    Span::parse("8h").expect("a span")
}

pub(super) fn id(number: u32) -> ClaimId {
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
    // A slot that goes is known to those who read only what changed, in any root.
    let elsewhere = client_in(&database.url(), "/q");
    let seen_elsewhere = elsewhere.read(None).expect("it is read").expect("a pool");
    let changed = one.transact(known.as_ref(), false, |registry, _| {
        registry.slots.pop_last();
        Ok(())
    });
    let ((), loaded) = changed.expect("a change").expect("a pool");
    let without = other.read(Some(&after)).expect("it is read").expect("a pool");
    assert_eq!((without.registry.slots.len(), without.registry), (5, loaded.registry));
    let without = elsewhere.read(Some(&seen_elsewhere)).expect("it is read").expect("a pool");
    assert_eq!((seen_elsewhere.registry.slots.len(), without.registry.slots.len()), (6, 5));
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
    let error = ledger.transact(None, false, |registry, now| {
        // Not through the lock: as a person with psql may.
        database.sql("update kinfra.slot set generation = 7 where slot = 1");
        let claim = Claim::of("/w".to_owned().into(), None);
        lease::grant(registry, Grant::New(SlotId::new(1).expect("a slot")), claim, None, now);
        Ok(())
    });
    let error = format!("{:#}", error.expect_err("it is fenced"));
    assert!(error.contains("another client saved slot 1 meanwhile"), "{error}");
    assert_eq!(database.sql("select generation from kinfra.pool; select count(*) from kinfra.claim"), "1\n0");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_database_that_isolates_strictly_by_itself_serves_many_clients() {
    let database = pool_of(3, Postgres::shared());
    database
        .sql(&format!("alter database {} set default_transaction_isolation = 'serializable'", database.name));
    thread::scope(|scope| {
        for number in 0..12 {
            let url = database.url();
            scope.spawn(move || {
                let (ledger, mut known) = (client(&url), None);
                for round in 0..20 {
                    let own = id(number * 1_000 + round);
                    if let Some(slot) = claim(&ledger, &mut known, "/w", own).expect("an answer") {
                        release(&ledger, &mut known, slot, own).expect("a release");
                    }
                }
            });
        }
    });
}

/// A server that crashed may have lost a save that a client has read, and have given its number to another.
#[test]
#[ignore = "needs PostgreSQL"]
fn a_number_that_a_crash_gave_to_another_save_is_not_taken_for_the_same() {
    let database = pool_of(1, Postgres::shared());
    let (holder, waiter) = (client(&database.url()), client(&database.url()));
    let (mut known, mut read) = (None, None);
    let slot = claim(&holder, &mut known, "/w/one", id(1)).expect("a claim").expect("a slot");
    let held = known.clone();
    let tables = ["pool", "slot", "claim", "saved"];
    for table in tables {
        database.sql(&format!("create table public.{table} as table kinfra.{table}"));
    }
    release(&holder, &mut known, slot, id(1)).expect("a release");
    read.clone_from(&waiter.read(None).expect("it is read"));
    // The crash takes the release back.
    database.sql(
        "update kinfra.pool p set generation = q.generation, token = q.token from public.pool q; update kinfra.slot s set \
         generation = t.generation from public.slot t where s.slot = t.slot; insert into kinfra.claim (pool, host, slot, \
         content) select pool, host, slot, content from public.claim; delete from kinfra.saved where generation not in \
         (select generation from public.saved)",
    );
    let renewed = holder.transact(held.as_ref(), false, |registry, now| {
        lease::grant(
            registry,
            Grant::Held(slot),
            Claim::of("/w/one".to_owned().into(), None),
            Some(eight_hours()),
            now,
        );
        Ok(())
    });
    let holder_knows = renewed.expect("a renewal").expect("a pool").1;
    assert_eq!(database.sql("select generation from kinfra.pool"), "3", "the number of the release");
    assert_eq!(claim(&waiter, &mut read, "/w/two", id(2)).expect("it is asked"), None, "the slot is held");
    let now = holder.read(Some(&holder_knows)).expect("it is read").expect("a pool");
    assert_eq!(now.registry.slots[&slot].claim.as_ref().and_then(|claim| claim.claim_id), Some(id(1)));
}

/// What is acknowledged is on the disk, also where the server's own setting is not to wait for that.
#[test]
#[ignore = "needs PostgreSQL"]
fn what_is_acknowledged_outlives_a_crash() {
    let server = Postgres::own();
    let database = pool_of(2, server);
    database.sql("alter system set synchronous_commit = off");
    database.sql("alter system set wal_writer_delay = '10s'");
    server.restart(true);
    let slot = claim(&client(&database.url()), &mut None, "/w", id(1)).expect("a claim").expect("a slot");
    server.restart(false);
    let now = client(&database.url()).read(None).expect("it is read").expect("a pool");
    assert_eq!(now.registry.slots[&slot].claim.as_ref().and_then(|claim| claim.claim_id), Some(id(1)));
}

/// A change that saves twice lets others save in between, and keeps what they saved.
#[test]
#[ignore = "needs PostgreSQL"]
fn a_second_save_keeps_what_others_saved_in_between() {
    let database = pool();
    let (one, other) = (client(&database.url()), client(&database.url()));
    let begin = || Change::begin(&one.0, None, PATIENT).expect("a change").expect("a pool");
    let with = |registry: &Arc<Registry>, key: &str| {
        let mut registry = Registry::clone(registry);
        registry.unknown.insert(key.to_owned(), true.into());
        Arc::new(registry)
    };
    let mut change = begin();
    let before = Arc::clone(&change.loaded().registry);
    let announced = with(&before, "announced");
    change.save(&before, &announced, None).expect("the first save");
    let slot = claim(&other, &mut None, "/w", id(1)).expect("a claim").expect("a slot");
    let done = with(&announced, "done");
    change.save(&announced, &done, None).expect("the second save");
    let now = other.read(None).expect("it is read").expect("a pool").registry;
    assert!(["theirs", "announced", "done"].iter().all(|key| now.unknown.contains_key(*key)), "{now:?}");
    assert_eq!(now.slots[&slot].claim.as_ref().and_then(|claim| claim.claim_id), Some(id(1)));

    // What both change is not saved, and nothing of it.
    let mut change = begin();
    let before = Arc::clone(&change.loaded().registry);
    change.unlock().expect("the lock is let go of");
    release(&other, &mut None, slot, id(1)).expect("a release");
    let mut after = Registry::clone(&before);
    after.slots.remove(&slot);
    after.unknown.insert("more".to_owned(), true.into());
    let error = change.save(&before, &Arc::new(after), None).expect_err("it changed");
    assert!(format!("{error:#}").contains("another client changed slot 1 meanwhile"), "{error:#}");
    let now = other.read(None).expect("it is read").expect("a pool").registry;
    assert!(now.slots.contains_key(&slot) && !now.unknown.contains_key("more"));
}

/// A lock that another client holds is waited for no longer than it was said.
#[test]
#[ignore = "needs PostgreSQL"]
fn a_lock_that_is_not_obtained_in_time_is_told() {
    let database = pool();
    let (one, other) = (client(&database.url()), client(&database.url()));
    let held = Change::begin(&one.0, None, PATIENT).expect("a change").expect("a pool");
    let short = Locking { patience: Duration::from_millis(200), flag: Some("--lock-timeout"), ..PATIENT };
    let began = Instant::now();
    let error = Change::begin(&other.0, None, short).expect_err("it is held");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(exit_of(&error), Exit::Locked, "{error:#}");
    assert!(format!("{error:#}").contains("is locked by another client"), "{error:#}");
    drop(held);
    assert!(claim(&other, &mut None, "/w", id(1)).expect("a claim").is_some());
}

/// The lock of a stack keeps out the users of the host, each in a root of their own.
#[test]
#[ignore = "needs PostgreSQL"]
fn the_lock_of_a_stack_is_of_all_roots_of_the_host() {
    let database = pool();
    let (one, other) = (tempfile::tempdir().expect("a root"), tempfile::tempdir().expect("a root"));
    let ledger = |root: &TempDir, pool: &str| {
        let login = Login::of(Given::parse(&database.url()).expect("a url"), "postgres");
        Ledger::on_server(Utf8Path::from_path(root.path()).expect("text"), pool, login, "test", false)
    };
    let policy =
        LockPolicy { patience: Duration::ZERO, flag: None, command: "test", network: true, interrupt: None };
    let lock = |root: &TempDir, pool: &str, slot: u16, hold: Hold| {
        let root_dir = Root::make(Utf8Path::from_path(root.path()).expect("text")).expect("a root");
        ledger(root, pool).lock_stack(&root_dir, SlotId::new(slot).expect("a slot"), hold, &policy)
    };
    let is_taken = |taken: anyhow::Result<StackLock>| match taken {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(exit_of(&error), Exit::Locked, "{error:#}");
            false
        }
    };
    let alone = lock(&one, "small", 1, Hold::Alone).expect("the lock");
    let cases = [
        (&one, "small", 1, Hold::Alone, false),
        (&other, "small", 1, Hold::Alone, false),
        (&other, "small", 1, Hold::Together, false),
        (&other, "small", 2, Hold::Alone, true),
        (&other, "large", 1, Hold::Alone, true),
    ];
    for (root, pool, slot, hold, expected) in cases {
        assert_eq!(is_taken(lock(root, pool, slot, hold)), expected, "{pool} {slot} {hold:?}");
    }
    alone.share();
    assert!(
        !is_taken(lock(&other, "small", 1, Hold::Alone))
            && is_taken(lock(&other, "small", 1, Hold::Together))
    );
    drop(alone);
    // The server has yet to see that the connection is gone.
    let deadline = Instant::now() + Duration::from_mins(1);
    while !is_taken(lock(&other, "small", 1, Hold::Alone)) {
        assert!(Instant::now() < deadline, "the lock outlives its holder");
        thread::sleep(Duration::from_millis(20));
    }
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
        let database = pool_of(u16::try_from(clients).expect("a number"), Postgres::shared());
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
                        thread::yield_now();
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
