//! What a slot's stack does, in short. Pure.

use std::time::Duration;

use crate::stack::gate::state::ServiceState;

/// What is known of a slot's stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// Nothing was started in the slot, as far as kinfra knows.
    NeverStarted,
    /// Docker did not say, for this reason.
    Unknown(String),
    /// The containers that Docker showed.
    Seen(Vec<Glance>),
    /// It was started and not ended since, and nothing of it runs: the containers that Docker showed.
    WasUp(Vec<Glance>),
}

/// A container, at a glance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glance {
    /// Its service.
    pub service: String,
    /// What it does. One that runs for a while counts as settled: the gate looks closer.
    pub state: ServiceState,
    /// How its process ended, if it did.
    pub exit_code: Option<i32>,
    /// Whether it ended because its memory was too little.
    pub is_out_of_memory: bool,
    /// How long it has run, if it does.
    pub up_for: Option<Duration>,
}

impl Glance {
    /// Whether it ended because its memory was too little, and stays so.
    pub fn is_killed_for_memory(&self) -> bool {
        self.is_out_of_memory && self.state == ServiceState::Failed
    }
}

/// What a stack does as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StackState {
    /// Nothing was started.
    NeverStarted,
    /// Docker did not say.
    Unknown,
    /// It was started, and has no containers now.
    Down,
    /// Its containers have ended, none by a failure of its own.
    Exited,
    /// A service ends again and again.
    Looping,
    /// A service ended because its memory was too little.
    OutOfMemory,
    /// A service has failed.
    Failed,
    /// A health check says no.
    Unhealthy,
    /// A service is not ready yet.
    Starting,
    /// All that should run does.
    Running,
}

impl StackState {
    /// Its word in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::NeverStarted => "never_started",
            Self::Unknown => "unknown",
            Self::Down => "down",
            Self::Exited => "exited",
            Self::Looping => "looping",
            Self::OutOfMemory => "oom",
            Self::Failed => "failed",
            Self::Unhealthy => "unhealthy",
            Self::Starting => "starting",
            Self::Running => "running",
        }
    }
}

/// The exit codes of containers that were asked to stop: by themselves, by SIGKILL, by SIGTERM.
const ASKED_TO_STOP: [i32; 3] = [0, 137, 143];
/// The exit code of a container whose end the engine did not see, because it had ended itself.
const UNSEEN: i32 = 255;

impl Sight {
    /// The containers that Docker showed.
    pub fn glances(&self) -> &[Glance] {
        match self {
            Self::NeverStarted | Self::Unknown(_) => &[],
            Self::Seen(glances) | Self::WasUp(glances) => glances,
        }
    }

    /// Whether Docker showed what there is.
    pub fn is_seen(&self) -> bool {
        matches!(self, Self::Seen(_) | Self::WasUp(_))
    }

