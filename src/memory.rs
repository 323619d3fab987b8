//! An amount of memory.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An amount of memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Memory(u64);

/// The units, the largest first. Each is a name in words, its letter for Compose, and its bytes.
const UNITS: [(&str, &str, u64); 4] =
    [("GiB", "g", 1 << 30), ("MiB", "m", 1 << 20), ("KiB", "k", 1 << 10), ("B", "b", 1)];

impl Memory {
    /// So many bytes.
    pub fn of_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }

    /// Reads an amount as Compose writes it, such as `6g`, `512m` or `1.5gb`, or with the unit spelled out:
    /// `6 GiB`. Each unit is 1024 times the next smaller one.
    ///
    /// # Errors
    /// That it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let invalid = || format!("`{}` is no amount of memory: write `6g` or `512m`", text.escape_debug());
        let trimmed = text.trim();
        let end = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(end);
        let unit = unit.trim().to_ascii_lowercase();
        let is_it = |(name, letter, _): &&(&str, &str, u64)| {
            let name = name.to_ascii_lowercase();
            unit == *letter || unit == name || unit == format!("{letter}b")
        };
        let (_, _, size) = UNITS.iter().find(is_it).ok_or_else(invalid)?;
        let (whole, tenths) = number.split_once('.').unwrap_or((number, "0"));
        let whole: u64 = whole.parse().map_err(|_| invalid())?;
        let digits = u32::try_from(tenths.len()).ok().filter(|digits| *digits <= 6).ok_or_else(invalid)?;
        let tenths: u64 = tenths.parse().map_err(|_| invalid())?;
        let part = size.saturating_mul(tenths) / 10_u64.pow(digits);
        let bytes = whole.checked_mul(*size).and_then(|bytes| bytes.checked_add(part));
        bytes.filter(|bytes| *bytes > 0).map(Self).ok_or_else(invalid)
    }

    /// The rest, or none.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The next amount that is shown as it is, for what was not more than what is said.
    #[must_use]
    pub fn rounded_up(self) -> Self {
        let (_, size) = unit(self);
        let tenths = u128::from(self.0) * 10;
        let bytes = tenths.div_ceil(u128::from(size)) * u128::from(size);
        // A tenth of a unit is no whole number of bytes, and is shown rounded down.
        Self(u64::try_from(bytes.div_ceil(10)).unwrap_or(u64::MAX))
    }
}

/// The largest unit of which an amount has one.
fn unit(memory: Memory) -> (&'static str, u64) {
    let unit = UNITS.iter().find(|(_, _, size)| memory.0 >= *size);
    unit.map_or(("B", 1), |(name, _, size)| (*name, *size))
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, size) = unit(*self);
        // Rounded down: what is free is never less than what is said.
        match (self.0 / size, self.0 % size * 10 / size) {
            (whole, 0) => write!(f, "{whole} {name}"),
            (whole, tenth) => write!(f, "{whole}.{tenth} {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_compose_reads_them() {
        for (text, bytes, shown) in [
            ("6g", 6 << 30, "6 GiB"),
            ("6 GiB", 6 << 30, "6 GiB"),
            ("512m", 512 << 20, "512 MiB"),
            ("1.5gb", 3 << 29, "1.5 GiB"),
            ("64K", 64 << 10, "64 KiB"),
            ("100b", 100, "100 B"),
        ] {
            assert_eq!(Memory::parse(text), Ok(Memory::of_bytes(bytes)), "{text}");
            assert_eq!(Memory::of_bytes(bytes).to_string(), shown);
        }
        assert_eq!(Memory::of_bytes((2 << 30) + (200 << 20)).to_string(), "2.1 GiB");
        for (bytes, shown) in [
            ((2 << 30) + (200 << 20), "2.2 GiB"),
            (2 << 30, "2 GiB"),
            ((2 << 30) + 1, "2.1 GiB"),
            ((1 << 30) - 1, "1 GiB"),
            (7, "7 B"),
            (0, "0 B"),
        ] {
            assert_eq!(Memory::of_bytes(bytes).rounded_up().to_string(), shown);
        }
        for text in ["", "6", "g", "0g", "-1g", "6t", "6gg", "1.g", ".5g", "99999999999g", "1.1.1g"] {
            assert!(Memory::parse(text).unwrap_err().contains("write `6g`"), "{text:?}");
        }
    }
}
