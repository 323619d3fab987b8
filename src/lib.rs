//! kinfra provisions a declared pool of sandbox slots on a developer's machine, and lends them to worktrees.
//!
//! # Two pipelines
//!
//! ```text
//! slots.toml ── spec ─► desired ─┐                                   which ─► ledger ─► claims
//! registry ─ ledger ─► observe ──┴─► diff ─► plan ─► apply ─► host   (which pool)      (who holds what)
//!
//! commands (a verb: arguments → one operation → report → exit code)
//! ```
//!
//! The pool: [`spec`] reads `slots.toml`, [`proof`] proves that its ports do not collide, and [`desired`]
//! renders its templates. [`observe`] looks at the machine. [`diff`] compares the two, [`plan`] decides what
//! to do, and [`apply`] does it. [`provision`] runs these stages for the verbs, and [`saved`] is a plan in a
//! file.
//!
//! Claims: [`which`] finds the pool, [`ledger`] reads and changes its registry, and [`claims`] decides who
//! holds which slot.
//!
//! In front of both: [`cli`] is the command line, [`commands`] has a file for each verb, and [`report`]
//! writes what they print. [`health`] checks a machine and a pool, and [`init`] writes a project's first
//! `slots.toml`. Below both: [`host`] is the machine, [`registry`] is the format of what kinfra owns, and the
//! other modules are the nouns and the formats, one a file.
//!
//! `docs/architecture.md` goes through the files of each module.
//!
//! # Rules of the house
//!
//! `tests/house.rs` and clippy hold what can be checked.
//!
//! 1. I/O lives in [`host`].
//! 2. Planning, leases, queue order and the port proof are pure: the same inputs give the same bytes.
//! 3. An operation returns data. Only [`commands`] and `main.rs` print, ask or install a signal handler, and
//!    only they and [`cli`] know clap. Below them, a progress callback and an interrupt flag are handed in.
//! 4. A verb imports no verb. `--dry-run` is an early return in [`commands`].
//! 5. Every change of the registry is one transaction of the [`ledger`]. Under the lock: read, decide, write.
//!    Rendering, git, other holders' directories, Docker and printing come before or after. Only the doctor's
//!    repair goes past the ledger, which cannot read a broken registry.
//! 6. Verbs that read never write. Plain `plan`, `ports` and `claim` start no process, but that a claim asks
//!    Docker whose container has a free slot's port. `slots` and `status` ask Docker once, for at most two
//!    seconds.
//! 7. [`plan::Action`] is a closed enum. No trait has a single implementation. There are no mocks, no
//!    `utils`, and no `dyn` where an enum serves. A domain value is a type, not a string that is split again
//!    later.
//! 8. Raw types are what was written; valid types come after. Equality, merging and rendering destructure
//!    every field, so that a new field does not compile until each place has decided.
//! 9. Creation never overwrites. The save of the registry is the commit point. kinfra deletes only what the
//!    registry or a label says is its own.
//! 10. The slot's id is its identity. A branch, a path or a position is not.
//! 11. A message says what happened, to which slot or file, and what to do next. All mistakes appear at once.
//!     Advice is a field of the error, [`fault::Fault::advice`], not part of its sentence.
//! 12. kinfra runs on Linux and macOS. What only Linux has is one function in [`host`], with the portable way
//!     beside it.
//!
//! # Words
//!
//! - *pool*: the slots that one `slots.toml` declares. *root*: its directory.
//! - *slot*: a numbered place in a pool, with its own directory, ports and files. *profile*: its size class.
//! - *spec*: a `slots.toml`, read and checked. *desired*: what it says that the pool should be.
//! - *registry*: what kinfra owns, and which worktree holds what. *ledger*: the way to read and change it.
//! - *observed*: what was found on the disk. *diff*: how it differs from desired.
//! - *plan*: the actions that follow, and what is *blocked*. *apply*: to carry them out.
//! - *claim*: a worktree's right to a slot. *holder*: that worktree. *lease*: when the claim expires.
//! - *queue*: the *waiters* for a slot, in order. *release*: to end a claim. *reap*: to end those that no
//!   longer count.
//!
//! `docs/glossary.md` has the others.
//!
//! # Where to add a verb
//!
//! 1. Its arguments in [`cli`], and its name in [`cli::Verb`].
//! 2. The operation in [`claims`], [`provision`] or [`health`]: it takes plain values and returns data.
//! 3. What it prints in [`report`].
//! 4. The verb, a file in [`commands`] that [`commands::run`] calls, of at most 60 lines.
//! 5. Its tests in `tests/verbs`, and a line in the verb table of the README.

pub mod address_block;
pub mod agent;
pub mod apply;
pub mod checkout;
pub mod claims;
pub mod cli;
pub mod commands;
pub mod completions;
pub mod compose;
pub mod demo;
pub mod desired;
pub mod diff;
pub mod digest;
pub mod dotenv;
pub mod embedded;
pub mod ended;
pub mod fault;
pub mod file;
pub mod guarded_variables;
pub mod health;
pub mod history;
pub mod hooks;
pub mod host;
pub mod identifier;
pub mod init;
pub mod json;
pub mod ledger;
pub mod memory;
pub mod names;
pub mod observe;
pub mod plan;
pub mod port;
pub mod proof;
pub mod provision;
pub mod raw_text;
pub mod registry;
pub mod report;
pub mod saved;
pub mod shown;
pub mod slot;
pub mod spec;
pub mod stack;
pub mod template;
mod template_shape;
mod template_values;
pub mod thing;
pub mod time;
pub mod which;
