//! The registry of a root on its way to a server or back: kept under another name, durably.

use anyhow::Result;

use super::locked::LockedRoot;
use super::open::{BACKUP, LAST_SEEN, PULLED, PUSHED, REGISTRY, Root};
use crate::fault::Fault;

impl Root {
    /// The registry that was put aside, because a server has it now or is to have it.
    ///
    /// # Errors
    /// As [`Root::registry`].
    pub fn pushed(&self) -> Result<Option<String>> {
        self.state(PUSHED)
    }

    /// The registry that comes back from a server, and is not in place yet.
    ///
    /// # Errors
    /// As [`Root::registry`].
    pub fn pulled(&self) -> Result<Option<String>> {
        self.state(PULLED)
    }
}

impl LockedRoot {
    /// Puts the registry aside. Its backup goes first: alone, it would say that the registry vanished.
    ///
    /// # Errors
    /// When the files cannot be changed.
    pub fn put_registry_aside(&self) -> Result<()> {
        self.check_lock()?;
        self.dir().remove_file(BACKUP)?;
        self.dir().rename_over(REGISTRY, self.dir(), PUSHED)?;
        self.dir().sync()
    }

    /// Puts it back in place: no server has it. Its backup is made with the next save.
    ///
    /// # Errors
    /// When the files cannot be changed, or there is a registry already.
    pub fn put_registry_back(&self) -> Result<()> {
        self.check_lock()?;
        if !self.dir().rename_new(PUSHED, self.dir(), REGISTRY)? {
            let path = self.root.registry_path();
            return Err(Fault::refused(format!("`{path}` is there already")).advise("move it away").into());
        }
        self.dir().sync()
    }

    /// Removes what came back, because the server still has it.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_pulled(&self) -> Result<()> {
        self.check_lock()?;
        self.dir().remove_file(PULLED)
    }

    /// Writes the registry that comes back, beside its place.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_pulled(&self, text: &str) -> Result<()> {
        self.stage_state(PULLED, text)?;
        self.check_lock()?;
        self.temporary.rename_over(PULLED, self.dir(), PULLED)?;
        self.dir().sync()
    }

    /// Puts the registry that came back in place. What was kept of it and of the server goes.
    ///
    /// # Errors
    /// [`Fault`] when there is a registry already.
    pub fn put_pulled_in_place(&self) -> Result<()> {
        self.check_lock()?;
        if !self.dir().rename_new(PULLED, self.dir(), REGISTRY)? {
            let path = self.root.registry_path();
            return Err(Fault::refused(format!("`{path}` is there already")).advise("move it away").into());
        }
        self.dir().sync()?;
        self.forget_server()
    }

    /// Removes what was kept of a registry that was on a server.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn forget_server(&self) -> Result<()> {
        self.check_lock()?;
        self.dir().remove_file(LAST_SEEN)?;
        self.dir().remove_file(PUSHED)
    }
}
