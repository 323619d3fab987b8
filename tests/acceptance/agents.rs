//! Eight agents on a pool of three slots with a database in each: they claim, start, write, read and release, and
//! a quarter of them is killed. No agent may ever read the row of another.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, thread};

use rustix::process::Signal;

use super::board::Board;
use crate::rig::engine::Engine;

use crate::support::{Run, Running};

/// How long the agents work, in seconds, if `KINFRA_AGENTS_SECONDS` does not say it.
const SECONDS: u64 = 60;
const AGENTS: usize = 8;
/// The exit code without a free slot.
const NO_SLOT: i32 = 3;

/// One round of an agent: the rows that it read, or `None` if it was killed or got no slot in time.
fn round(board: &Board, engine: &Engine, agent: &str, number: usize, is_killed: bool) -> Option<String> {
    let up = ["up", "--wait=120s", "--lease", "10m", "--settle", "1s", "db"];
    if is_killed {
        let mut command = board.machine.command("");
        command.args(up).current_dir(board.machine.path(&format!("~/{agent}")));
        let running = Running::piped(engine.reach(&mut command));
        thread::sleep(Duration::from_millis(200 * (number as u64 % 10)));
        running.signal(Signal::KILL);
        running.ends();
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

#[test]
#[ignore = "needs a Docker engine, and minutes"]
fn no_agent_reads_the_rows_of_another() {
    let projects = ["kinfra-agents-slot-1", "kinfra-agents-slot-2", "kinfra-agents-slot-3"];
    let engine = Engine::for_projects(&projects);
    let board = Board::applied("kinfra-agents", 27_100, &engine);
    let seconds = env::var("KINFRA_AGENTS_SECONDS").ok().and_then(|text| text.parse().ok());
    let length = Duration::from_secs(seconds.unwrap_or(SECONDS));
    let (began, rounds) = (Instant::now(), AtomicUsize::new(0));
    let agents: Vec<String> = (0..AGENTS).map(|agent| format!("agent-{agent}")).collect();
    for agent in &agents {
        let tree = board.machine.path(&format!("~/{agent}"));
        let add = format!("worktree add --quiet -b {agent} {}", tree.display());
        board.machine.git(board.machine.project(), &add);
    }
    thread::scope(|scope| {
        for (index, agent) in agents.iter().enumerate() {
            let (board, engine, rounds) = (&board, &engine, &rounds);
            scope.spawn(move || {
                for number in 0.. {
                    if began.elapsed() > length {
                        break;
                    }
                    let rows = round(board, engine, agent, number, (index + number) % 4 == 0);
                    for row in rows.iter().flat_map(|rows| rows.lines()) {
                        assert!(row.starts_with(&format!("{agent} ")), "{agent} read the row `{row}`");
                    }
                    rounds.fetch_add(usize::from(rows.is_some()), Ordering::Relaxed);
                }
            });
        }
    });
    // Every slot can be had, one after the other, and is clean for its holder.
    for (agent, slot) in agents.iter().zip(["1", "2", "3"]) {
        let claimed = board.kinfra(&engine, agent, &["claim"]).exits(0);
        assert!(claimed.stdout.contains("Claimed slot"), "slot {slot} is lost: {claimed:?}");
    }
    for agent in &agents[..3] {
        board.kinfra(&engine, agent, &["release", "--wipe"]).exits(0);
    }
    for project in projects {
        assert_eq!(engine.made_by(project), [""; 0], "{project}");
    }
    let rounds = rounds.into_inner();
    assert!(rounds >= 1, "no agent got through a round");
    println!("{rounds} rounds in {} s", began.elapsed().as_secs());
    let _ = Run::of(engine.reach(&mut board.machine.command("slots"))).exits(0);
}
