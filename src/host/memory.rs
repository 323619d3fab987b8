//! The memory of the machine, and what containers use of it.

use camino::{Utf8Path, Utf8PathBuf};

use super::fs::read_named;
use crate::memory::Memory;

/// The most that is read of a file of the kernel, in bytes.
const LIMIT: u64 = 1 << 20;

/// The memory of this machine that programs can still get. `None` where the system does not say it.
pub fn available() -> Option<Memory> {
    if let Some(available) = available_of_a_test() {
        return Some(available);
    }
    field(&text(Utf8Path::new("/proc/meminfo"))?, "MemAvailable:").map(|kib| Memory::of_bytes(kib * 1024))
}

/// The free memory according to a test, such as `KINFRA_TEST_MEMORY=2g`. A release build ignores it.
fn available_of_a_test() -> Option<Memory> {
    if !cfg!(debug_assertions) {
        return None;
    }
    #[expect(clippy::disallowed_methods, reason = "a fact about a test, and not about a run")]
    Memory::parse(&std::env::var("KINFRA_TEST_MEMORY").ok()?).ok()
}

/// What a container uses now, without the part of the file cache that is free for others. `None` where its
/// process is not of this machine, or its cgroup cannot be read.
pub fn used(pid: u32, container: &str) -> Option<Memory> {
    let dir = cgroup(&kernel(), pid, container)?;
    let (current, cache) =
        [("memory.current", "inactive_file"), ("memory.usage_in_bytes", "total_inactive_file")]
            .into_iter()
            .find_map(|(file, cache)| Some((text(&dir.join(file))?.trim().parse().ok()?, cache)))?;
    let cache = text(&dir.join("memory.stat")).and_then(|stat| field(&stat, cache)).unwrap_or_default();
    Some(Memory::of_bytes(current).without(Memory::of_bytes(cache)))
}

/// The most that a container used since it was started, with the file cache. `None` as for [`used`], and for
/// a kernel that does not keep it.
pub fn peak(pid: u32, container: &str) -> Option<Memory> {
    peak_below(&kernel(), pid, container)
}

fn peak_below(kernel: &Utf8Path, pid: u32, container: &str) -> Option<Memory> {
    let dir = cgroup(kernel, pid, container)?;
    let mut files = ["memory.peak", "memory.max_usage_in_bytes"].into_iter();
    let bytes = files.find_map(|file| text(&dir.join(file))?.trim().parse().ok())?;
    Some(Memory::of_bytes(bytes))
}

/// The directory with `proc` and `sys`. A test names another one by `KINFRA_TEST_KERNEL`. A release build
/// ignores it.
fn kernel() -> Utf8PathBuf {
    let root = Utf8PathBuf::from("/");
    if !cfg!(debug_assertions) {
        return root;
    }
    #[expect(clippy::disallowed_methods, reason = "a fact about a test, and not about a run")]
    std::env::var("KINFRA_TEST_KERNEL").map_or(root, Utf8PathBuf::from)
}

/// The directory of a container's cgroup, found by a process of it. A process of another machine has none
/// that names the container.
fn cgroup(kernel: &Utf8Path, pid: u32, container: &str) -> Option<Utf8PathBuf> {
    let groups = text(&kernel.join(format!("proc/{pid}/cgroup")))?;
    let path = |controller: &str| {
        let line = |line: &str| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            let is_it = controllers.split(',').any(|one| one == controller);
            // Its process may be in a part of it.
            let whole =
                Utf8Path::new(path).ancestors().filter(|path| path.as_str().contains(container)).last();
            whole.filter(|_| is_it).map(|path| path.as_str().trim_start_matches('/').to_owned())
        };
        groups.lines().find_map(line)
    };
    let first = path("memory").map(|path| kernel.join("sys/fs/cgroup/memory").join(path));
    first.or_else(|| path("").map(|path| kernel.join("sys/fs/cgroup").join(path)))
}

fn text(path: &Utf8Path) -> Option<String> {
    String::from_utf8(read_named(path, LIMIT).ok()??).ok()
}

/// The number after a name at the begin of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let mut words = text.lines().map(str::split_whitespace);
    let line = words.find_map(|mut words| (words.next() == Some(name)).then_some(words));
    line?.next()?.parse().ok()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test writes what it looks at")]
mod tests {
    use std::fs;

    use super::*;

    /// The files of a kernel, each with its text.
    fn kernel_with(files: &[(&str, &str)]) -> (tempfile::TempDir, Utf8PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::try_from(dir.path().to_owned()).unwrap();
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        (dir, root)
    }

    #[test]
    fn a_peak_is_read_from_both_versions_of_cgroups() {
        let of_first = "12:cpu,memory:/docker/4f2a\n1:name=systemd:/docker/4f2a\n0::/\n";
        let (_dir, kernel) = kernel_with(&[
            ("proc/7/cgroup", "0::/system.slice/docker-4f2a.scope\n"),
            ("sys/fs/cgroup/system.slice/docker-4f2a.scope/memory.peak", "3221225472\n"),
            // A program in the container made a part for itself.
            ("proc/8/cgroup", "0::/docker/beef/init.scope\n"),
            ("sys/fs/cgroup/docker/beef/memory.peak", "4096\n"),
            ("sys/fs/cgroup/docker/beef/init.scope/memory.peak", "1\n"),
            ("proc/9/cgroup", of_first),
            ("sys/fs/cgroup/memory/docker/4f2a/memory.max_usage_in_bytes", "1048576\n"),
            ("proc/10/cgroup", "0::/docker/cafe\n"),
            ("sys/fs/cgroup/docker/cafe/memory.current", "1\n"),
        ]);
        for (pid, container, bytes) in [
            (7, "4f2a", Some(3_221_225_472)),
            (8, "beef", Some(4096)),
            (9, "4f2a", Some(1_048_576)),
            // The process is another machine's, or there is none. An older kernel keeps no peak.
            (7, "beef", None),
            (11, "4f2a", None),
            (10, "cafe", None),
        ] {
            assert_eq!(peak_below(&kernel, pid, container), bytes.map(Memory::of_bytes), "{pid} {container}");
        }
    }
}
