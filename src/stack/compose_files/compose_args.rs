//! The arguments of `kinfra compose`: which command of Compose they are, and what they must not say. Pure.

use std::ffi::{OsStr, OsString};

use crate::fault::Fault;

/// The flags of `docker compose` that kinfra sets itself.
const OWN_FLAGS: [&str; 6] = ["-f", "--file", "-p", "--project-name", "--project-directory", "--env-file"];

/// The flags of `docker compose` that have a value.
const WITH_VALUE: [&str; 4] = ["--profile", "--ansi", "--parallel", "--progress"];

/// The commands that start containers.
const STARTS: [&str; 8] = ["up", "create", "run", "start", "restart", "watch", "scale", "unpause"];

/// The commands that only look, or touch nothing under the project's name.
const LOOKS: [&str; 16] = [
    "build", "config", "convert", "events", "help", "images", "logs", "ls", "port", "ps", "pull", "push",
    "stats", "top", "version", "volumes",
];

/// The commands that need no files.
const BY_NAME: [&str; 5] = ["down", "kill", "logs", "ps", "stop"];

/// The arguments of `docker compose`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComposeArgs {
    /// All of them, as they were given.
    pub all: Vec<OsString>,
    /// Compose's command. Without one, Compose prints its help.
    pub command: Option<String>,
    /// The profiles that they make active.
    pub profiles: Vec<String>,
    /// Whether no profile means none, and not those that are kept with the slot.
    decides_profiles: bool,
}

impl ComposeArgs {
    /// Reads them.
    ///
    /// # Errors
    /// [`Fault`] when they name files or a project.
    pub fn read(all: Vec<OsString>) -> Result<Self, Fault> {
        let (mut command, mut profiles) = (None, Vec::new());
        let mut words = all.iter().map(OsString::as_os_str);
        while let Some(word) = words.next() {
            let word = word.to_string_lossy();
            let (flag, value) =
                word.split_once('=').map_or((&*word, None), |(flag, value)| (flag, Some(value)));
            if !flag.starts_with('-') {
                command = Some(word.into_owned());
                break;
            }
            if is_own(flag) {
                let what = format!("kinfra sets `{}` itself, for the slot", flag.escape_debug());
                let advice = "leave it out: `files` of [compose] in slots.toml names the files";
                return Err(Fault::usage(what).advise(advice));
            }
            let value = match value {
                Some(value) => Some(value.to_owned()),
                None if WITH_VALUE.contains(&flag) => {
                    words.next().map(OsStr::to_string_lossy).map(Into::into)
                }
                None => None,
            };
            profiles.extend(value.filter(|_| flag == "--profile"));
        }
        Ok(Self { all, command, profiles, decides_profiles: false })
    }

    /// The arguments of `kinfra up`.
    pub fn up(services: impl Iterator<Item = String>, profiles: Vec<String>) -> Self {
        let all = ["up".to_owned()].into_iter().chain(services).map(OsString::from).collect();
        Self { all, command: Some("up".to_owned()), profiles, decides_profiles: true }
    }

    /// The profiles that are to be kept with the slot. `None` if the command says nothing of them.
    pub fn keeps_profiles(&self) -> Option<&[String]> {
        (self.decides_profiles || !self.profiles.is_empty()).then_some(self.profiles.as_slice())
    }

    /// Whether the command needs no files: Compose finds the containers by the project's name.
    pub fn goes_by_name(&self) -> bool {
        self.command.as_deref().is_some_and(|command| BY_NAME.contains(&command))
    }

    /// Whether the command ends the stack.
    pub fn ends(&self) -> bool {
        self.command.as_deref() == Some("down")
    }

    /// The words after the command: services are among them.
    pub fn operands(&self) -> impl Iterator<Item = &str> {
        let words = self.all.iter().filter_map(|word| word.to_str());
        let command = self.command.as_deref();
        words.skip_while(move |word| Some(*word) != command).skip(1)
    }

    /// Whether the command may change or enter what is there under the project's name.
    pub fn touches(&self) -> bool {
        self.command.as_deref().is_some_and(|command| !LOOKS.contains(&command))
    }

    /// Whether the command may make something that is the stack's: no verb may find the slot clean meanwhile.
    /// What only ends or looks makes nothing, and what is pulled belongs to no slot.
    pub fn makes(&self) -> bool {
        self.starts() || self.command.as_deref() == Some("build")
    }

