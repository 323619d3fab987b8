//! The url that counts, and the password for it: from the environment, or from `~/.pgpass`.

use std::io;
use std::os::unix::fs::MetadataExt as _;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use crate::fault::Fault;
use crate::host::fs::read_named;
use crate::host::invocation::{home, in_environment};
use crate::names::KINFRA_REGISTRY_URL;
use crate::server::{Given, Password, ServerUrl, Wanted, password_in};

/// The most that is read of `~/.pgpass`, in bytes.
const LIMIT: u64 = 1 << 20;
/// The permissions of the group and of others.
const OF_OTHERS: u32 = 0o077;

/// A server, and who logs in.
#[derive(Debug, Clone)]
pub struct Login {
    /// The server.
    pub url: ServerUrl,
    /// The user.
    pub user: String,
    /// The password, if there is one.
    pub password: Option<Password>,
    /// Why `~/.pgpass` was not read, if that is so.
    pub unread: Option<String>,
    /// The user's home directory.
    pub home: Option<Utf8PathBuf>,
}

/// The url that the environment names in place of the applied one. Naming it is trust, as naming a root is.
///
/// # Errors
/// [`Fault`] when it is no url.
pub fn named() -> Result<Option<Given>, Fault> {
    let Some(text) = in_environment(KINFRA_REGISTRY_URL).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    Given::parse(&text).map(Some).map_err(|mistake| {
        let fault = Fault::usage(format!("{KINFRA_REGISTRY_URL}: {}", mistake.message));
        mistake.help.map_or_else(|| fault.clone(), |help| fault.clone().advise(help))
    })
}

impl Login {
    /// The login for a url. `user` is the name of this machine's user.
    pub fn of(Given { url, password }: Given, user: &str) -> Self {
        let user = url.user.clone().unwrap_or_else(|| user.to_owned());
        let (home, mut unread) = (home(), None);
        let in_environment =
            || in_environment("PGPASSWORD").filter(|word| !word.is_empty()).map(Password::new);
        let in_file = || {
            let file = password_file(home.as_deref())?;
            let text = read_private(&file).unwrap_or_else(|why| {
                unread = Some(why);
                None
            })?;
            let wanted =
                Wanted { host: url.host_of_password(), port: url.port, database: &url.database, user: &user };
            password_in(&text, &wanted)
        };
        let password = password.or_else(in_environment).or_else(in_file);
        Self { url, user, password, unread, home }
    }
}

/// `PGPASSFILE`, or else `~/.pgpass`.
fn password_file(home: Option<&Utf8Path>) -> Option<Utf8PathBuf> {
    let named = in_environment("PGPASSFILE").filter(|path| !path.is_empty()).map(Utf8PathBuf::from);
    named.or_else(|| home.map(|home| home.join(".pgpass")))
}

/// The text of a file that only its owner can read. `None` if there is none.
fn read_private(path: &Utf8Path) -> Result<Option<String>, String> {
    let unread = |error: io::Error| format!("`{path}` was not read: {error}");
    let mode = match path.as_std_path().metadata() {
        Ok(metadata) => metadata.mode(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unread(error)),
    };
    if mode & OF_OTHERS != 0 {
        return Err(format!(
            "`{path}` was not read: its mode is {:04o}, and others may not read it (`chmod 600 {path}`)",
            mode & 0o7777
        ));
    }
    let bytes = read_named(path, LIMIT).map_err(unread)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}