    /// Whether both say the same, but for how long it has been so.
    pub fn is_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Seen(one), Self::Seen(other)) => {
                let timeless = |glance: &Glance| Glance { up_for: None, ..glance.clone() };
                one.iter().map(timeless).eq(other.iter().map(timeless))
            }
            (Self::Seen(_) | Self::WasUp(_) | Self::NeverStarted | Self::Unknown(_), _) => self == other,
        }
    }

    /// For how long the container is up that started last. Docker tells it in its largest unit, rounded.
    /// `None` if none of them runs.
    pub fn youngest(&self) -> Option<Duration> {
        self.glances().iter().filter_map(|glance| glance.up_for).min()
    }

    /// What the stack does as a whole: the worst that one of its services does.
    pub fn state(&self) -> StackState {
        let glances = match self {
            Self::NeverStarted => return StackState::NeverStarted,
            Self::Unknown(_) => return StackState::Unknown,
            Self::Seen(glances) | Self::WasUp(glances) if glances.is_empty() => return StackState::Down,
            Self::Seen(glances) | Self::WasUp(glances) => glances,
        };
        let was_up = matches!(self, Self::WasUp(_));
        let any = |state: ServiceState| glances.iter().any(|glance| glance.state == state);
        let is_up = glances.iter().any(|glance| glance.up_for.is_some());
        let was_stopped = |glance: &Glance| {
            let stops = |code: i32| ASKED_TO_STOP.contains(&code) || (was_up && code == UNSEEN);
            !glance.is_out_of_memory && glance.exit_code.is_none_or(stops)
        };
        if any(ServiceState::Looping) {
            StackState::Looping
        } else if !is_up
            && glances.iter().all(|glance| was_stopped(glance) && glance.state != ServiceState::Created)
        {
            StackState::Exited
        } else if glances.iter().any(Glance::is_killed_for_memory) {
            StackState::OutOfMemory
        } else if any(ServiceState::Failed) {
            StackState::Failed
        } else if any(ServiceState::Unhealthy) {
            StackState::Unhealthy
        } else if any(ServiceState::Starting) || any(ServiceState::Created) {
            StackState::Starting
        } else {
            StackState::Running
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glance(state: ServiceState, exit_code: Option<i32>) -> Glance {
        let is_up = exit_code.is_none() && state != ServiceState::Created;
        Glance {
            service: "web".to_owned(),
            state,
            exit_code,
            is_out_of_memory: false,
            up_for: is_up.then_some(Duration::from_mins(1)),
        }
    }

    #[test]
    fn the_worst_service_says_what_the_stack_does() {
        use ServiceState::{Created, Done, Failed, Healthy, Looping, Settled, Starting, Unhealthy};
        let (up, healthy) = (glance(Settled, None), glance(Healthy, None));
        let killed = Glance { is_out_of_memory: true, ..glance(Failed, Some(137)) };
        for (glances, state) in [
            (vec![], StackState::Down),
            (vec![up.clone(), healthy.clone()], StackState::Running),
            (vec![up.clone(), glance(Done, Some(0))], StackState::Running),
            (vec![up.clone(), glance(Starting, None)], StackState::Starting),
            (vec![glance(Created, None)], StackState::Starting),
            (vec![glance(Starting, None), glance(Unhealthy, None)], StackState::Unhealthy),
            (vec![glance(Unhealthy, None), glance(Failed, Some(1))], StackState::Failed),
            (vec![up.clone(), glance(Failed, Some(0))], StackState::Failed),
            (vec![up.clone(), glance(Failed, Some(1)), glance(Looping, Some(1))], StackState::Looping),
            (vec![glance(Failed, Some(137)), glance(Failed, Some(0))], StackState::Exited),
            (vec![glance(Failed, Some(137)), glance(Failed, Some(1))], StackState::Failed),
            (vec![glance(Done, Some(0))], StackState::Exited),
            (vec![killed.clone()], StackState::OutOfMemory),
            (vec![up.clone(), glance(Failed, Some(1)), killed.clone()], StackState::OutOfMemory),
            (vec![Glance { state: Looping, ..killed }], StackState::Looping),
        ] {
            assert_eq!(Sight::Seen(glances.clone()).state(), state, "{glances:?}");
        }
        // An engine that was killed did not see how its containers ended.
        let unseen = vec![glance(Failed, Some(255))];
        assert_eq!(Sight::Seen(unseen.clone()).state(), StackState::Failed);
        assert_eq!(Sight::WasUp(unseen).state(), StackState::Exited);
        assert_eq!(Sight::WasUp(vec![glance(Failed, Some(1))]).state(), StackState::Failed);
        assert_eq!(Sight::NeverStarted.state(), StackState::NeverStarted);
        assert_eq!(Sight::Unknown(String::new()).state(), StackState::Unknown);
    }

    #[test]
    fn for_how_long_a_container_is_up_makes_no_difference() {
        let up = |minutes: u64| Glance {
            up_for: Some(Duration::from_mins(minutes)),
            ..glance(ServiceState::Settled, None)
        };
        let seen = |glances: &[Glance]| Sight::Seen(glances.to_vec());
        let stopped = glance(ServiceState::Failed, Some(0));
        for (one, other, is_as) in [
            (seen(&[up(1)]), seen(&[up(2)]), true),
            (seen(&[up(1)]), seen(&[up(1), up(1)]), false),
            (seen(&[up(1)]), seen(std::slice::from_ref(&stopped)), false),
            (seen(&[up(1)]), Sight::WasUp(vec![up(1)]), false),
            (Sight::WasUp(vec![up(1)]), Sight::WasUp(vec![up(2)]), false),
            (Sight::NeverStarted, Sight::NeverStarted, true),
            (Sight::Unknown("a".to_owned()), Sight::Unknown("b".to_owned()), false),
        ] {
            assert_eq!(one.is_as(&other), is_as, "{one:?} {other:?}");
        }
        assert_eq!(seen(&[up(3), up(2), stopped]).youngest(), Some(Duration::from_mins(2)));
        assert!(seen(&[]).is_seen() && Sight::WasUp(Vec::new()).is_seen());
        assert!(!Sight::NeverStarted.is_seen() && !Sight::Unknown(String::new()).is_seen());
    }
}
