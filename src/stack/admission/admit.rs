//! Admitting a start: what must hold before Compose starts anything for a slot. Every verb that starts goes
//! through it.

use std::collections::BTreeSet;
use std::thread;

use anyhow::{Context as _, Result, anyhow};
use camino::Utf8PathBuf;

use super::clash::clashes;
use super::ownership;
use super::subnets;
use super::uses::{Asked, Uses};
use crate::claims::held::Held;
use crate::compose::model::Model;
use crate::compose::resource::Resource;
use crate::fault::Fault;
use crate::host;
use crate::host::context;
use crate::host::fs::real;
use crate::host::invocation::{self, Invocation};
use crate::host::lock::LockPolicy;
use crate::ledger::SharedUses;
use crate::proof::isolation::{Conflict, HostThing, Owner, Stack, prove, settlement};
use crate::registry::{Claim, Started};
use crate::slot::SlotId;
use crate::stack::compose_files::compose_args::ComposeArgs;
use crate::stack::compose_files::derive::Derived;
use crate::stack::compose_files::inputs::Inputs;
use crate::stack::compose_files::main_stack::{self, MainStack};
use crate::stack::compose_files::place::Place;
use crate::stack::compose_files::real_paths::real_paths;
use crate::stack::compose_files::resolve::{EVERY_PROFILE, parsed, resolve, resolve_text};
use crate::thing::{Kind, Thing};

