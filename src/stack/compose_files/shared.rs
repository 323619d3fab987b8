//! The volumes and networks that slots share: made if they are missing, and never removed.

use anyhow::Result;

use super::main_stack::MainStack;
use super::place::Place;
use crate::compose::model::Model;
use crate::compose::resource::Resource;
use crate::fault::Fault;
use crate::host::docker::Answer;
use crate::host::engine::{exists, make_shared};
use crate::thing::Kind;

impl Place<'_> {
    /// Makes what the stack shares with others, so that Compose finds it.
    ///
    /// # Errors
    /// [`Fault`] when Docker does not make it.
    pub(in crate::stack) fn make_shared(&self, model: &Model, main: Option<&MainStack>) -> Result<()> {
        let shared = self.declared.spec.compose.iter().flat_map(|compose| &compose.shared);
        for resource in shared {
            let (kind, name) = match resource {
                Resource::Volume(name) if uses_volume(model, name) => (Kind::Volume, name),
                Resource::Network(name) if uses_network(model, name) => (Kind::Network, name),
                Resource::Volume(_)
                | Resource::Network(_)
                | Resource::Mount(_)
                | Resource::Device(_)
                | Resource::Image(_) => continue,
            };
            // Compose refuses a network of its own that it did not make.
            let is_mains = main.is_some_and(|main| makes_network(&main.model, name));
            if kind == Kind::Network && is_mains {
                if exists(kind, name) == Answer::Is(true) {
                    continue;
                }
                let what =
                    format!("the shared network `{name}` is the main stack's, which has not made it yet");
                return Err(Fault::refused(what).advise("start the main stack first").into());
            }
            make_shared(kind, name).needed().map_err(|reason| {
                Fault::docker(format!("the shared {} `{name}` cannot be made: {reason}", kind.word()))
            })?;
        }
        Ok(())
    }
}

fn makes_network(model: &Model, name: &str) -> bool {
    model.networks.values().any(|network| !network.external && network.name.as_deref() == Some(name))
}

fn uses_volume(model: &Model, name: &str) -> bool {
    model.volumes.values().any(|volume| volume.external && volume.name.as_deref() == Some(name))
}

fn uses_network(model: &Model, name: &str) -> bool {
    model.networks.values().any(|network| network.external && network.name.as_deref() == Some(name))
}
