//! What each tool's files have to say. `docs/hooks.md` says where each format is described.

use super::block::{self, Spot};
use super::json_text::{self, Item};
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

const CLAUDE: [Item<'static>; 4] = [
    Item {
        path: &["hooks", "WorktreeCreate"],
        value: r#"{ "hooks": [{ "type": "command", "command": "kinfra hook run worktree-create" }] }"#,
    },
    Item {
        path: &["hooks", "WorktreeRemove"],
        value: r#"{ "hooks": [{ "type": "command", "command": "kinfra hook run worktree-remove" }] }"#,
    },
    Item {
        path: &["hooks", "SessionStart"],
        value: r#"{ "hooks": [{ "type": "command", "command": "kinfra hook run session-start" }] }"#,
    },
    Item {
        path: &["hooks", "SessionEnd"],
        value: r#"{ "hooks": [{ "type": "command", "command": "kinfra hook run session-end" }] }"#,
    },
];

/// The files of a tool.
pub fn recipes(tool: Tool) -> &'static [Recipe] {
    match tool {
        Tool::Git => &[Recipe { place: Place::GitHooks("post-checkout"), what: What::Script(POST_CHECKOUT) }],
        Tool::Claude => {
            &[Recipe { place: Place::Worktree(".claude/settings.json"), what: What::Json(&CLAUDE) }]
        }
    }
}

impl Recipe {
    /// The text of the file with its hooks.
    ///
    /// # Errors
    /// The reason why it cannot have them.
    pub fn with(&self, old: Option<&str>) -> Result<String, String> {
        match self.what {
            What::Json(items) => {
                let mut text = old.map(str::to_owned);
                for item in items {
                    text = Some(json_text::with(text.as_deref(), item)?);
                }
                text.ok_or_else(|| "it has no value".to_owned())
            }
            What::Script(lines) => {
                let old = old.unwrap_or(SHEBANG);
                if is_shell(old) {
                    Ok(block::with(old, lines, Spot::BelowFirst))
                } else {
                    Err("it is no script of a shell".to_owned())
                }
            }
        }
    }

    /// The text of the file without its hooks. `None` if nothing else is in it.
    ///
    /// # Errors
    /// The reason why they cannot be taken away.
    pub fn without(&self, old: &str) -> Result<Option<String>, String> {
        match self.what {
            What::Json(items) => {
                let mut text = Some(old.to_owned());
                for item in items.iter().rev() {
                    let Some(now) = text else { break };
                    text = json_text::without(&now, item)?;
                }
                Ok(text)
            }
            What::Script(_) => Ok(Some(block::without(old)).filter(|text| text == old || text != SHEBANG)),
        }
    }

    /// What to do by hand where it cannot be done.
    pub fn by_hand(&self) -> String {
        match self.what {
            What::Json(items) => {
                let names: Vec<String> =
                    items.iter().map(|item| format!("{} to `{}`", item.value, item.path.join("."))).collect();
                format!("mend the file, or add {} yourself", names.join(", "))
            }
            What::Script(_) => {
                "call `kinfra hook run post-checkout` in it, with the same arguments".to_owned()
            }
        }
    }
}

/// Whether a script is one of a shell, by its first line.
fn is_shell(script: &str) -> bool {
    let Some(first) = script.lines().next().and_then(|line| line.strip_prefix("#!")) else { return false };
    let mut words = first.split_whitespace().map(|word| word.rsplit('/').next().unwrap_or(word));
    let program = words.next().filter(|program| *program != "env").or_else(|| words.next());
    program.is_some_and(|program| SHELLS.contains(&program))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_of_a_shell_is_known_by_its_first_line() {
        for script in ["#!/bin/sh\n", "#! /usr/bin/env bash\nset -e\n", "#!/bin/dash -e"] {
            assert!(is_shell(script), "{script}");
        }
        for script in ["", "echo\n", "#!/usr/bin/python3\n", "#!/usr/bin/env node\n", "#!\n", "\u{7f}ELF"] {
            assert!(!is_shell(script), "{script}");
        }
    }

    #[test]
    fn a_script_that_kinfra_made_goes_and_another_stays() {
        let [git] = recipes(Tool::Git) else { panic!("one file") };
        let made = git.with(None).unwrap();
        assert!(made.starts_with("#!/bin/sh\n# >>> kinfra >>>\nif command -v kinfra"), "{made}");
        assert_eq!(git.without(&made), Ok(None));
        // Without a block there is nothing to take away.
        assert_eq!(git.without(SHEBANG), Ok(Some(SHEBANG.to_owned())));
        let other = "#!/bin/bash\nexec other\n";
        assert_eq!(git.without(&git.with(Some(other)).unwrap()), Ok(Some(other.to_owned())));
        assert!(git.with(Some("#!/usr/bin/perl\n")).is_err());
    }
}
