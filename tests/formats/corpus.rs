//! Replays the committed corpus of every fuzz target on stable Rust. `fuzz/README.md` has the rest.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

#[path = "../../fuzz/invariants.rs"]
#[expect(unreachable_pub, reason = "it is also the library of the fuzz targets")]
mod invariants;

fn replay(target: &str, check: fn(&[u8])) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut replayed = 0;
    for entry in fs::read_dir(&dir).expect("a corpus") {
        let path = entry.expect("an entry").path();
        let bytes = fs::read(&path).expect("a file of the corpus");
        let checked = catch_unwind(|| check(&bytes));
        assert!(checked.is_ok(), "{} does not hold", path.display());
        replayed += 1;
    }
    assert!(replayed > 0, "{} is empty", dir.display());
}

#[test]
fn spec() {
    replay("spec", |bytes| invariants::spec(bytes, true));
}

#[test]
fn registry() {
    replay("registry", invariants::registry);
}

#[test]
fn migration() {
    replay("migration", invariants::migration);
}

#[test]
fn values() {
    replay("values", invariants::values);
}
