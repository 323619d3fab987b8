//! The gate: what must hold before Compose starts anything for a slot. Every verb that starts goes through
//! it.

use std::collections::BTreeSet;
use std::thread;

use anyhow::{Context as _, Result, anyhow};
use camino::Utf8PathBuf;

use super::clash::clashes;
use super::derive::Derived;
use super::inputs::Inputs;
use super::main_stack::{self, MainStack};
use super::ownership;
use super::place::Place;
use super::real_paths::real_paths;
use super::resolve::{EVERY_PROFILE, resolve};
use super::uses::Uses;
use crate::compose::model::Model;
use crate::fault::Fault;
use crate::host;
use crate::host::fs::real;
use crate::host::invocation::{self, Invocation};
use crate::host::lock::LockPolicy;
use crate::proof::isolation::{Conflict, Owner, Stack, prove};
use crate::registry::{Claim, Started};

impl Place<'_> {
    /// Admits a start: proves that the stack shares nothing that is not declared, checks whose the things
    /// under its name are, makes what is shared, and notes the start. Returns what is to be said.
    ///
    /// # Errors
    /// [`Fault`] when the slot is not isolated, its name is another's, or Docker does not answer.
    pub fn admit(
        &self,
        derived: &Derived,
        profiles: &[String],
        policy: &LockPolicy<'_>,
        invocation: &Invocation,
    ) -> Result<Vec<String>> {
        let slot = self.held.slot;
        self.refuse_clashes()?;
        let (model, main) = self.resolved(derived, profiles)?;
        let mut remarks = Vec::new();
        let main = main.unwrap_or_else(|error| {
            remarks.push(format!("slot {slot} is not proven against the main stack: {error:#}"));
            None
        });
        remarks.extend(main.iter().flat_map(|main| main.other_ports(&self.declared.spec)));
        self.check_ownership(policy)?;
        self.prove_and_note(&model, main.as_ref(), policy, invocation)?;
        self.make_shared(&model)?;
        Ok(remarks)
    }

    /// Checks whose the things under the stack's name are. What changes or enters them must not touch
    /// another's.
    ///
    /// # Errors
    /// [`Fault`] names what is another's; also when Docker does not answer.
    pub fn check_ownership(&self, policy: &LockPolicy<'_>) -> Result<()> {
        let id = self.held.pool().ledger().id(self.held.seen(), policy)?;
        ownership::check(self.held.slot, &self.held.entry, &self.name, id)
    }

    /// Refuses variables of kinfra that the project's files use, too.
    fn refuse_clashes(&self) -> Result<()> {
        let inputs = Inputs::of(&self.project, &self.without, &invocation::environment())?;
        let spec = &self.declared.spec;
        let clashes = inputs.filter(|_| self.runs_own_files()).map(|inputs| clashes(spec, &inputs));
        let Some(clashes) = clashes.filter(|clashes| !clashes.is_empty()) else { return Ok(()) };
        let named = clashes.join("`, `");
        let what = format!("the project's files use `{named}`, which kinfra sets to values of the slot");
        let advice = "choose another `env_prefix` in [pool] of slots.toml, or rename the project's variables";
        Err(Fault::refused(what).advise(advice).into())
    }

    /// The stack as it would run, and the main stack. Compose resolves both at once.
    fn resolved(&self, derived: &Derived, profiles: &[String]) -> Result<(Model, Result<Option<MainStack>>)> {
        let main = self.main_project();
        let every_profile = [EVERY_PROFILE.to_owned()];
        let main_call = main.as_ref().map(|main| main_stack::call(main, &every_profile, &self.without));
        let call = self.call(Some(&self.name), &derived.files, profiles);
        let (model, main_model) = thread::scope(|scope| {
            let main = scope.spawn(|| main_call.map(|call| resolve(&call, "the main stack")).transpose());
            let model = resolve(&call, &format!("the files of slot {}", self.held.slot));
            (model, main.join().unwrap_or_else(|_| Err(anyhow!("it could not be looked at"))))
        });
        let main_stack = main_model.map(|model| Some(MainStack { worktree: main?.worktree, model: model? }));
        Ok((model?, main_stack))
    }

    /// What the stack shares with the main stack and with every stack that was started.
    fn conflicts(&self, model: &Model, main: Option<&MainStack>, invocation: &Invocation) -> Vec<Conflict> {
        let own = (Owner::Slot(self.held.slot), real_paths(model), real(&self.worktree));
        let main = main.map(|main| (Owner::Main, real_paths(&main.model), real(&main.worktree)));
        let others = self.started_stacks(invocation).into_iter();
        let others = others.map(|other| (other.owner, other.model, other.worktree));
        let all: Vec<(Owner, Model, Utf8PathBuf)> = [own].into_iter().chain(main).chain(others).collect();
        let stacks: Vec<Stack<'_>> = all
            .iter()
            .map(|(owner, model, worktree)| Stack { owner: owner.clone(), model, worktree })
            .collect();
        let none = BTreeSet::new();
        let shared = self.declared.spec.compose.as_ref().map_or(&none, |compose| &compose.shared);
        let own = Owner::Slot(self.held.slot);
        prove(&stacks, shared).conflicts.into_iter().filter(|conflict| conflict.involves(&own)).collect()
    }

    /// Proves the start and notes it, before Compose makes anything. Under the lock, so that of two starts at
    /// once one sees the other.
    fn prove_and_note(
        &self,
        model: &Model,
        main: Option<&MainStack>,
        policy: &LockPolicy<'_>,
        invocation: &Invocation,
    ) -> Result<()> {
        let held = &self.held;
        let (at, slot) = (host::clock::now().to_string(), held.slot);
        let uses = Uses::new(at.clone(), &real(&self.worktree), real_paths(model));
        held.pool().ledger().transact(held.seen(), policy, |transaction| {
            let entry = transaction.registry_mut().slot_mut(slot);
            let entry = entry.filter(|entry| is_same_claim(entry.claim.as_ref(), held.entry.claim.as_ref()));
            let entry = entry.ok_or_else(|| {
                Fault::no_slot(format!("the claim of slot {slot} ended meanwhile"))
                    .advise("`kinfra claim` takes a slot again")
            })?;
            let conflicts = self.conflicts(model, main, invocation);
            if self.runs_own_files() && !conflicts.is_empty() {
                return Err(not_isolated(&format!("slot {slot} does not start"), &conflicts).into());
            }
            uses.keep(&held.dir()).with_context(|| format!("could not note what slot {slot} uses"))?;
            entry.started = Some(Started { at, project: self.name.clone() });
            Ok(())
        })
    }
}

/// Whether it is one claim. Its lease may have been renewed meanwhile.
fn is_same_claim(one: Option<&Claim>, other: Option<&Claim>) -> bool {
    let identity = |claim: &Claim| (claim.claim_id, claim.claimed_by.clone(), claim.claimed_at.clone());
    one.map(identity) == other.map(identity)
}

/// The error for a stack that shares something, with the lines that settle each conflict.
pub fn not_isolated(what: &str, conflicts: &[Conflict]) -> Fault {
    let shown: Vec<String> = conflicts
        .iter()
        .map(|conflict| {
            let remedy = conflict.remedy().to_string();
            let lines: Vec<String> = remedy.lines().map(|line| format!("      {line}")).collect();
            format!("\n  - {conflict}\n{}", lines.join("\n"))
        })
        .collect();
    Fault::refused(format!("{what}: it would share what is not declared{}", shown.concat()))
        .advise("add one of the lines to slots.toml, and run the command again")
}