impl Place<'_> {
    /// What a start would come to, and what there is on the engine. All is asked at once.
    ///
    /// # Errors
    /// [`Fault`] when Compose does not take the files, or Docker does not answer.
    pub fn sought(&self, derived: &Derived, args: &ComposeArgs) -> Result<Sought> {
        self.refuse_clashes()?;
        let engine = self.held.engine();
        let (resolved, there) = thread::scope(|scope| {
            let there = scope.spawn(|| ownership::on_engine(engine));
            (self.resolved(derived, args), there.join())
        });
        let (model, config, main) = resolved?;
        let there = there.map_err(|_| anyhow!("what is on the engine could not be looked at"))??;
        Ok(Sought { model, config, main, there })
    }

    /// Admits a start: checks whose the things under its name are, proves that it shares nothing that is not
    /// declared, notes it, and makes what is shared.
    ///
    /// # Errors
    /// [`Fault`] when the slot is not isolated, its name is another's, or Docker does not answer.
    pub fn admit(
        &self,
        sought: Sought,
        args: &ComposeArgs,
        policy: &LockPolicy<'_>,
        invocation: &Invocation,
    ) -> Result<Admitted> {
        let Sought { model, config, main, there } = sought;
        ownership::refuse_foreign(self.held, &there)?;
        ownership::refuse_earlier(self.held, &there)?;
        subnets::refuse_changed(self.held, &model, &there)?;
        let start = Start {
            model: &model,
            main: main.as_ref(),
            there: &there,
            profiles: args.keeps_profiles(),
            asked: Asked::by(args, &model),
        };
        let silent = self.prove_and_note(&start, policy, invocation)?;
        self.make_shared(&model, main.as_ref())?;
        let silent = silent.iter().map(|root| {
            format!(
                "the pool in `{root}` does not answer, so it was not proven that its stacks share nothing"
            )
        });
        let ports = main.iter().flat_map(|main| main.other_ports(&self.declared.spec));
        let notes = ports.chain(silent).collect();
        Ok(Admitted { notes, had_containers: start.has_containers(&self.name), model, config })
    }

    /// Proves anew a stack that runs, and whose files did not change: whose the things under its name are,
    /// and that no stack that was started since shares what it does. `there` is what is on the engine.
    ///
    /// # Errors
    /// [`Fault`] as for a start.
    pub(in crate::stack) fn prove_again(&self, there: &[Thing], invocation: &Invocation) -> Result<()> {
        ownership::refuse_foreign(self.held, there)?;
        let Some(uses) = Uses::read(&self.held.dir())? else { return Ok(()) };
        let start = Start { model: &uses.model, main: None, there, profiles: None, asked: Asked::All };
        let (conflicts, _) = self.conflicts(&start, self.held.pool().ledger().uses()?, invocation)?;
        if conflicts.is_empty() {
            return Ok(());
        }
        Err(not_isolated(self.held.slot, &conflicts, self.shared()).into())
    }

    /// Refuses variables of kinfra that the project's files use, too.
    fn refuse_clashes(&self) -> Result<()> {
        if !self.runs_own_files() {
            return Ok(());
        }
        let inputs = Inputs::of(&self.project, &self.without, &invocation::environment())?;
        let clashes = clashes(&self.declared.spec, &inputs);
        if clashes.is_empty() {
            return Ok(());
        }
        let named = clashes.join("`, `");
        let what = format!("the project's files use `{named}`, which kinfra sets to values of the slot");
        let advice = "choose another `env_prefix` in [pool] of slots.toml, or rename the project's variables";
        Err(Fault::refused(what).advise(advice).into())
    }

    /// The stack as it would run, and the main stack. Compose resolves both at once.
    fn resolved(&self, derived: &Derived, args: &ComposeArgs) -> Result<(Model, String, Option<MainStack>)> {
        let (main, what) = (self.main_project(), format!("the files of slot {}", self.held.slot));
        let every_profile = [EVERY_PROFILE.to_owned()];
        let main_call = main.as_ref().map(|main| main_stack::call(main, &every_profile, &self.without));
        let call = self.call(Some(&self.name), &derived.files, &args.profiles);
        let (config, main_model) = thread::scope(|scope| {
            let main = scope.spawn(|| main_call.map(|call| resolve(&call, "the main stack")).transpose());
            let config = resolve_text(&call, &what);
            (config, main.join().unwrap_or_else(|_| Err(anyhow!("the main stack could not be looked at"))))
        });
        let not_proven = || {
            let what = "the slot cannot be proven against the main stack";
            Fault::refused(what).advise("mend the files of the main worktree, or set what they need")
        };
        let main_model = main_model.map_err(|error| error.context(not_proven()))?;
        let config = config?;
        let mut model = parsed(&config, &what)?;
        if args.operands().any(|word| !word.starts_with('-') && !model.services.contains_key(word)) {
            let call = self.call(Some(&self.name), &derived.files, &every_profile);
            model = with_named(model, resolve(&call, &what)?, args);
        }
        let main = main.zip(main_model);
        Ok((model, config, main.map(|(main, model)| MainStack { worktree: main.worktree, model })))
    }

    /// What the stack shares with the main stack and with every stack that was started. A pool of templates
    /// sets its slots apart itself: of those, the addresses that kinfra gives are proven.
    /// Also the roots of the pools that did not answer. `shared` is what users of the host have noted.
    fn conflicts(
        &self,
        start: &Start<'_>,
        shared: Option<SharedUses>,
        invocation: &Invocation,
    ) -> Result<(Vec<Conflict>, Vec<Utf8PathBuf>)> {
        let is_of_templates = !self.runs_own_files();
        if is_of_templates && self.held.stack().subnet.is_none() {
            return Ok((Vec::new(), Vec::new()));
        }
        let own = (Owner::Slot(self.held.slot), real_paths(start.model), real(&self.worktree));
        let main = start.main.map(|main| (Owner::Main, real_paths(&main.model), real(&main.worktree)));
        let (others, silent) = self.started_stacks(shared, invocation)?;
        let others = others.into_iter();
        // A stack that ended counts only while there is something of it.
        let others = others.filter(|other| !other.has_ended || start.has_containers(&other.project));
        let others = others.map(|other| (other.owner, other.model, other.worktree));
        let all: Vec<(Owner, Model, Utf8PathBuf)> = [own].into_iter().chain(main).chain(others).collect();
        let stacks: Vec<Stack<'_>> = all
            .iter()
            .map(|(owner, model, worktree)| Stack { owner: owner.clone(), model, worktree })
            .collect();
        let own = Owner::Slot(self.held.slot);
        let conflicts = prove(&stacks, self.shared())
            .conflicts
            .into_iter()
            .filter(|conflict| conflict.involves(&own))
            .filter(|conflict| !is_of_templates || matches!(conflict.thing, HostThing::Subnet { .. }))
            .collect();
        Ok((conflicts, silent))
    }

    /// What slots may use together.
    fn shared(&self) -> &BTreeSet<Resource> {
        static NONE: BTreeSet<Resource> = BTreeSet::new();
        self.declared.spec.compose.as_ref().map_or(&NONE, |compose| &compose.shared)
    }

    /// Proves the start and notes it, before Compose makes anything. Under the lock, so that of two starts at
    /// once one sees the other. Gives the roots of the pools that did not answer.
    fn prove_and_note(
        &self,
        start: &Start<'_>,
        policy: &LockPolicy<'_>,
        invocation: &Invocation,
    ) -> Result<Vec<Utf8PathBuf>> {
        let held = self.held;
        let (at, slot, dir) = (host::clock::now().to_string(), held.slot, held.dir());
        held.pool().ledger().transact(held.seen(), policy, |transaction| {
            let shared = transaction.uses()?;
            let entry = transaction.registry_mut().slot_mut(slot);
            let entry = entry.filter(|entry| is_same_claim(entry.claim.as_ref(), held.entry.claim.as_ref()));
            let entry = entry.ok_or_else(|| {
                Fault::no_slot(format!("the claim of slot {slot} ended meanwhile"))
                    .advise("`kinfra claim` takes a slot again")
            })?;
            let (conflicts, silent) = self.conflicts(start, shared, invocation)?;
            if !conflicts.is_empty() {
                return Err(not_isolated(slot, &conflicts, self.shared()).into());
            }
            // A stack that may be there stays with its engine.
            let (engine, kept) =
                entry.started.take().map_or((None, Vec::new()), |started| (started.engine, started.profiles));
            let engine = engine.unwrap_or_else(context::current);
            // What an earlier start made may still run.
            let before = Uses::read(&dir)?.filter(|_| start.has_containers(&self.name));
            let (mut model, mut asked) = (real_paths(start.model), start.asked.clone());
            if let Some(before) = before {
                (model, asked) = (model.and(before.model), before.asked.and(asked));
            }
            let uses = Uses::new(at.clone(), &self.name, &real(&self.worktree), model, asked);
            uses.keep(&dir).with_context(|| format!("could not note what slot {slot} uses"))?;
            entry.started = Some(Started {
                at,
                project: self.name.clone(),
                engine: Some(engine),
                profiles: start.profiles.map_or(kept, <[String]>::to_vec),
                left: None,
            });
            transaction.keep_uses(slot, &serde_json::to_value(&uses)?);
            Ok(silent)
        })
    }
}

