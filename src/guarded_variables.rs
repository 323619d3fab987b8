//! The variables that no slot may set: a shell, a loader, git, an interpreter or kinfra itself reads them. A
//! slot's variables are set in a developer's shell, so such a one would run code there, or break the shell.
//! Pure.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::names::{KINFRA_SLOT, KINFRA_SLOT_DIR};

/// Variables that are guarded for one reason.
#[derive(Debug)]
pub struct Guarded {
    /// What reads them, as a sentence ends: "which … read".
    pub readers: &'static str,
    /// Their names, with spaces between them. A `*` at the end stands for any further letters.
    names: &'static str,
}

/// Every variable that no slot may set.
pub const GUARDED: [Guarded; 11] = [
    Guarded {
        readers: "every shell and program reads",
        names: "PATH HOME SHELL USER LOGNAME PWD OLDPWD UID EUID GID EGID PPID USERNAME XDG_* TERM TERMCAP \
                TERMINFO TERMINFO_DIRS",
    },
    Guarded {
        readers: "shells read",
        names: "IFS ENV BASH_* BASHOPTS SHELLOPTS POSIXLY_CORRECT PROMPT_COMMAND PS0 PS1 PS2 PS3 PS4 CDPATH \
                GLOBIGNORE EXECIGNORE FIGNORE HISTFILE HISTFILESIZE HISTSIZE HISTCONTROL HISTIGNORE \
                HISTTIMEFORMAT INPUTRC MAIL MAILPATH MAILCHECK TMOUT FCEDIT OPTIND COMP_* DIRSTACK FUNCNAME \
                GROUPS LINENO RANDOM SECONDS histchars auto_resume _",
    },
    Guarded {
        readers: "zsh and fish read",
        names: "ZDOTDIR ZSH* ZLE_* FPATH PROMPT PROMPT2 PROMPT3 PROMPT4 RPROMPT RPROMPT2 RPS1 RPS2 SPROMPT \
                NULLCMD READNULLCMD MODULE_PATH MANPATH argv cdpath fignore fpath mailpath manpath module_path \
                path pipestatus prompt psvar status fish_* FISH_* history hostname version",
    },
    Guarded {
        readers: "the loader and the C library read",
        names: "LD_* DYLD_* GCONV_PATH GETCONF_DIR GLIBC_TUNABLES HOSTALIASES LOCALDOMAIN LOCPATH MALLOC_* \
                NLSPATH RESOLV_HOST_CONF RES_OPTIONS OPENSSL_*",
    },
    Guarded { readers: "git and ssh read", names: "GIT_* SSH_ASKPASS* SSH_AUTH_SOCK SSH_SK_* GNUPGHOME" },
    Guarded {
        readers: "kinfra and docker read",
        names: "KINFRA_* SUDO_* DOCKER_HOST DOCKER_CONTEXT DOCKER_CONFIG DOCKER_CERT_PATH DOCKER_TLS \
                DOCKER_TLS_VERIFY DOCKER_API_VERSION BUILDX_* BUILDKIT_HOST CONTAINER_HOST CONTAINERS_*",
    },
    Guarded {
        readers: "tools that enter a directory read",
        names: "DIRENV_* MISE_* ASDF_* NIX_* STARSHIP_*",
    },
    Guarded {
        readers: "editors and pagers read",
        names: "EDITOR VISUAL PAGER MANPAGER MANOPT GH_PAGER SYSTEMD_PAGER BROWSER LESS LESSOPEN LESSCLOSE LESSKEY \
                LESSKEYIN LESSKEY_SYSTEM LESSKEY_CONTENT VIMINIT EXINIT VIM \
                VIMRUNTIME EMACSLOADPATH PSQLRC",
    },
    Guarded {
        readers: "Python, Node, Perl and Ruby read",
        names: "PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONINSPECT PYTHONUSERBASE PYTHONEXECUTABLE \
                PYTHONBREAKPOINT PYTHONWARNINGS PYTHONPLATLIBDIR PYTHONPYCACHEPREFIX PYTEST_ADDOPTS \
                PYTEST_PLUGINS PIP_* UV_* NODE_OPTIONS NODE_PATH NODE_REPL_* NODE_EXTRA_CA_CERTS \
                NODE_V8_COVERAGE npm_config_* NPM_CONFIG_* YARN_* PERL5* PERLLIB RUBYOPT RUBYLIB RUBYSHELL \
                GEM_HOME GEM_PATH BUNDLE_GEMFILE",
    },
    Guarded {
        readers: "Java, PHP, Lua, R, Erlang and .NET read",
        names: "JAVA_TOOL_OPTIONS JDK_JAVA_OPTIONS _JAVA_OPTIONS CLASSPATH JAVA_HOME MAVEN_OPTS MAVEN_ARGS \
                GRADLE_OPTS GRADLE_USER_HOME PHPRC PHP_INI_SCAN_DIR LUA_* R_PROFILE* R_ENVIRON* ERL_* \
                ELIXIR_ERL_OPTIONS MIX_EXS DOTNET_STARTUP_HOOKS DOTNET_ADDITIONAL_DEPS DOTNET_ROOT CORECLR_* \
                COR_ENABLE_PROFILING COR_PROFILER COR_PROFILER_PATH",
    },
    Guarded {
        readers: "make, compilers, tar, rsync and ripgrep read",
        names: "TAR_OPTIONS RSYNC_RSH RIPGREP_CONFIG_PATH CONFIG_SHELL AR LD GCC_EXEC_PREFIX \
                COMPILER_PATH MAKEFLAGS MFLAGS GNUMAKEFLAGS MAKEFILES CC CXX GOFLAGS GOENV GOROOT \
                GOPATH GOPROXY GOTOOLCHAIN RUSTC RUSTC_* RUSTDOC RUSTFLAGS RUSTUP_* CARGO_HOME \
                CARGO_BUILD_* CARGO_ENCODED_RUSTFLAGS",
    },
];

