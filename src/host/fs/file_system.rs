//! What kind of file system a directory is on, and how far its locks reach.

use std::fmt;

use anyhow::{Context as _, Result};

use super::dir::Dir;
#[cfg(target_os = "linux")]
use super::named::read_named;

/// The largest list of mounts that is read, in bytes.
#[cfg(target_os = "linux")]
const LIMIT: u64 = 4 << 20;

/// A file system whose locks do not reach every process that can write to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SharedFileSystem {
    /// On a network: locks may not hold at all.
    Network(&'static str),
    /// A directory of another machine, which a virtual machine's host or guest is, too.
    VirtualMachine(String),
    /// A program's own, which may show what another machine has.
    Fuse(String),
}

impl SharedFileSystem {
    /// The kind by the magic number of the file system and the type of its mount. `None` if it is a disk.
    #[cfg(target_os = "linux")]
    fn of(magic: u32, mount: impl FnOnce() -> Option<String>) -> Option<Self> {
        // From linux/magic.h, and the drivers of virtual machines.
        const NETWORK: [(u32, &str); 10] = [
            (0x6969, "NFS"),
            (0x517B, "SMB"),
            (0xFF53_4D42, "CIFS"),
            (0xFE53_4D42, "SMB2"),
            (0x5346_414F, "AFS"),
            (0x00C3_6400, "Ceph"),
            (0x0BD0_0BD0, "Lustre"),
            (0x7375_7245, "Coda"),
            (0x7461_636F, "OCFS2"),
            (0x0116_1970, "GFS2"),
        ];
        const OF_MACHINES: [(u32, &str); 4] =
            [(0x0102_1997, "9p"), (0x786F_4256, "vboxsf"), (0x7C7C_6673, "prl_fs"), (0xBACB_ACBC, "vmhgfs")];
        const FUSE: u32 = 0x6573_5546;
        let named = |list: &[(u32, &'static str)]| {
            list.iter().find(|(number, _)| *number == magic).map(|(_, name)| *name)
        };
        if let Some(name) = named(&NETWORK) {
            return Some(Self::Network(name));
        }
        if let Some(name) = named(&OF_MACHINES) {
            return Some(Self::VirtualMachine(name.to_owned()));
        }
        (magic == FUSE).then(|| match mount() {
            Some(kind) if is_of_a_machine(&kind) => Self::VirtualMachine(kind),
            kind => Self::Fuse(kind.unwrap_or_else(|| "fuse".to_owned())),
        })
    }

    /// Whether locks may not hold on this machine, either.
    pub fn refuses_locks(&self) -> bool {
        match self {
            Self::Network(_) => true,
            Self::VirtualMachine(kind) => kind == "9p",
            Self::Fuse(_) => false,
        }
    }
}

/// Whether a type of mount is a virtual machine's share that FUSE brings.
#[cfg(target_os = "linux")]
fn is_of_a_machine(kind: &str) -> bool {
    kind == "virtiofs"
        || ["vmhgfs", "grpcfuse", "osxfs", "vboxsf", "prl"].iter().any(|name| kind.contains(name))
}

impl fmt::Display for SharedFileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(kind) => write!(f, "a network file system ({kind})"),
            Self::VirtualMachine(kind) => write!(f, "a share of a virtual machine ({kind})"),
            Self::Fuse(kind) => write!(f, "a file system of a program ({kind})"),
        }
    }
}

impl Dir {
    /// The kind of file system that it is on. `None` for one whose locks reach every process that can write
    /// to it, and where the system does not tell.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn shared_file_system(&self) -> Result<Option<SharedFileSystem>> {
        #[cfg(target_os = "linux")]
        {
            let stat = rustix::fs::fstatfs(&self.handle)
                .with_context(|| format!("could not examine the file system of `{}`", self.path))?;
            let magic = u32::try_from(stat.f_type).unwrap_or_default();
            Ok(SharedFileSystem::of(magic, || self.mount_type()))
        }
        #[cfg(not(target_os = "linux"))]
        Ok(None)
    }

    /// The type of the mount that it is on, such as `fuse.sshfs`.
    #[cfg(target_os = "linux")]
    fn mount_type(&self) -> Option<String> {
        let device = rustix::fs::fstat(&self.handle).ok()?.st_dev;
        let device = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
        let mounts = read_named("/proc/self/mountinfo".into(), LIMIT).ok().flatten()?;
        mount_type(&String::from_utf8_lossy(&mounts), &device)
    }
}

/// The type of the mount of a device, in a list of mounts as `proc_pid_mountinfo(5)` describes it.
#[cfg(target_os = "linux")]
fn mount_type(mounts: &str, device: &str) -> Option<String> {
    let of_device = |line: &&str| line.split(' ').nth(2) == Some(device);
    let (_, described) = mounts.lines().find(of_device)?.split_once(" - ")?;
    described.split(' ').next().map(str::to_owned)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_is_named_as_what_it_is() {
        let told = |magic, mount: Option<&str>| {
            let of = SharedFileSystem::of(magic, || mount.map(str::to_owned));
            of.map(|kind| (kind.to_string(), kind.refuses_locks()))
        };
        let is = |told: &str, refuses| Some((told.to_owned(), refuses));
        // ext4, btrfs, tmpfs, overlayfs.
        for disk in [0xEF53, 0x9123_683E, 0x0102_1994, 0x794C_7630] {
            assert_eq!(told(disk, None), None);
        }
        assert_eq!(told(0x6969, None), is("a network file system (NFS)", true));
        assert_eq!(told(0x0102_1997, None), is("a share of a virtual machine (9p)", true));
        assert_eq!(told(0x786F_4256, None), is("a share of a virtual machine (vboxsf)", false));
        for (mount, words) in [
            (Some("virtiofs"), "a share of a virtual machine (virtiofs)"),
            (Some("fuse.grpcfuse"), "a share of a virtual machine (fuse.grpcfuse)"),
            (Some("fuse.sshfs"), "a file system of a program (fuse.sshfs)"),
            (None, "a file system of a program (fuse)"),
        ] {
            assert_eq!(told(0x6573_5546, mount), is(words, false));
        }
    }

    #[test]
    fn the_type_of_a_mount_is_read() {
        let mounts = "22 27 0:21 / /proc rw,relatime - proc proc rw\n\
                      40 27 0:52 / /home/me/far\\040away rw,nosuid shared:1 master:2 - fuse.sshfs me@far: rw\n";
        assert_eq!(mount_type(mounts, "0:52").as_deref(), Some("fuse.sshfs"));
        assert_eq!(mount_type(mounts, "0:5"), None);
    }
}