/// Notes that `down` is asked for: from now on the stack of a slot counts only while it has containers.
///
/// # Errors
/// When it cannot be written.
pub fn note_end(held: &Held) -> Result<()> {
    Uses::note_end(&held.dir())?;
    held.pool().ledger().end_uses(held.slot)
}

/// What a start would come to, before it is admitted.
pub struct Sought {
    model: Model,
    /// The same as Compose prints it.
    config: String,
    main: Option<MainStack>,
    /// What is on the engine.
    there: Vec<Thing>,
}

/// A start that was admitted.
pub struct Admitted {
    /// What is to be said.
    pub notes: Vec<String>,
    /// Whether something of an earlier start was there.
    pub had_containers: bool,
    /// What its files come to.
    pub model: Model,
    /// The same as Compose prints it, with all that kinfra does not read.
    pub config: String,
}

/// A start that is to be proven.
struct Start<'a> {
    /// What would run.
    model: &'a Model,
    main: Option<&'a MainStack>,
    /// What is on the engine.
    there: &'a [Thing],
    /// The profiles of Compose that are kept with the slot. `None` are those that were kept before.
    profiles: Option<&'a [String]>,
    /// The services that it asks for.
    asked: Asked,
}

impl Start<'_> {
    fn has_containers(&self, project: &str) -> bool {
        self.there.iter().any(|thing| thing.kind == Kind::Container && thing.is_under(project))
    }
}

/// The model with the services that the arguments name, and those of their profiles: Compose starts a service
/// that is named, whatever its profile.
fn with_named(model: Model, all: Model, args: &ComposeArgs) -> Model {
    let named: BTreeSet<&str> = args.operands().collect();
    let is_named = |name: &String| named.contains(name.as_str()) && !model.services.contains_key(name);
    let services = all.services.iter().filter(|(name, _)| is_named(name));
    let profiles: BTreeSet<String> = services.flat_map(|(_, service)| service.profiles.clone()).collect();
    if profiles.is_empty() {
        return model;
    }
    let mut all = all;
    all.services.retain(|name, service| {
        named.contains(name.as_str()) || service.profiles.iter().any(|profile| profiles.contains(profile))
    });
    model.and(all)
}

/// Whether it is one claim. Its lease may have been renewed meanwhile.
fn is_same_claim(one: Option<&Claim>, other: Option<&Claim>) -> bool {
    let identity = |claim: &Claim| (claim.claim_id, claim.claimed_by.clone(), claim.claimed_at.clone());
    one.map(identity) == other.map(identity)
}

/// The error for a stack that shares something, with the lines that settle it.
fn not_isolated(slot: SlotId, conflicts: &[Conflict], shared: &BTreeSet<Resource>) -> Fault {
    let shown: Vec<String> = conflicts.iter().map(|conflict| format!("\n  - {conflict}")).collect();
    let (shown, lines) = (shown.concat(), settlement(conflicts, shared).replace('\n', "\n      "));
    Fault::refused(format!("slot {slot} does not start: it would share what is not declared{shown}\n    {lines}"))
        .advise("add the lines of one choice to slots.toml, and run the command again. What another slot used counts until `kinfra down` there")
}