impl Guarded {
    /// Their names. A `*` at the end stands for any further letters.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.names.split_ascii_whitespace()
    }
}

/// What the names of ports and workers end in. No program reads such a one, whatever it begins with.
const OF_SLOTS: [&str; 2] = ["_PORT", "_WORKERS"];

/// The same as [`GUARDED`], to look a name up: by its first letter, each name, or what the names of a family
/// begin with, and its readers.
type Lists = BTreeMap<u8, Vec<(&'static str, Kind, &'static str)>>;

/// What is listed.
#[derive(Clone, Copy)]
enum Kind {
    Name,
    Family,
}

static LISTS: LazyLock<Lists> = LazyLock::new(|| {
    let mut lists = Lists::new();
    for group in &GUARDED {
        for name in group.names() {
            let (start, kind) = name.strip_suffix('*').map_or((name, Kind::Name), |it| (it, Kind::Family));
            let first = start.bytes().next().unwrap_or_default();
            lists.entry(first).or_default().push((start, kind, group.readers));
        }
    }
    lists
});

/// What reads a variable that no slot may set. `None` if a slot may set it.
pub fn readers_of(name: &str) -> Option<&'static str> {
    let listed = LISTS.get(&name.bytes().next()?)?;
    let is_of_slots = OF_SLOTS.iter().any(|end| name.ends_with(end));
    let named = listed.iter().find(|(known, kind, _)| matches!(kind, Kind::Name) && *known == name);
    let of_family = || {
        let mut families = listed.iter().filter(|(_, kind, _)| matches!(kind, Kind::Family) && !is_of_slots);
        families.find(|(start, ..)| name.starts_with(start))
    };
    named.or_else(of_family).map(|(_, _, readers)| *readers)
}

/// [`readers_of`] for a slot's env file, which may say which slot it is.
pub fn readers_in_file(name: &str) -> Option<&'static str> {
    let is_told = [KINFRA_SLOT, KINFRA_SLOT_DIR].contains(&name);
    readers_of(name).filter(|_| !is_told)
}

/// What is said of a variable that no slot may set.
pub fn refusal(name: &str, readers: &str) -> String {
    format!("no slot may set `{name}`, which {readers}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dotenv::is_name;

    #[test]
    fn families_have_all_their_members_and_ports_are_in_none() {
        for name in
            ["PATH", "LD_PRELOAD", "DYLD_X", "GIT_DIR", "KINFRA_ENV", "fish_greeting", "XDG_STATE_HOME"]
        {
            assert!(readers_of(name).is_some(), "{name}");
        }
        let families = GUARDED.iter().flat_map(Guarded::names).filter_map(|name| name.strip_suffix('*'));
        for start in families {
            assert!(readers_of(start).is_some(), "{start}");
            assert!(readers_of(&format!("{start}~")).is_some(), "{start}");
        }
        for name in
            ["SHOP_PATH", "path_", "GIT_WEB_PORT", "KINFRA_DB_WORKERS", "PGHOST", "NODE_ENV", "LANG", "TZ"]
        {
            assert_eq!(readers_of(name), None, "{name}");
        }
        assert_eq!(readers_in_file(KINFRA_SLOT), None);
        assert!(readers_in_file("KINFRA_SPEC").is_some());
    }

    #[test]
    fn each_is_a_name_and_is_listed_once() {
        let names: Vec<&str> = GUARDED.iter().flat_map(Guarded::names).collect();
        for name in &names {
            let start = name.trim_end_matches('*');
            assert!(is_name(start), "{name}");
            let others = names.iter().filter(|other| **other != *name);
            let covers =
                |other: &&&str| other.strip_suffix('*').is_some_and(|other| start.starts_with(other));
            assert_eq!(others.clone().find(covers), None, "{name}");
            assert_eq!(names.iter().filter(|other| *other == name).count(), 1, "{name}");
        }
    }
}
