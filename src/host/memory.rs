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
    let dir = cgroup(pid, container)?;
    let (current, cache) =
        [("memory.current", "inactive_file"), ("memory.usage_in_bytes", "total_inactive_file")]
            .into_iter()
            .find_map(|(file, cache)| Some((text(&dir.join(file))?.trim().parse().ok()?, cache)))?;
    let cache = text(&dir.join("memory.stat")).and_then(|stat| field(&stat, cache)).unwrap_or_default();
    Some(Memory::of_bytes(current).without(Memory::of_bytes(cache)))
}

/// The directory of a container's cgroup, found by a process of it. A process of another machine has none
/// that names the container.
fn cgroup(pid: u32, container: &str) -> Option<Utf8PathBuf> {
    let groups = text(Utf8Path::new(&format!("/proc/{pid}/cgroup")))?;
    let path = |controller: &str| {
        let line = |line: &str| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            let is_it = controllers.split(',').any(|one| one == controller);
            (is_it && path.contains(container)).then(|| path.trim_start_matches('/').to_owned())
        };
        groups.lines().find_map(line)
    };
    let first = path("memory").map(|path| Utf8Path::new("/sys/fs/cgroup/memory").join(path));
    first.or_else(|| path("").map(|path| Utf8Path::new("/sys/fs/cgroup").join(path)))
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
