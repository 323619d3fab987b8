//! The line that makes a shell complete `kinfra`, in the file that the shell reads when it starts.

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use crate::dotenv::Variables;
use crate::fault::Fault;
use crate::host::fs::{self, Dir, Missing};

/// The shells: the variable that names the directory of their start-up file, its place in there, the place
/// below the home directory without that variable, and the line.
const SHELLS: [(&str, Option<&str>, &str, &str, &str); 5] = [
    ("bash", None, "", ".bashrc", "source <(kinfra completions bash)"),
    ("zsh", Some("ZDOTDIR"), ".zshrc", ".zshrc", "source <(kinfra completions zsh)"),
    (
        "fish",
        Some("XDG_CONFIG_HOME"),
        "fish/config.fish",
        ".config/fish/config.fish",
        "kinfra completions fish | source",
    ),
    (
        "elvish",
        Some("XDG_CONFIG_HOME"),
        "elvish/rc.elv",
        ".config/elvish/rc.elv",
        "eval (kinfra completions elvish | slurp)",
    ),
    (
        "powershell",
        Some("XDG_CONFIG_HOME"),
        "powershell/Microsoft.PowerShell_profile.ps1",
        ".config/powershell/Microsoft.PowerShell_profile.ps1",
        "kinfra completions powershell | Out-String | Invoke-Expression",
    ),
];

/// The most that is read of a start-up file, in bytes.
const LIMIT: u64 = 4 << 20;

/// A line and its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartUp {
    /// The file.
    pub file: Utf8PathBuf,
    /// The line.
    pub line: &'static str,
    /// Whether the file has the line already.
    pub is_there: bool,
}

/// The name of the shell that a user logs in with, if kinfra can tell it how to complete.
pub fn login_shell(environment: &Variables) -> Option<&'static str> {
    let name = Utf8Path::new(environment.get("SHELL")?).file_name()?;
    SHELLS.iter().map(|(shell, ..)| *shell).find(|shell| *shell == name)
}

impl StartUp {
    /// Finds the file of a shell, and whether it has the line.
    ///
    /// # Errors
    /// [`Fault`] when there is no home directory, or the file cannot be read.
    pub fn of(shell: &str, home: Option<&Utf8Path>, environment: &Variables) -> Result<Self> {
        let (_, variable, within, below_home, line) =
            SHELLS.iter().find(|(name, ..)| *name == shell).with_context(|| format!("no shell `{shell}`"))?;
        let named = variable.and_then(|variable| environment.get(variable)).map(Utf8Path::new);
        let file = match (named.filter(|dir| dir.is_absolute()), home) {
            (Some(dir), _) => dir.join(within),
            (None, Some(home)) => home.join(below_home),
            (None, None) => return Err(Fault::failed("HOME is not set, so there is no start-up file").into()),
        };
        // A start-up file is often a link to one under version control.
        let file = match fs::canonical(&file) {
            Ok(file) => file,
            Err(_) if fs::is_link(&file) => {
                let what = format!("`{file}` is a link to a file that is not there");
                return Err(Fault::refused(what).advise(format!("add this line yourself: `{line}`")).into());
            }
            Err(_) => file,
        };
        let text = fs::read_named(&file, LIMIT).with_context(|| format!("could not read `{file}`"))?;
        let text = String::from_utf8_lossy(text.as_deref().unwrap_or_default()).into_owned();
        Ok(Self { file, line, is_there: text.lines().any(|other| other.trim() == *line) })
    }

    /// Adds the line to the end of the file, which is made where there is none.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&self) -> Result<()> {
        let (Some(dir), Some(name)) = (self.file.parent(), self.file.file_name()) else {
            return Err(Fault::failed(format!("`{}` is no file", self.file)).into());
        };
        let text = fs::read_named(&self.file, LIMIT)?.unwrap_or_default();
        let before = match text.as_slice() {
            [] | [.., b'\n'] => "",
            // The line would be a part of a statement that goes on.
            [.., b'\\'] => "\n\n",
            [..] => "\n",
        };
        let line = format!("{before}{}\n", self.line);
        Dir::make(dir)?.append(name, &line, Missing::Make)
    }
}
