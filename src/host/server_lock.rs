//! A lock on a server that is held for longer than a change: the lock of a transaction which stays open. It
//! ends with its connection, so it is not held for ever, and PgBouncer may be between.

use std::fmt;
use std::time::Duration;

use anyhow::Result;

use crate::fault::Fault;
use crate::host::clock::Stopwatch;
use crate::host::lock::{Hold, LockPolicy};
use crate::host::postgres::{Connection, beginning, quoted};
use crate::host::signals::Interrupt;

/// How long the server waits for the lock, before it is asked again: Ctrl-C is heard in between.
const HEARD: Duration = Duration::from_secs(2);

/// A lock. It is held until it is dropped, or the connection is lost.
pub struct ServerLock {
    connection: Connection,
    name: String,
}

impl fmt::Debug for ServerLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the lock of {}", self.name)
    }
}

impl ServerLock {
    /// Takes the lock of a name. `None` where another client holds it for longer than the patience.
    ///
    /// # Errors
    /// [`Fault`] when the server cannot be asked, or on Ctrl-C.
    pub fn take(
        connection: Connection,
        name: String,
        hold: Hold,
        policy: &LockPolicy<'_>,
    ) -> Result<Option<Self>> {
        let waiting = Stopwatch::start();
        loop {
            let left = policy.patience.saturating_sub(waiting.elapsed());
            // To the server, no time at all is without an end.
            let most = left.min(HEARD).as_millis().max(1);
            match connection.run(&taking(&name, hold, most)) {
                Ok(_) => return Ok(Some(Self { connection, name })),
                Err(failure) if failure.is_locked() => drop(connection.ask("rollback")?),
                Err(failure) => return Err(failure.fault(connection.login()).into()),
            }
            if policy.interrupt.is_some_and(Interrupt::is_requested) {
                return Err(Fault::interrupted("stopped waiting for the lock: nothing was done").into());
            }
            if left <= HEARD {
                return Ok(None);
            }
        }
    }

    /// Holds it together with others from now on. One that waited to be alone may come in between.
    pub fn share(&self) {
        let most = HEARD.as_millis();
        let _ = self.connection.run(&format!("commit; {}", taking(&self.name, Hold::Together, most)));
    }
}

/// The statements that begin a transaction and take the lock in it.
fn taking(name: &str, hold: Hold, most: u128) -> String {
    let kind = match hold {
        Hold::Alone => "",
        Hold::Together => "_shared",
    };
    format!(
        "{}; set local idle_in_transaction_session_timeout = 0; set local tcp_keepalives_idle = 30; set local \
         tcp_keepalives_interval = 10; set local tcp_keepalives_count = 3; set local lock_timeout = {most}; select \
         pg_advisory_xact_lock{kind}(hashtextextended({}, 0))",
        beginning(),
        quoted(name)
    )
}
