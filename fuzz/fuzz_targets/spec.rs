#![no_main]

use std::hash::{DefaultHasher, Hash, Hasher};

/// Showing mistakes takes far longer than finding them, so only one text in this many shows its mistakes.
const SHOWN: u64 = 32;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    invariants::spec(bytes, hasher.finish().is_multiple_of(SHOWN));
});
