//! What each tool's files have to say. `docs/hooks.md` says where each format is described.

use super::block::{self, Obstacle, Spot};
use super::json_text::{self, Item};
use super::tables::{self, Line};
use super::tool::Tool;

/// A file that gets hooks.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    /// Where it is.
    pub place: Place,
    what: What,
}

/// Where a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Below the top of the worktree.
    Worktree(&'static str),
    /// In git's directory of hooks. It is a program.
    GitHooks(&'static str),
}

/// What a file gets.
#[derive(Debug, Clone, Copy)]
enum What {
    /// Values in its JSON.
    Json(&'static [Item<'static>]),
    /// Lines in a script of the shell.
    Script(&'static str),
    /// Lines at the end of a text.
    Lines(&'static str),
    /// A line in each of some tables of TOML.
    Tables(&'static [Line]),
}

/// Where kinfra is not installed, git goes on.
const POST_CHECKOUT: &str = "\
if command -v kinfra >/dev/null 2>&1; then
    kinfra hook run post-checkout \"$@\" || :
fi
";

/// The first line of a script that kinfra makes.
const SHEBANG: &str = "#!/bin/sh\n";

/// The shells that read such lines.
const SHELLS: [&str; 6] = ["sh", "bash", "dash", "zsh", "ksh", "ash"];

/// Lines for direnv's shell.
const ENVRC: &str = "watch_file .env.sandbox\neval \"$(kinfra env)\" || :\n";

/// The tables of worktrunk's hooks.
const WORKTRUNK: [Line; 2] = [
    Line {
        table: "pre-start",
        line: "kinfra = \"kinfra hook run setup\" # added by kinfra",
        command: "kinfra hook run setup",
    },
    Line {
        table: "pre-remove",
        line: "kinfra = \"kinfra hook run archive\" # added by kinfra",
        command: "kinfra hook run archive",
    },
];

/// An entry of Claude Code's settings. Codex writes it alike. JSON has no comments, but the shell has: by
/// them, what kinfra added is told from what a person wrote.
macro_rules! on_event {
    ($event:literal, $command:literal) => {
        Item {
            path: &["hooks", $event],
            value: concat!(
                r#"{ "hooks": [{ "type": "command", "command": ""#,
                $command,
                r#" # added by kinfra" }] }"#
            ),
            is_listed: true,
            command: $command,
        }
    };
}

/// A command by itself.
macro_rules! command {
    ($path:expr, $command:literal, $is_listed:literal) => {
        Item {
            path: $path,
            value: concat!("\"", $command, " # added by kinfra\""),
            is_listed: $is_listed,
            command: $command,
        }
    };
}

const CLAUDE: [Item<'static>; 4] = [
    on_event!("WorktreeCreate", "kinfra hook run worktree-create"),
    on_event!("WorktreeRemove", "kinfra hook run worktree-remove"),
    on_event!("SessionStart", "kinfra hook run session-start"),
    on_event!("SessionEnd", "kinfra hook run session-end"),
];

const CODEX: [Item<'static>; 1] = [on_event!("SessionStart", "kinfra hook run session-start")];

const CURSOR: [Item<'static>; 1] = [command!(&["setup-worktree"], "kinfra hook run setup", true)];

/// Where this name is there, Cursor does not read the other one.
const CURSOR_UNIX: [Item<'static>; 1] = [command!(&["setup-worktree-unix"], "kinfra hook run setup", true)];

const CONDUCTOR: [Item<'static>; 2] = [
    command!(&["scripts", "setup"], "kinfra hook run setup", false),
    command!(&["scripts", "archive"], "kinfra hook run archive", false),
];

const fn in_worktree(path: &'static str, what: What) -> Recipe {
    Recipe { place: Place::Worktree(path), what }
}

/// The file of a tool.
pub fn recipe(tool: Tool) -> Recipe {
    match tool {
        Tool::Git => Recipe { place: Place::GitHooks("post-checkout"), what: What::Script(POST_CHECKOUT) },
        Tool::Claude => in_worktree(".claude/settings.json", What::Json(&CLAUDE)),
        Tool::Cursor => in_worktree(".cursor/worktrees.json", What::Json(&CURSOR)),
        Tool::Codex => in_worktree(".codex/hooks.json", What::Json(&CODEX)),
        Tool::Conductor => in_worktree("conductor.json", What::Json(&CONDUCTOR)),
        Tool::Worktrunk => in_worktree(".config/wt.toml", What::Tables(&WORKTRUNK)),
        Tool::Direnv => in_worktree(".envrc", What::Lines(ENVRC)),
    }
}

impl Recipe {
    /// The text of the file with its hooks.
    ///
    /// # Errors
    /// The [`Obstacle`] why it cannot have them.
    pub fn with(&self, old: Option<&str>) -> Result<String, Obstacle> {
        match self.what {
            What::Json(items) => {
                let mut text = old.map(str::to_owned);
                for item in in_use(items, old) {
                    text = Some(json_text::with(text.as_deref(), item).map_err(Obstacle::Other)?);
                }
                text.ok_or_else(|| Obstacle::Other("it has no value".to_owned()))
            }
            What::Script(lines) => {
                let script = old.unwrap_or(SHEBANG);
                if !is_shell(script) {
                    return Err(Obstacle::Other("it is no script of a shell".to_owned()));
                }
                if script.contains("\r\n") {
                    return Err(Obstacle::Other("its lines end in CRLF, which no shell reads".to_owned()));
                }
                block::with(old, SHEBANG, lines, (Spot::BelowFirst, |block: &str| block == lines))
            }
            What::Lines(lines) => block::with(old, "", lines, (Spot::End, |block: &str| block == lines)),
            What::Tables(tables) => tables::with(old, tables),
        }
    }

    /// The text of the file without its hooks. `None` if nothing else is in it.
    ///
    /// # Errors
    /// The [`Obstacle`] why they cannot be taken away.
    pub fn without(&self, old: &str) -> Result<Option<String>, Obstacle> {
        match self.what {
            What::Json(items) => {
                let mut text = Some(old.to_owned());
                for item in in_use(items, Some(old)).iter().rev() {
                    let Some(now) = text else { break };
                    text = json_text::without(&now, item).map_err(Obstacle::Other)?;
                }
                Ok(text)
            }
            What::Script(lines) => block::without(old, SHEBANG, |block| block == lines),
            What::Lines(lines) => block::without(old, "", |block| block == lines),
            What::Tables(tables) => tables::without(old, tables),
        }
    }

    /// What to do by hand where it cannot be done.
    pub fn by_hand(&self, obstacle: &Obstacle) -> String {
        match self.what {
            _ if matches!(obstacle, Obstacle::Block(_)) => {
                "keep what is yours, remove the markers and kinfra's lines, and run it again".to_owned()
            }
            What::Json(items) => {
                let names: Vec<String> = items
                    .iter()
                    .map(|item| format!("`{}` to `{}`", item.command, item.path.join(".")))
                    .collect();
                format!("mend the file, or add {} yourself", names.join(", "))
            }
            What::Script(_) => {
                "call `kinfra hook run post-checkout` in it, with the same arguments".to_owned()
            }
            What::Lines(_) => "evaluate `kinfra env` in it".to_owned(),
            What::Tables(tables) => {
                let lines: Vec<String> =
                    tables.iter().map(|it| format!("`{}` to `[{}]`", it.command, it.table)).collect();
                format!("mend the file, or add {} yourself", lines.join(" and "))
            }
        }
    }
}

/// The items that a tool reads in a file.
fn in_use(items: &'static [Item<'static>], text: Option<&str>) -> &'static [Item<'static>] {
    let has_unix = |text: &str| {
        let value = serde_json::from_str::<serde_json::Value>(text).ok();
        value.is_some_and(|value| value.get("setup-worktree-unix").is_some())
    };
    if items == CURSOR && text.is_some_and(has_unix) { &CURSOR_UNIX } else { items }
}

/// Whether a script is one of a shell, by its first line.
fn is_shell(script: &str) -> bool {
    let Some(first) = script.lines().next().and_then(|line| line.strip_prefix("#!")) else { return false };
    let mut words = first.split_whitespace().map(|word| word.rsplit('/').next().unwrap_or(word));
    let is_word_of_env = |word: &&str| word.starts_with('-') || word.contains('=');
    let program = words.next();
    let program = if program == Some("env") { words.find(|word| !is_word_of_env(word)) } else { program };
    program.is_some_and(|program| SHELLS.contains(&program))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_of_a_shell_is_known_by_its_first_line() {
        for script in [
            "#!/bin/sh\n",
            "#! /usr/bin/env bash\nset -e\n",
            "#!/bin/dash -e",
            "#!/usr/bin/env -S bash -eu",
            "#!/usr/bin/env -S A=b sh",
        ] {
            assert!(is_shell(script), "{script}");
        }
        for script in [
            "",
            "echo\n",
            "#!/usr/bin/python3\n",
            "#!/usr/bin/env node\n",
            "#!\n",
            "#!/usr/bin/env\n",
            "\u{7f}ELF",
        ] {
            assert!(!is_shell(script), "{script}");
        }
    }

    #[test]
    fn cursor_s_list_for_unix_comes_first() {
        let cursor = recipe(Tool::Cursor);
        let old = "{\n  \"setup-worktree\": [\"a\"],\n  \"setup-worktree-unix\": [\"b\"]\n}\n";
        let new = cursor.with(Some(old)).unwrap();
        assert!(new.contains("\"setup-worktree\": [\"a\"],"), "{new}");
        assert!(
            new.contains("\"setup-worktree-unix\": [\"b\", \"kinfra hook run setup # added by kinfra\"]"),
            "{new}"
        );
        assert_eq!(cursor.without(&new), Ok(Some(old.to_owned())));
    }

    #[test]
    fn every_tool_s_file_is_made_and_goes() {
        for tool in Tool::ALL {
            let made = recipe(tool).with(None).unwrap();
            assert_eq!(recipe(tool).with(Some(&made)).as_ref(), Ok(&made), "{tool:?}");
            assert_eq!(recipe(tool).without(&made), Ok(None), "{tool:?}");
        }
    }

    #[test]
    fn a_script_that_kinfra_made_goes_and_another_stays() {
        let git = recipe(Tool::Git);
        let made = git.with(None).unwrap();
        assert!(made.starts_with("#!/bin/sh\n# >>> kinfra >>>\nif command -v kinfra"), "{made}");
        assert_eq!(git.without(&made), Ok(None));
        // Without a block there is nothing to take away.
        assert_eq!(git.without(SHEBANG), Ok(Some(SHEBANG.to_owned())));
        let other = "#!/bin/bash\nexec other\n";
        assert_eq!(git.without(&git.with(Some(other)).unwrap()), Ok(Some(other.to_owned())));
        assert!(git.with(Some("#!/usr/bin/perl\n")).is_err());
    }

    #[test]
    fn a_list_of_cursor_is_looked_for_in_its_own_file_only() {
        let unix = Some("{\"setup-worktree-unix\": []}");
        for (items, text, expected) in [
            (&CURSOR[..], unix, &CURSOR_UNIX[..]),
            (&CURSOR, Some("{}"), &CURSOR),
            (&CURSOR, None, &CURSOR),
            (&CURSOR_UNIX, Some("{}"), &CURSOR_UNIX),
            (&[], unix, &[]),
        ] {
            assert!(in_use(items, text) == expected, "{text:?}");
        }
    }
}
