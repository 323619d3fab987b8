//! A container, as `docker inspect` describes it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::names::{ID_LABEL, NUMBER_LABEL, ONE_OFF_LABEL, PROJECT_LABEL, SERVICE_LABEL};
use crate::port::Protocol;
use crate::time::Time;

/// A container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its id, in full.
    pub id: String,
    /// Its name, without the slash before it.
    pub name: String,
    /// The Compose project that it is of.
    pub project: String,
    /// The service that it is of.
    pub service: String,
    /// Its number in the service.
    pub number: u32,
    /// Whether `docker compose run` made it: then it is no part of the service.
    pub is_one_off: bool,
    /// The id of the registry whose slot made it, if it has kinfra's labels.
    pub registry: Option<String>,
    /// What its process does.
    pub activity: Activity,
    /// Its process on the machine of the engine; 0 if it does not run.
    pub pid: u32,
    /// How its process ended last.
    pub exit_code: i32,
    /// Whether the kernel killed it for its memory.
    pub is_out_of_memory: bool,
    /// Why the engine could not start it. Empty if it could.
    pub error: String,
    /// What its health check says, if it has one.
    pub health: Option<Health>,
    /// When it was made, by the engine's clock.
    pub created: Option<Time>,
    /// When its process was started last, by the engine's clock.
    pub started: Option<Time>,
    /// How long its process has been there, by the engine's clock alone and rounded down. Only the list of
    /// containers says it.
    pub up_for: Option<Duration>,
    /// How often the engine has started it again since it was started by hand.
    pub restarts: u32,
    /// When the engine starts it again.
    pub restart: Restart,
    /// Its published ports.
    pub ports: Vec<Published>,
}

/// When the engine starts a container again that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Never.
    Never,
    /// If it failed.
    OnFailure,
    /// In any case.
    Always,
}

/// What a container's process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activity {
    /// It was never started.
    Created,
    /// It runs.
    Running,
    /// It is frozen.
    Paused,
    /// It ended, and the engine starts it again.
    Restarting,
    /// It is being removed.
    Removing,
    /// It ended.
    Exited,
    /// It ended, and cannot be removed.
    Dead,
}

/// What a health check says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The verdict.
    pub verdict: HealthVerdict,
    /// What it printed last.
    pub output: String,
}

/// The verdict of a health check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthVerdict {
    /// It has not succeeded yet.
    Starting,
    /// It succeeds.
    Healthy,
    /// It failed too often.
    Unhealthy,
    /// There is none.
    None,
}

/// A port of a container, and where the engine publishes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The port in the container.
    pub target: u16,
    /// Its protocol.
    pub protocol: Protocol,
    /// The address of the engine's machine. Empty for all.
    pub host_ip: String,
    /// The port of the engine's machine. `None` if the engine chooses.
    pub host: Option<u16>,
}

/// What `docker inspect` is asked for: a JSON array, in the order of `Line`.
pub const TEMPLATE: &str = "[{{json .Id}},{{json .Name}},{{json .Created}},{{json .RestartCount}},\
    {{json .State}},{{json .Config.Labels}},{{json .HostConfig.RestartPolicy}},{{json .HostConfig.PortBindings}}]";

