//! What a holder is known by beside its path: a random token in its own git directory, and where on the disk
//! it is.
//!
//! A path says little: `/workspace` is another directory in each container, and a worktree that was removed
//! may be made anew at its place.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What a directory is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Mark {
    /// The token in its own git directory, if it has both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Token>,
    /// Where on the disk it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Where the directory above it was. It does not tell it from others: once it is gone, it tells that this
    /// is still the disk that it was on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<Place>,
    /// Where the repository of a linked worktree was, whose word that it is gone counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<Place>,
}

/// A random token that kinfra writes into the git directory of a worktree: 128 bits, as 32 hexadecimal
/// digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token(u128);

/// Where on the disk a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The number of its disk. It may be another one after a restart.
    pub device: u64,
    /// Its number on the disk.
    pub inode: u64,
    /// When it was made, in nanoseconds since 1970, if the disk notes that.
    pub born: Option<i64>,
}

impl Mark {
    /// Whether nothing is known. An older kinfra, or another program, made the claim.
    pub fn is_empty(&self) -> bool {
        self.token.is_none() && self.place.is_none()
    }

    /// Whether the directory that has this mark now is the one that was noted with another mark, on a machine
    /// of the same name or not.
    ///
    /// A copy has the token, too: on the same machine it is a backup that was put back, and on another one it
    /// is another directory. Where only the token is lost, the directory is still known by its birth.
    pub fn is_of(&self, noted: &Self, is_same_machine: bool) -> bool {
        match (noted.token, noted.place) {
            (None, None) => true,
            (None, Some(noted)) => self.place.is_some_and(|place| place.is(noted)),
            (Some(token), place) => {
                let is_there = |noted: Place| self.place.is_some_and(|place| place.may_be(noted));
                let is_born = |noted: Place| noted.born.is_some() && self.place == Some(noted);
                match self.token {
                    Some(own) => own == token && (is_same_machine || place.is_none_or(is_there)),
                    None => place.is_some_and(is_born),
                }
            }
        }
    }
}

impl Token {
    /// The token of these bits, which must be random.
    pub fn from_random(bits: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bits))
    }

    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        u128::from_str_radix(text, 16).ok().map(Self).filter(|token| token.to_string() == text)
    }
}

impl Place {
    /// Whether two places are one. Disks are numbered anew, so the time of birth counts where it is known.
    pub fn is(self, other: Self) -> bool {
        let is_one_disk = match (self.born, other.born) {
            (Some(born), Some(other)) => born == other,
            (None, _) | (_, None) => self.device == other.device,
        };
        self.inode == other.inode && is_one_disk
    }

    /// Whether two places may be one: nothing that both tell differs but the number of the disk.
    pub fn may_be(self, other: Self) -> bool {
        let is_one_birth = self.born.zip(other.born).is_none_or(|(born, other)| born == other);
        self.inode == other.inode && is_one_birth
    }

    /// Reads what [`fmt::Display`] writes.
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(':');
        let (device, inode) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
        let born = numbers.next().map(|born| born.parse().ok());
        let born = if let Some(born) = born { Some(born?) } else { None };
        let place = Self { device, inode, born };
        (place.to_string() == text).then_some(place)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.device, self.inode)?;
        self.born.map_or(Ok(()), |born| write!(f, ":{born}"))
    }
}

impl Serialize for Token {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("a token has 32 hex digits"))
    }
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| de::Error::custom("a place is `device:inode` or `device:inode:born`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_another_where_its_token_or_its_place_is() {
        let place = |device, inode, born| Some(Place { device, inode, born });
        let mark = |token: u128, place| {
            let token = (token > 0).then_some(Token(token));
            Mark { token, place, ..Mark::default() }
        };
        let noted = mark(7, place(1, 20, Some(5)));
        for (now, same_machine, other_machine, case) in [
            (noted, true, true, "itself, also in a container that has a new name"),
            (mark(7, place(9, 20, None)), true, true, "after a restart that numbers disks anew"),
            (mark(7, place(1, 21, Some(6))), true, false, "a backup that was put back, or a copy elsewhere"),
            (mark(7, place(9, 20, Some(6))), true, false, "a copy that is the root of a disk, as it was"),
            (mark(8, place(1, 20, Some(5))), false, false, "another clone"),
            (mark(0, place(1, 20, Some(6))), false, false, "a worktree that was made anew"),
            (
                mark(0, place(1, 20, None)),
                false,
                false,
                "one of which the disk does not tell when it was made",
            ),
            (mark(0, place(1, 20, Some(5))), true, true, "itself, after a power cut took the token"),
        ] {
            assert_eq!(now.is_of(&noted, true), same_machine, "{case}");
            assert_eq!(now.is_of(&noted, false), other_machine, "{case}");
        }
        let noted = mark(0, place(1, 20, Some(5)));
        for (now, is_it, case) in [
            (mark(3, place(2, 20, Some(5))), true, "it has git since, and disks are numbered anew"),
            (mark(0, place(1, 20, Some(6))), false, "its number was given to another directory"),
            (mark(0, place(1, 20, None)), true, "the disk does not tell when it was made"),
            (mark(0, place(2, 20, None)), false, "another disk"),
            (mark(0, None), false, "it cannot be examined"),
        ] {
            assert_eq!(now.is_of(&noted, true), is_it, "{case}");
        }
        assert!(mark(0, None).is_of(&Mark::default(), false), "an older kinfra noted nothing");
    }

    #[test]
    fn marks_are_read_as_they_are_written() {
        for place in
            [Place { device: 1, inode: 2, born: None }, Place { device: 1, inode: 2, born: Some(-3) }]
        {
            assert_eq!(Place::parse(&place.to_string()), Some(place));
        }
        for text in ["", "1", "1:", "1:2:", "1:2:x", "1:2:3:4", "+1:2", "01:2"] {
            assert_eq!(Place::parse(text), None, "{text}");
        }
        let token = Token(9);
        assert_eq!(Token::parse(&token.to_string()), Some(token));
        assert_eq!(Token::parse("9"), None);
    }
}
