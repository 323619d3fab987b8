//! The current time, measuring time, and sleeping.
#![expect(clippy::disallowed_methods, reason = "the rest of kinfra gets its time from here")]

use std::time::{Duration, Instant, SystemTime};

use camino::Utf8Path;
use jiff::tz::TimeZone;

use super::fs::read_named;
use super::invocation::in_environment;
use crate::fault::Fault;
use crate::time::Time;

/// The time zone of the machine.
const MACHINE: &str = "/etc/localtime";
/// The directory of the zones that there are.
const ZONES: &str = "/usr/share/zoneinfo";
/// The largest file of a zone that is read, in bytes.
const LIMIT: u64 = 1 << 20;

/// Seconds since 1970, UTC. Before that, less than zero.
pub fn unix_seconds() -> i64 {
    unix_micros().div_euclid(1_000_000)
}

/// The current time, to the microsecond. A clock that is beyond all times that can be written is at the end
/// of them.
pub fn now() -> Time {
    Time::from_unix_micros(unix_micros())
}

/// Refuses a clock that shows a time which no registry can hold, or hardly any lease could follow.
///
/// # Errors
/// [`Fault`] says what it shows.
pub fn check() -> Result<(), Fault> {
    let now = now();
    if now.is_usable() {
        return Ok(());
    }
    let what = format!("the clock of this machine cannot be right: it says {}", now.to_the_minute());
    Err(Fault::failed(what).unchanged().advise("set it, as with `date`, and try again"))
}

fn unix_micros() -> i64 {
    let micros = match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros),
    };
    micros.saturating_add(seconds_ahead_in_a_test().saturating_mul(1_000_000))
}

/// How far the clock of a test is ahead: `KINFRA_TEST_CLOCK` names the file with the seconds. It is a file,
/// so that time also passes for what runs. A release build ignores the variable.
fn seconds_ahead_in_a_test() -> i64 {
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
    let named = in_environment("TZ");
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
    now().in_file_name()
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
