//! Eight agents on a pool of four slots with a database in each: they claim, start, write, read and release, and
//! a quarter of them is killed. No agent may ever read the row of another, and the queue is served in order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, thread};

use rustix::process::Signal;

use super::board::Board;
use crate::rig::engine::Engine;
use crate::rig::order::Order;
use crate::rig::{figure, meanwhile};
use crate::support::{Run, Running};

/// How long the agents work, in seconds, if `KINFRA_AGENTS_SECONDS` does not say it.
const SECONDS: u64 = 60;
const AGENTS: usize = 8;
const SLOTS: [u16; 4] = [1, 2, 3, 4];
/// How often the queue is looked at. Nothing takes so little time in which two requests are served.
const LOOKS: Duration = Duration::from_millis(5);
/// The exit code without a free slot.
const NO_SLOT: i32 = 3;

/// What the agents work on.
struct Ground {
    board: Board,
    engine: Engine,
    order: Order,
}

/// One round of an agent: the rows that it read, or `None` if it was killed or got no slot in time.
fn round(ground: &Ground, agent: &str, number: usize, is_killed: bool) -> Option<String> {
    let Ground { board, engine, order } = ground;
    let up = ["up", "--wait=120s", "--lease", "10m", "--settle", "1s", "db"];
    if is_killed {
        let mut command = board.machine.command("");
        let tree = board.machine.path(&format!("~/{agent}"));
        command.args(up).current_dir(&tree);
        let running = Running::piped(engine.reach(&mut command));
        thread::sleep(Duration::from_millis(200 * (number as u64 % 10)));
        order.kills(&tree.display().to_string(), || {
            running.signal(Signal::KILL);
            running.ends()
        });
        board.kinfra(engine, agent, &["release"]);
        return None;
    }
    let up = board.kinfra(engine, agent, &up);
    if up.code == Some(NO_SLOT) {
        return None;
    }
    assert_eq!(up.code, Some(0), "{agent}: {up:?}");
    let row = format!("{agent} {number}");
    let table = "CREATE TABLE IF NOT EXISTS seen (by text)";
    board.sql(engine, agent, &format!("{table}; INSERT INTO seen VALUES ('{row}')"));
    let rows = board.sql(engine, agent, "SELECT by FROM seen");
    let release: &[&str] = if number.is_multiple_of(2) { &["release"] } else { &["release", "--wipe"] };
    let released = board.kinfra(engine, agent, release);
    assert_eq!(released.code, Some(0), "{agent}: {released:?}");
    Some(rows)
}

/// The example with a slot more.
fn ground() -> Ground {
    let engine = Engine::for_projects(&SLOTS.map(project).each_ref().map(String::as_str));
    let board = Board::new("kinfra-agents", 27_100);
    board.machine.edit_spec("\"3\"", "\"3-4\"");
    Run::of(engine.reach(&mut board.machine.command("apply"))).exits(0);
    let order = Order::of(board.machine.path("~/.board/slots"));
    Ground { board, engine, order }
}

fn project(slot: u16) -> String {
    format!("kinfra-agents-slot-{slot}")
}

#[test]
#[ignore = "needs docker"]
fn no_agent_reads_the_rows_of_another() {
    let ground = ground();
    let Ground { board, engine, order } = &ground;
    let seconds = env::var("KINFRA_AGENTS_SECONDS").ok().and_then(|text| text.parse().ok());
    let length = Duration::from_secs(seconds.unwrap_or(SECONDS));
    let (began, rounds, killed) = (Instant::now(), AtomicUsize::new(0), AtomicUsize::new(0));
    let agents: Vec<String> = (0..AGENTS).map(|agent| format!("agent-{agent}")).collect();
    for agent in &agents {
        board.machine.worktree(agent);
    }
    let work = |index: usize, agent: &str| {
        for number in 0.. {
            if began.elapsed() > length {
                break;
            }
            let is_killed = (index + number).is_multiple_of(4);
            let rows = round(&ground, agent, number, is_killed);
            for row in rows.iter().flat_map(|rows| rows.lines()) {
                assert!(row.starts_with(&format!("{agent} ")), "{agent} read the row `{row}`");
            }
            rounds.fetch_add(usize::from(rows.is_some()), Ordering::Relaxed);
            killed.fetch_add(usize::from(is_killed), Ordering::Relaxed);
        }
    };
    let look = || {
        order.look();
        thread::sleep(LOOKS);
    };
    meanwhile(&[&look], || {
        thread::scope(|scope| {
            for (index, agent) in agents.iter().enumerate() {
                let work = &work;
                scope.spawn(move || work(index, agent));
            }
        });
    });
    // Every slot can be had, one after the other, and is clean for its holder.
    for (agent, slot) in agents.iter().zip(SLOTS) {
        let claimed = board.kinfra(engine, agent, &["claim"]).exits(0);
        assert!(claimed.stdout.contains("Claimed slot"), "slot {slot} is lost: {claimed:?}");
    }
    for agent in &agents[..SLOTS.len()] {
        board.kinfra(engine, agent, &["release", "--wipe"]).exits(0);
    }
    for project in SLOTS.map(project) {
        assert_eq!(engine.made_by(&project), [""; 0], "{project}");
    }
    let (rounds, killed) = (rounds.into_inner(), killed.into_inner());
    let (served, wrong) = ground.order.judged();
    let time = began.elapsed().as_secs();
    figure(&format!("agents: {rounds} rounds, {killed} killed, {served} served in order, in {time} s"));
    assert_eq!(wrong, Vec::<String>::new(), "the queue is not served in order");
    assert!(rounds >= 1 && served >= 1, "no agent got through a round, or none had to wait");
}
