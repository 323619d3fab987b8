//! A container, as `docker ps` lists it.

use std::time::Duration;

use serde::Deserialize;

use super::container::{Activity, HealthVerdict};
use crate::thing::{Kind, Labels, Thing};

/// What `docker ps` is asked for: a JSON array, in the order of `Line`. Each label by itself, because
/// Docker's list of all labels is ambiguous.
pub const TEMPLATE: &str = "[{{json .ID}},{{json .State}},{{json .Status}},{{json .RunningFor}},\
    {{json (.Label \"com.docker.compose.project\")}},{{json (.Label \"com.docker.compose.service\")}},\
    {{json (.Label \"com.docker.compose.oneoff\")}},{{json (.Label \"kinfra.id\")}},\
    {{json (.Label \"kinfra.slot\")}},{{json (.Label \"com.docker.compose.project.working_dir\")}}]";

/// An answer to [`TEMPLATE`].
#[derive(Deserialize)]
struct Line(String, Activity, String, String, String, String, String, String, String, String);

/// A container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its id, in full.
    pub id: String,
    /// What its process does.
    pub activity: Activity,
    /// The service that it is of.
    pub service: String,
    /// Whether `docker compose run` made it.
    pub is_one_off: bool,
    /// Whose it is. The root is not asked for.
    pub labels: Labels,
    /// How long ago it was made, by the clock of this machine, rounded down as Docker does.
    pub exists_for: Option<Duration>,
    /// How long it has run, if it does, by the clock of the engine, rounded down as Docker does.
    pub up_for: Option<Duration>,
    /// How its process ended, if it did.
    pub exit_code: Option<i32>,
    /// What its health check says.
    pub health: HealthVerdict,
}

impl Row {
    /// The container, without what it does.
    pub fn thing(&self) -> Thing {
        let (key, name) = (self.id.clone(), self.id.clone());
        Thing { kind: Kind::Container, key, name, labels: self.labels.clone(), bytes: None }
    }

    /// Reads an answer to [`TEMPLATE`].
    ///
    /// # Errors
    /// What is not as Docker prints it.
    pub fn parse(line: &str) -> Result<Self, serde_json::Error> {
        let Line(id, activity, status, created, project, service, one_off, registry, slot, working_dir) =
            serde_json::from_str(line)?;
        let health = match status.rsplit_once('(').map(|(_, health)| health) {
            Some("healthy)") => HealthVerdict::Healthy,
            Some("unhealthy)") => HealthVerdict::Unhealthy,
            Some("health: starting)") => HealthVerdict::Starting,
            Some(_) | None => HealthVerdict::None,
        };
        Ok(Self {
            id,
            activity,
            service,
            is_one_off: one_off.eq_ignore_ascii_case("true"),
            labels: Labels { project, working_dir, id: registry, root: String::new(), slot },
            exists_for: created.strip_suffix(" ago").and_then(duration),
            up_for: status.strip_prefix("Up ").and_then(duration),
            exit_code: exit_code(&status),
            health,
        })
    }
}

/// A time in words such as `5 minutes (healthy)`, `About an hour`, `Less than a second`.
fn duration(words: &str) -> Option<Duration> {
    let words = words.split(" (").next().unwrap_or(words);
    let (count, unit) = match words {
        "Less than a second" => (0, "seconds"),
        "About a minute" => (1, "minutes"),
        "About an hour" => (1, "hours"),
        words => {
            let (count, unit) = words.split_once(' ')?;
            (count.parse().ok()?, unit)
        }
    };
    let seconds = match unit.trim_end_matches('s') {
        "second" => 1,
        "minute" => 60,
        "hour" => 60 * 60,
        "day" => 24 * 60 * 60,
        "week" => 7 * 24 * 60 * 60,
        "month" => 30 * 24 * 60 * 60,
        "year" => 365 * 24 * 60 * 60,
        _ => return None,
    };
    Some(Duration::from_secs(seconds).saturating_mul(count))
}

/// The code in `Exited (3) 2 minutes ago` and `Restarting (1) 3 seconds ago`.
fn exit_code(status: &str) -> Option<i32> {
    let words = status.strip_prefix("Exited (").or_else(|| status.strip_prefix("Restarting ("))?;
    words.split(')').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_docker_lists_is_read() {
        let line = r#"["4f2a","running","Up 5 minutes (unhealthy)","2 hours ago","shop-slot-1","db","False","k1","1","/src/shop"]"#;
        let row = Row::parse(line).unwrap();
        assert_eq!((row.service.as_str(), row.labels.slot.as_str(), row.is_one_off), ("db", "1", false));
        assert_eq!((row.up_for, row.health), (Some(Duration::from_mins(5)), HealthVerdict::Unhealthy));
        assert_eq!(row.exists_for, Some(Duration::from_hours(2)));
        let row = Row::parse(
            r#"["4f2a","exited","Exited (137) 2 hours ago","3 hours ago","p","s","True","","",""]"#,
        )
        .unwrap();
        assert_eq!((row.exit_code, row.up_for, row.is_one_off), (Some(137), None, true));
    }

    #[test]
    fn dockers_words_for_times_are_read() {
        for (words, seconds) in [
            ("Less than a second", Some(0)),
            ("1 second", Some(1)),
            ("59 seconds (health: starting)", Some(59)),
            ("About a minute (Paused)", Some(60)),
            ("12 minutes", Some(720)),
            ("About an hour (healthy)", Some(3600)),
            ("3 weeks", Some(1_814_400)),
            ("2 years", Some(63_072_000)),
            ("Created", None),
            ("since the flood", None),
            ("5 fortnights", None),
        ] {
            assert_eq!(duration(words), seconds.map(Duration::from_secs), "{words}");
        }
        assert_eq!(exit_code("Restarting (3) Less than a second ago"), Some(3));
        assert_eq!(exit_code("Exited (-1) 2 seconds ago"), Some(-1));
        assert_eq!(exit_code("Up 3 seconds"), None);
    }
}
