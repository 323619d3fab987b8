//! The server of a pool's registry: as the pool was applied, or as this run names it. What a slots.toml says
//! counts only once it was applied: a password would go to the server that it names.

use anyhow::Result;
use camino::Utf8Path;

use super::by_worktree::Search;
use super::repository::entry_of;
use crate::fault::Fault;
use crate::host::postgres::credentials::{Login, named};
use crate::server::{Given, ServerUrl};

impl Search<'_> {
    /// The login to a server: the one that was typed, or that the environment names, or that the pool here
    /// was applied with.
    ///
    /// # Errors
    /// [`Fault`] when there is none.
    pub fn login(&self, typed: Option<&str>) -> Result<Login> {
        let user = &self.invocation.user;
        if let Some(typed) = typed {
            // Its message has no password, and so not the url as it was typed.
            let url = ServerUrl::parse(typed).map_err(|mistake| {
                let fault = Fault::usage(mistake.message);
                mistake.help.map_or_else(|| fault.clone(), |help| fault.clone().advise(help))
            })?;
            return Ok(Login::of(Given { url, password: None }, user));
        }
        if let Some(given) = named()? {
            return Ok(Login::of(given, user));
        }
        let pool = self.here()?;
        if let Some(url) = self.applied_server(&pool.root) {
            return Ok(Login::of(Given { url, password: None }, user));
        }
        let declared = pool.declared.as_ref().and_then(|declared| declared.spec.registry.as_ref());
        Err(match declared {
            Some(url) => {
                Fault::refused(format!("you have not applied {} with its registry in `{url}`", pool.origin))
                    .advise(format!(
                        "if you trust that server, type the url: `kinfra registry status '{url}'`"
                    ))
            }
            None => Fault::refused(format!(
                "the registry of the pool in `{}` is a file there, on no server",
                pool.root
            ))
            .advise("type the url of a server, or name it in `[registry] url` of slots.toml and apply"),
        }
        .into())
    }

    /// The server that the pool in a root was applied with.
    pub fn applied_server(&self, root: &Utf8Path) -> Option<ServerUrl> {
        let entry = entry_of(root, self.invocation);
        entry.and_then(|entry| entry.registry)
    }
}