    /// Whether the command may start containers.
    pub fn starts(&self) -> bool {
        self.command.as_deref().is_some_and(|command| STARTS.contains(&command))
    }
}

/// Whether kinfra sets a flag itself. A short one may have its value right behind it.
fn is_own(flag: &str) -> bool {
    let is_short = |own: &&str| !own.starts_with("--") && flag.starts_with(*own);
    OWN_FLAGS.contains(&flag) || OWN_FLAGS.iter().any(is_short)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<ComposeArgs, Fault> {
        ComposeArgs::read(line.split_whitespace().map(Into::into).collect())
    }

    #[test]
    fn the_command_is_the_first_word_that_is_no_flag() {
        for (line, command, profiles) in [
            ("up -d", Some("up"), &[][..]),
            ("--profile debug up --profile x", Some("up"), &["debug"]),
            ("--profile=a --profile b --ansi never ps", Some("ps"), &["a", "b"]),
            ("--progress up logs", Some("logs"), &[]),
            ("exec db psql -f x.sql -p 5432", Some("exec"), &[]),
            ("--help", None, &[]),
            ("", None, &[]),
        ] {
            let read = read(line).unwrap();
            assert_eq!(
                (read.command.as_deref(), read.profiles.as_slice()),
                (command, &profiles.iter().map(|profile| (*profile).to_owned()).collect::<Vec<_>>()[..]),
                "{line}"
            );
        }
        for line in [
            "up",
            "create",
            "run web sh",
            "start",
            "restart",
            "watch",
            "--profile x up",
            "scale web=2",
            "unpause",
        ] {
            let read = read(line).unwrap();
            assert!(read.starts() && read.makes(), "{line}");
        }
        assert!(read("build web").unwrap().makes());
        for line in ["down", "stop", "exec web up", "pull", "logs -f"] {
            assert!(!read(line).unwrap().makes(), "{line}");
        }
        for line in ["ps", "down", "exec web up", "logs up", "--progress up ps", "build"] {
            assert!(!read(line).unwrap().starts(), "{line}");
        }
        for (line, touches) in
            [("down -v", true), ("exec db psql", true), ("rm", true), ("ps", false), ("", false)]
        {
            assert_eq!(read(line).unwrap().touches(), touches, "{line}");
        }
    }

    #[test]
    fn a_start_of_kinfras_decides_the_profiles_and_a_command_keeps_those_it_names() {
        let kept = |arguments: &ComposeArgs| arguments.keeps_profiles().map(<[String]>::to_vec);
        let debug = vec!["debug".to_owned()];
        for profiles in [debug.clone(), Vec::new()] {
            let up = ComposeArgs::up(std::iter::empty(), profiles.clone());
            assert_eq!(kept(&up), Some(profiles));
        }
        assert_eq!(kept(&read("--profile debug up").unwrap()), Some(debug));
        assert_eq!(kept(&read("up").unwrap()), None);
    }

    #[test]
    fn what_kinfra_sets_itself_is_refused() {
        for line in [
            "-f a.yaml up",
            "-fa.yaml up",
            "--file=a up",
            "-p x ps",
            "-px ps",
            "--project-name x up",
            "--env-file x up",
            "--project-directory=/x up",
        ] {
            let refused = read(line).unwrap_err();
            assert!(refused.what.contains("kinfra sets `"), "{line}: {refused}");
        }
    }

    #[test]
    fn a_flag_without_a_value_takes_no_word() {
        for (line, command) in [("--dry-run up", "up"), ("--verbose ps", "ps"), ("--profile up ps", "ps")] {
            assert_eq!(read(line).unwrap().command.as_deref(), Some(command), "{line}");
        }
        for line in
            ["--parallel 3 up", "--progress plain up", "--profile-x up", "--ansi=never up", "-h", "-v ps"]
        {
            assert!(read(line).is_ok(), "{line}");
        }
        for (line, ends, by_name) in
            [("down -v", true, true), ("ps", false, true), ("up", false, false), ("", false, false)]
        {
            let read = read(line).unwrap();
            assert_eq!((read.ends(), read.goes_by_name()), (ends, by_name), "{line}");
        }
        assert_eq!(read("--profile a up web db").unwrap().operands().collect::<Vec<_>>(), ["web", "db"]);
    }
}
