//! Whose a directory or file is. What another user can change can make this user run anything, so it is not
//! used; and what root makes for another user must not lock that user out.

use std::os::fd::AsFd;

use camino::Utf8Path;
use rustix::fs::{Gid, Stat, Uid};

use super::identity::{sudo_user, trusted_owner, user_id, user_name};
use crate::fault::Fault;
use crate::shown::word;

/// The user who may do anything.
const ROOT: u32 = 0;

/// The permissions of the group and of others to write.
const OF_OTHERS: u32 = 0o022;

/// Refuses what belongs to another user, or what others can write. `what` is what it is to kinfra, and `path`
/// where it is.
///
/// # Errors
/// [`Fault`] names the owner, and says what to do.
pub fn check(stat: &Stat, what: &str, path: &Utf8Path) -> Result<(), Fault> {
    let is_trusted = || Ok::<_, Fault>(trusted_owner()? == Some(stat.st_uid));
    if stat.st_uid != user_id() {
        return if is_trusted()? { Ok(()) } else { Err(of_another(stat.st_uid, what, path)) };
    }
    let by = match stat.st_mode & OF_OTHERS {
        0 => return Ok(()),
        0o020 => "its group",
        _ => "every user",
    };
    if is_trusted()? {
        return Ok(());
    }
    let (owner, mode) = (user_name(stat.st_uid), stat.st_mode & 0o7777);
    let found = format!("{what} `{path}` of {owner} can be changed by {by}: its mode is {mode:04o}");
    let advice = format!(
        "`chmod go-w {}`; where that has no effect, KINFRA_TRUST_OWNER={} allows it",
        word(path.as_str()),
        stat.st_uid
    );
    Err(Fault::refused(found).advise(advice))
}

/// Refuses a git directory of another user: what is in it, and in the directory around it, that user puts
/// there. Root's own is trusted, and root without `sudo` works in checkouts of others, as in a container.
///
/// # Errors
/// [`Fault`] names the owner, and says what to do.
pub fn check_repository(git_dir: &Utf8Path) -> Result<(), Fault> {
    let (own, caller) = (user_id(), sudo_user());
    let Ok(Stat { st_uid: owner, .. }) = rustix::fs::stat(git_dir.as_std_path()) else { return Ok(()) };
    let is_own = [own, ROOT].contains(&owner) || caller == Some(owner);
    if is_own || (own == ROOT && caller.is_none()) || trusted_owner()? == Some(owner) {
        return Ok(());
    }
    Err(of_another(owner, "the repository", git_dir))
}

fn of_another(owner: u32, what: &str, path: &Utf8Path) -> Fault {
    let (name, own) = (user_name(owner), user_name(user_id()));
    let fault = Fault::refused(format!("{what} `{path}` belongs to {name}, and you are {own}"));
    let allow = format!("KINFRA_TRUST_OWNER={owner} allows it");
    if sudo_user() == Some(owner) {
        return fault.advise(format!("run kinfra without sudo; or {allow}"));
    }
    let give = format!("`sudo chown -R {} {}`", user_id(), word(path.as_str()));
    fault.advise(format!("run kinfra as {name}; if all of it is yours, {give} says so; or {allow}"))
}

/// Refuses to write below another user's directory under `sudo`: its owner could not change or read what root
/// makes there.
///
/// # Errors
/// [`Fault`] names the owner, and says what to do.
pub fn check_sudo(directory: &Utf8Path) -> Result<(), Fault> {
    if sudo_user().is_none() {
        return Ok(());
    }
    let owner =
        |above: &Utf8Path| Some((above.to_owned(), rustix::fs::stat(above.as_std_path()).ok()?.st_uid));
    let trusted = trusted_owner()?;
    let is_other = |owner: u32| owner != user_id() && Some(owner) != trusted;
    let Some((above, owner)) = directory.ancestors().filter_map(owner).find(|(_, owner)| is_other(*owner))
    else {
        return Ok(());
    };
    let name = user_name(owner);
    let what = format!("under sudo, kinfra writes nothing below `{above}`, which belongs to {name}");
    Err(Fault::refused(what).advise(format!(
        "run kinfra without sudo; or KINFRA_TRUST_OWNER={owner} allows it, and what is made there is {name}'s"
    )))
}

/// Gives what root has just made in a directory to the directory's owner.
///
/// # Errors
/// The system's.
pub fn give(made: impl AsFd, directory: impl AsFd) -> rustix::io::Result<()> {
    const ROOT: u32 = 0;
    if user_id() != ROOT {
        return Ok(());
    }
    let owner = rustix::fs::fstat(directory)?;
    if owner.st_uid != ROOT {
        let (user, group) = (Uid::from_raw(owner.st_uid), Gid::from_raw(owner.st_gid));
        rustix::fs::fchown(made, Some(user), Some(group))?;
    }
    Ok(())
}
