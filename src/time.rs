//! Points in time and durations, as the registry and the command line write them.

use std::fmt;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A point in time, to the microsecond. Written in ISO 8601, in UTC, with the offset `+00:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(Timestamp);

impl Time {
    /// The time so many microseconds after the start of 1970, UTC, or before it. The first or the latest
    /// possible time if that is too far.
    pub fn from_unix_micros(micros: i64) -> Self {
        let end = if micros < 0 { Timestamp::MIN } else { Timestamp::MAX };
        Self(Timestamp::from_microsecond(micros).unwrap_or(end)).to_the_microsecond()
    }

    /// Whether a clock that shows it can be used: it can be written in ISO 8601 and read again, and there is
    /// room for a lease after it.
    pub fn is_usable(self) -> bool {
        let year = self.0.to_zoned(TimeZone::UTC).year();
        (1..=9998).contains(&year)
    }

    /// Reads ISO 8601 with an offset or `Z`.
    ///
    /// # Errors
    /// What a time looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let time: Result<Timestamp, _> = text.parse();
        time.map(|time| Self(time).to_the_microsecond()).map_err(|_| {
            format!("`{}` is not a time such as `2026-03-01T17:22:10.000000+00:00`", text.escape_debug())
        })
    }

    /// The time so much later. The latest possible time if that is too large.
    #[must_use]
    pub fn after(self, span: Span) -> Self {
        let seconds = SignedDuration::from_secs(i64::try_from(span.duration().as_secs()).unwrap_or(i64::MAX));
        Self(self.0.checked_add(seconds).unwrap_or(Timestamp::MAX)).to_the_microsecond()
    }

    /// The time so much earlier.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        let duration = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
        Self(self.0.checked_sub(duration).unwrap_or(Timestamp::MIN)).to_the_microsecond()
    }

    /// The duration since an earlier time. Zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::try_from(self.0.duration_since(earlier.0)).unwrap_or_default()
    }

    /// The time for people to read, such as `2026-03-01 17:22 UTC`.
    pub fn to_the_minute(self) -> String {
        self.0.strftime("%Y-%m-%d %H:%M UTC").to_string()
    }

    /// The time for people in a time zone, such as `2026-03-01 18:22 (17:22 UTC)`. In UTC, as
    /// [`Time::to_the_minute`].
    pub fn to_the_minute_in(self, zone: &TimeZone) -> String {
        let there = self.0.to_zoned(zone.clone());
        if there.offset().is_zero() {
            return self.to_the_minute();
        }
        let is_same_day = there.date() == self.0.to_zoned(TimeZone::UTC).date();
        let format = if is_same_day { "%H:%M UTC" } else { "%Y-%m-%d %H:%M UTC" };
        format!("{} ({})", there.strftime("%Y-%m-%d %H:%M"), self.0.strftime(format))
    }

    /// The time in the name of a file: to the second, such as `20260301T172210Z`.
    pub fn in_file_name(self) -> String {
        self.0.strftime("%Y%m%dT%H%M%SZ").to_string()
    }

    fn to_the_microsecond(self) -> Self {
        let whole = Timestamp::new(self.0.as_second(), self.0.subsec_nanosecond() / 1000 * 1000);
        Self(whole.unwrap_or(self.0))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00").fmt(f)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// A duration as people write it: `10s`, `5m`, `8h` or `2d`. It keeps its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    count: u64,
    unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Seconds,
    Minutes,
    Hours,
    Days,
}

impl Unit {
    const ALL: [Self; 4] = [Self::Seconds, Self::Minutes, Self::Hours, Self::Days];

    fn letter(self) -> char {
        match self {
            Self::Seconds => 's',
            Self::Minutes => 'm',
            Self::Hours => 'h',
            Self::Days => 'd',
        }
    }

    fn seconds(self) -> u64 {
        match self {
            Self::Seconds => 1,
            Self::Minutes => 60,
            Self::Hours => 60 * 60,
            Self::Days => 24 * 60 * 60,
        }
    }
}

impl Span {
    /// So many hours.
    pub const fn hours(count: u64) -> Self {
        Self { count, unit: Unit::Hours }
    }

    /// The whole seconds of a duration.
    pub const fn seconds(duration: Duration) -> Self {
        Self { count: duration.as_secs(), unit: Unit::Seconds }
    }

    /// Reads a whole number and a unit.
    ///
    /// # Errors
    /// What a duration looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "write a whole number and a unit, such as `10s`, `5m`, `8h` or `2d`".to_owned();
        let unit = Unit::ALL.into_iter().find(|unit| text.ends_with(unit.letter())).ok_or_else(wrong)?;
        let digits = text.trim_end_matches(unit.letter());
        let count: u64 = digits.parse().map_err(|_| wrong())?;
        // Refuse a sign, leading zeros, and a number of seconds that is too large.
        let span = Self { count, unit };
        let is_plain = span.to_string() == text && count.checked_mul(unit.seconds()).is_some();
        is_plain.then_some(span).ok_or_else(wrong)
    }

    /// Reads the length of a lease.
    ///
    /// # Errors
    /// How one is written.
    pub fn lease(text: &str) -> Result<Self, String> {
        let span = Self::parse(text)?;
        if span.is_zero() { Err("a lease of no time has run out at once".to_owned()) } else { Ok(span) }
    }

    /// Its length.
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.count.saturating_mul(self.unit.seconds()))
    }

    /// Whether its length is zero.
    pub fn is_zero(self) -> bool {
        self.count == 0
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.count, self.unit.letter())
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_shown_as_they_were_written() {
        for (text, seconds) in [("10s", 10), ("5m", 300), ("8h", 28_800), ("2d", 172_800), ("0s", 0)] {
            let span = Span::parse(text).unwrap();
            assert_eq!((span.to_string(), span.duration().as_secs()), (text.to_owned(), seconds));
        }
        for text in ["", "s", "10", "-1s", "+1s", "01s", "1.5h", "1w", "10é", "1ss", "99999999999999999999d"]
        {
            assert!(Span::parse(text).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn a_local_time_has_utc_beside_it() {
        let time = Time::parse("2026-03-01T17:22:10Z").unwrap();
        let told = |hours| time.to_the_minute_in(&TimeZone::fixed(jiff::tz::offset(hours)));
        assert_eq!(told(0), "2026-03-01 17:22 UTC");
        assert_eq!(told(1), "2026-03-01 18:22 (17:22 UTC)");
        assert_eq!(told(9), "2026-03-02 02:22 (2026-03-01 17:22 UTC)");
    }

    #[test]
    fn times_read_back_and_do_not_overflow() {
        let time = Time::parse("2026-03-01T17:22:10.5+01:00").unwrap();
        assert_eq!(time.to_string(), "2026-03-01T16:22:10.500000+00:00");
        assert_eq!(time.to_the_minute(), "2026-03-01 16:22 UTC");
        let later = time.after(Span::parse("8h").unwrap());
        assert_eq!(later.since(time), Duration::from_hours(8));
        assert_eq!(time.since(later), Duration::ZERO);
        let last = time.after(Span::parse("200000000000000d").unwrap());
        assert_eq!(Time::parse(&last.to_string()), Ok(last));
        assert!(last > later);
        for (micros, text) in [
            (i64::MAX, "9999-12-30T22:00:00.999999+00:00"),
            (-62_135_596_800_000_000, "0001-01-01T00:00:00.000000+00:00"),
            (-1, "1969-12-31T23:59:59.999999+00:00"),
        ] {
            let time = Time::from_unix_micros(micros);
            assert_eq!((time.to_string(), Time::parse(text)), (text.to_owned(), Ok(time)));
        }
        let usable = [i64::MIN, -62_135_596_800_000_001, -62_135_596_800_000_000, 0, i64::MAX];
        assert_eq!(
            usable.map(|micros| Time::from_unix_micros(micros).is_usable()),
            [false, false, true, true, false]
        );
        for text in ["", "yesterday", "2026-03-01", "2026-03-01T17:22:10"] {
            assert!(Time::parse(text).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn a_time_that_is_too_far_away_is_the_first_or_the_last() {
        let times = [i64::MIN, 0, i64::MAX].map(|micros| Time::from_unix_micros(micros).0.as_second());
        assert!(times[0] < -100_000_000_000 && times[1] == 0 && times[2] > 100_000_000_000, "{times:?}");
    }
}