/// An answer to [`TEMPLATE`].
#[derive(Deserialize)]
struct Line(
    String,
    String,
    String,
    u32,
    State,
    Option<BTreeMap<String, String>>,
    Option<Policy>,
    Option<BTreeMap<String, Option<Vec<Binding>>>>,
);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    status: Activity,
    #[serde(default, rename = "OOMKilled")]
    oom_killed: bool,
    #[serde(default)]
    pid: u32,
    #[serde(default)]
    exit_code: i32,
    #[serde(default)]
    error: String,
    #[serde(default)]
    started_at: String,
    #[serde(default)]
    health: Option<StateHealth>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StateHealth {
    status: HealthVerdict,
    #[serde(default)]
    log: Option<Vec<Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Policy {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Binding {
    #[serde(default)]
    host_ip: String,
    #[serde(default)]
    host_port: String,
}

impl Container {
    /// Reads an answer to [`TEMPLATE`].
    ///
    /// # Errors
    /// What is not as Docker prints it.
    pub fn parse(line: &str) -> Result<Self, serde_json::Error> {
        let Line(id, name, created, restarts, state, labels, policy, bindings) = serde_json::from_str(line)?;
        let labels = labels.unwrap_or_default();
        let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
        let State { status, oom_killed, pid, exit_code, error, started_at, health } = state;
        Ok(Self {
            id,
            name: name.trim_start_matches('/').to_owned(),
            project: label(PROJECT_LABEL),
            service: label(SERVICE_LABEL),
            number: label(NUMBER_LABEL).parse().unwrap_or(1),
            is_one_off: label(ONE_OFF_LABEL).eq_ignore_ascii_case("true"),
            registry: labels.get(ID_LABEL).filter(|id| !id.is_empty()).cloned(),
            activity: status,
            pid,
            exit_code,
            is_out_of_memory: oom_killed,
            error,
            health: health.and_then(StateHealth::read),
            created: Time::parse(&created).ok(),
            // Docker writes the year 1 for never.
            started: Time::parse(&started_at).ok().filter(|_| !started_at.starts_with("0001-")),
            up_for: None,
            restarts,
            restart: policy.map_or(Restart::Never, |policy| policy.read()),
            ports: published(bindings.unwrap_or_default()),
        })
    }

    /// Whether its process is there.
    pub fn is_up(&self) -> bool {
        matches!(self.activity, Activity::Running | Activity::Paused)
    }
}

impl Policy {
    fn read(&self) -> Restart {
        match self.name.as_str() {
            "" | "no" => Restart::Never,
            "on-failure" => Restart::OnFailure,
            _ => Restart::Always,
        }
    }
}

impl StateHealth {
    fn read(self) -> Option<Health> {
        let last = self.log.unwrap_or_default().pop();
        let output = last.as_ref().and_then(|last| last.get("Output")).and_then(Value::as_str);
        let output = output.unwrap_or_default().trim().to_owned();
        (self.status != HealthVerdict::None).then_some(Health { verdict: self.status, output })
    }
}

/// The ports of bindings such as `"80/tcp": [{"HostIp": "", "HostPort": "8080"}]`, sorted.
fn published(bindings: BTreeMap<String, Option<Vec<Binding>>>) -> Vec<Published> {
    let mut ports = Vec::new();
    for (target, bindings) in bindings {
        let (target, protocol) = target.split_once('/').unwrap_or((&target, "tcp"));
        let protocol = match protocol {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            // No one can say what listens there.
            _ => continue,
        };
        let Ok(target) = target.parse() else { continue };
        for Binding { host_ip, host_port } in bindings.unwrap_or_default() {
            let host = host_port.parse().ok().filter(|port| *port != 0);
            ports.push(Published { target, protocol, host_ip, host });
        }
    }
    ports.sort_by_key(|port| (port.target, port.protocol));
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSPECTED: &str = r#"["4f2a","/shop-slot-1-db-2","2026-03-01T10:00:00.123456789Z",3,
        {"Status":"running","Running":true,"OOMKilled":false,"Pid":4711,"ExitCode":0,"Error":"","StartedAt":"2026-03-01T10:00:07.5Z",
         "Health":{"Status":"unhealthy","FailingStreak":4,"Log":[{"Output":"first"},{"ExitCode":1,"Output":"no response\n"}]}},
        {"com.docker.compose.project":"shop-slot-1","com.docker.compose.service":"db","com.docker.compose.container-number":"2",
         "com.docker.compose.oneoff":"False","kinfra.id":"k1"},
        {"Name":"unless-stopped","MaximumRetryCount":0},
        {"5432/tcp":[{"HostIp":"127.0.0.1","HostPort":"28433"}],"53/udp":[{"HostIp":"","HostPort":""}],"9/sctp":[{"HostPort":"9"}]}]"#;

    #[test]
    fn what_docker_prints_is_read() {
        let container = Container::parse(INSPECTED).unwrap();
        assert_eq!((container.name.as_str(), container.service.as_str()), ("shop-slot-1-db-2", "db"));
        assert_eq!((container.number, container.restarts, container.pid), (2, 3, 4711));
        assert!(container.restart == Restart::Always && container.is_up() && !container.is_one_off);
        assert_eq!(container.registry.as_deref(), Some("k1"));
        let health = container.health.unwrap();
        assert_eq!((health.verdict, health.output.as_str()), (HealthVerdict::Unhealthy, "no response"));
        let host: Vec<_> = container.ports.iter().map(|port| (port.target, port.host)).collect();
        assert_eq!(host, [(53, None), (5432, Some(28_433))]);
        let never = INSPECTED.replace("2026-03-01T10:00:07.5Z", "0001-01-01T00:00:00Z");
        assert_eq!(Container::parse(&never).unwrap().started, None);
        let plain =
            r#"["a","/b","2026-03-01T10:00:00Z",0,{"Status":"exited","ExitCode":3},null,{"Name":"no"},null]"#;
        let plain = Container::parse(plain).unwrap();
        assert!(plain.restart == Restart::Never && plain.ports.is_empty() && plain.health.is_none());
        assert_eq!((plain.exit_code, plain.number), (3, 1));
        assert!(Container::parse("no such container").is_err());
    }
}
