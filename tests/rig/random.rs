//! Numbers that look random and are the same on every machine: `SplitMix64`.

pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// The element that a drawn number stands for.
    pub(crate) fn pick<T>(drawn: u64, from: &[T]) -> &T {
        let count = u64::try_from(from.len()).expect("a length fits");
        &from[usize::try_from(drawn % count).expect("an index fits")]
    }
}
