//! The current time, measuring time, and sleeping.
#![expect(clippy::disallowed_methods, reason = "the rest of kinfra gets its time from here")]

use std::time::{Duration, Instant, SystemTime};

use camino::Utf8Path;
use jiff::tz::TimeZone;

use super::fs::read_named;
use super::invocation::environment;
use crate::time::Time;

/// The time zone of the machine.
const MACHINE: &str = "/etc/localtime";
/// The directory of the zones that there are.
const ZONES: &str = "/usr/share/zoneinfo";
/// The largest file of a zone that is read, in bytes.
const LIMIT: u64 = 1 << 20;

/// Seconds since 1970, UTC.
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
        + seconds_ahead_in_a_test()
}

/// The current time, to the microsecond.
pub fn now() -> Time {
    let ahead = i64::try_from(seconds_ahead_in_a_test()).unwrap_or_default().saturating_mul(1_000_000);
    Time::from_unix_micros(jiff::Timestamp::now().as_microsecond().saturating_add(ahead))
}

/// How far the clock of a test is ahead: `KINFRA_TEST_CLOCK` names the file with the seconds. It is a file,
/// so that time also passes for what runs. A release build ignores the variable.
fn seconds_ahead_in_a_test() -> u64 {
    if !cfg!(debug_assertions) {
        return 0;
    }
    let read = |file| read_named(Utf8Path::new(&file), LIMIT).ok().flatten();
    let text =
        std::env::var("KINFRA_TEST_CLOCK").ok().and_then(read).and_then(|text| String::from_utf8(text).ok());
    text.and_then(|text| text.trim().parse().ok()).unwrap_or_default()
}

/// A time for people of the user's time zone: `2026-03-01 18:22 (17:22 UTC)`. In UTC if that is not known.
pub fn local(time: Time) -> String {
    time.to_the_minute_in(&zone().unwrap_or(TimeZone::UTC))
}

/// The time zone that `TZ` names, or else that of the machine. One file is read: to find a zone by its name,
/// jiff would read the whole directory of zones.
fn zone() -> Option<TimeZone> {
    let named = environment().get("TZ").cloned();
    let named = named.as_deref().map(|name| name.strip_prefix(':').unwrap_or(name));
    let file = match named {
        None => MACHINE.into(),
        Some("") => return None,
        // An absolute name is that of a file.
        Some(name) => Utf8Path::new(ZONES).join(name),
    };
    match read_named(&file, LIMIT).ok().flatten() {
        Some(zone) => TimeZone::tzif("", &zone).ok(),
        None => TimeZone::posix(named?).ok(),
    }
}

/// The current time for use in a file name: UTC, to the second, such as `20260301T172210Z`.
pub fn stamp() -> String {
    jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// Measures elapsed time, independent of changes to the system's clock.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts measuring.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Sleeps.
pub fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
