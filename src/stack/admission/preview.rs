//! What the stacks of a pool would share, before any slot is claimed. Asks Compose, and writes nothing in the
//! pool.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::clash::clashes;
use crate::address_block::AddressBlock;
use crate::compose::model::Model;
use crate::compose::overlay::{Slot, overlay};
use crate::compose::project::Project;
use crate::desired::{self, Pool};
use crate::file::FileMode;
use crate::host::compose::ComposeCall;
use crate::host::fs::{Scratch, real};
use crate::host::git::top_of;
use crate::host::invocation::{self, Invocation};
use crate::names::{ENV_FILE, OVERLAY};
use crate::proof::isolation::{Isolation, Owner, Stack, prove};
use crate::registry::Provisioned;
use crate::stack::compose_files::inputs::Inputs;
use crate::stack::compose_files::look::Remarks;
use crate::stack::compose_files::main_stack::{self, MainStack};
use crate::stack::compose_files::real_paths::{moved, real_paths};
use crate::stack::compose_files::resolve::{EVERY_PROFILE, resolve};
use crate::which::spec_file::Declared;

/// How many slots are looked at: what two share, all do.
const LOOKED_AT: usize = 2;

/// What a look at a pool's stacks found.
#[derive(Debug)]
pub struct Preview {
    /// The project's files.
    pub files: Vec<Utf8PathBuf>,
    /// What stacks would share, and what they use of the machine.
    pub isolation: Isolation,
    /// What the overlay leaves out or cannot move.
    pub remarks: Remarks,
    /// Where the main stack is not where slots.toml has slot 0, in sentences.
    pub other_ports: Vec<String>,
    /// Variables of kinfra that the project uses, too.
    pub clashes: Vec<String>,
}

/// Looks at the main stack and the first slots of a pool whose slots run their worktree's own files. `None`
/// for any other pool.
///
/// # Errors
/// When there are no files, or Compose does not take them.
pub fn preview(declared: &Declared, pool: &Pool, invocation: &Invocation) -> Result<Option<Preview>> {
    let Some(compose) = &declared.spec.compose else { return Ok(None) };
    let here = declared.path.as_deref().and_then(Utf8Path::parent).unwrap_or(&invocation.here);
    let top = top_of(here)?.unwrap_or(here).to_owned();
    let project = Project::find(&declared.project_in(&top)?, compose)?;
    let (none, profiles) = (BTreeSet::new(), [EVERY_PROFILE.to_owned()]);
    let name = main_stack::name(&project)?;
    let call = ComposeCall { project: name.as_deref(), ..main_stack::call(&project, &profiles, &none) };
    let main = MainStack { model: resolve(&call, "the project's files")?, worktree: top.clone() };

    let here = real(&top);
    let (mut stacks, mut remarks) =
        (vec![(Owner::Main, real_paths(&main.model), here.clone())], Remarks::default());
    for slot in looked_at(declared, pool, &main.model) {
        let looked = Looked { declared, pool, slot, project: &project, worktree: &top };
        let (model, said) = look(&looked, &main, invocation)?;
        // The worktree that will hold the slot is another one.
        let elsewhere = slot.dir.join("worktree");
        stacks.push((Owner::Slot(slot.id), moved(&real_paths(&model), &here, &elsewhere), elsewhere));
        remarks = said;
    }
    let stacks: Vec<Stack<'_>> = stacks
        .iter()
        .map(|(owner, model, worktree)| Stack { owner: owner.clone(), model, worktree })
        .collect();
    let inputs = Inputs::of(&project, &none, &invocation::environment())?;
    Ok(Some(Preview {
        isolation: prove(&stacks, &compose.shared),
        remarks,
        other_ports: main.other_ports(&declared.spec),
        clashes: clashes(&declared.spec, &inputs),
        files: project.files,
    }))
}

/// The slots that are looked at: the first ones, and one more if only its block of addresses meets a subnet
/// that the main stack fixes.
fn looked_at<'a>(
    declared: &'a Declared,
    pool: &'a Pool,
    main: &'a Model,
) -> impl Iterator<Item = &'a desired::Slot> {
    let fixed = main.networks.values().flat_map(|network| &network.ipam.config);
    let fixed: Vec<AddressBlock> =
        fixed.filter_map(|config| AddressBlock::around(config.subnet.as_deref()?)).collect();
    let meets = move |slot: &&desired::Slot| {
        let subnet = declared.spec.stack.subnet.as_ref().filter(|_| !fixed.is_empty());
        let block = subnet.and_then(|subnet| subnet.block(slot.id).ok());
        block.is_some_and(|block| fixed.iter().any(|fixed| fixed.overlaps(block)))
    };
    let mut slots = pool.slots.values();
    let first: Vec<&desired::Slot> = slots.by_ref().take(LOOKED_AT).collect();
    first.into_iter().chain(slots.filter(meets).take(1))
}

/// A slot that is looked at.
struct Looked<'a> {
    declared: &'a Declared,
    pool: &'a Pool,
    slot: &'a desired::Slot,
    project: &'a Project,
    worktree: &'a Utf8Path,
}

/// What the files come to for a slot, and what is to be said of its overlay.
fn look(looked: &Looked<'_>, main: &MainStack, invocation: &Invocation) -> Result<(Model, Remarks)> {
    let Looked { declared, pool, slot, project, worktree } = looked;
    let provisioned: Provisioned = slot.provisioned();
    let environment = declared.environments(&pool.root, (slot.id, &provisioned), worktree, invocation)?;
    let ports: BTreeMap<_, _> = slot.ports.iter().cloned().collect();
    let subnet = declared.spec.stack.subnet.as_ref().map(|subnet| subnet.block(slot.id)).transpose()?;
    let overlay = overlay(
        &real_paths(&main.model),
        &Slot {
            pool: &pool.name,
            id: slot.id,
            tag: "slot",
            registry: "",
            root: &pool.root,
            worktree,
            ports: &ports,
            spec: &declared.spec,
            workers: &slot.profile.workers,
            environment: &environment,
            subnet,
        },
    )?;
    let scratch = Scratch::new()?;
    let write = |name: &str, text: &str| {
        let written = scratch.dir().write_new(name, text.as_bytes(), FileMode::PRIVATE);
        written.map(|_| scratch.dir().path().join(name)).with_context(|| format!("could not write `{name}`"))
    };
    let mut files = project.files.clone();
    files.push(write(OVERLAY, &overlay.text)?);
    let mut env_files = project.env_files.clone();
    if let Some((_, file)) = slot.files.iter().find(|(path, _)| path.as_str() == ENV_FILE) {
        env_files.push(write(ENV_FILE, &file.text)?);
    }
    let (name, none, profiles) = (pool.project(slot.id), BTreeSet::new(), [EVERY_PROFILE.to_owned()]);
    let call = ComposeCall {
        project: Some(&name),
        files: &files,
        directory: &project.directory,
        env_files: &env_files,
        profiles: &profiles,
        without: &none,
        engine: None,
    };
    Ok((resolve(&call, &format!("the files of slot {}", slot.id))?, Remarks::of(&overlay)))
}
