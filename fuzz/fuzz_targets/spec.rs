#![no_main]

use std::hash::{DefaultHasher, Hash, Hasher};

/// Showing mistakes takes far longer than finding them: of so many texts, those of one are shown.
const SHOWN: u64 = 32;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    invariants::spec(bytes, hasher.finish().is_multiple_of(SHOWN));
});
