//! Time: how late it is, how long something took, waiting.
#![expect(clippy::disallowed_methods, reason = "this is where the rest of kinfra gets its time from")]

use std::time::{Duration, Instant, SystemTime};

use crate::time::Time;

/// Seconds since 1970, UTC.
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The time, to the microsecond.
pub fn now() -> Time {
    Time::from_unix_micros(jiff::Timestamp::now().as_microsecond())
}

/// The time as the name of a file can hold it: UTC, to the second.
pub fn stamp() -> String {
    jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// Measures how long something takes, whatever happens to the clock on the wall.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts measuring.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since it was started.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Waits.
pub fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
