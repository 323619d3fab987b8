//! The current time, measuring time, and sleeping.
#![expect(clippy::disallowed_methods, reason = "the rest of kinfra gets its time from here")]

use std::time::{Duration, Instant, SystemTime};

use crate::time::Time;

/// Seconds since 1970, UTC.
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The current time, to the microsecond.
pub fn now() -> Time {
    Time::from_unix_micros(jiff::Timestamp::now().as_microsecond())
}

/// A time for people of this machine's time zone: `2026-03-01 18:22 (17:22 UTC)`.
pub fn local(time: Time) -> String {
    time.to_the_minute_in(&jiff::tz::TimeZone::system())
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
