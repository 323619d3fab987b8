//! `kinfra env` and `kinfra exec`: exactly the variables of the slot that a worktree holds, byte for byte.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::support::{Machine, PLUGIN, PORTS, Run, Running};

const ENV_FILE: &str = "~/pool/slot-1/.env.sandbox";

const TEMPLATE: &str = "# Slot {{ slot.id }}\nSLOT_ID={{ slot.id }}\nSHOP_WEB_PORT={{ ports.web }}\n\
                        {% for name, value in env | items %}\n{{ name }}={{ value | dotenv }}\n{% endfor %}\n";

/// Values that a shell, an env file or a terminal might spoil.
const NASTY: &[&str] = &[
    "",
    " two  words ",
    "it's",
    "say \"hi\"",
    "$HOME ${HOME} $(date) `date`",
    "# no comment",
    "a\\b\\\\c\\",
    "line one\nline two\n",
    "\ttab\r\n",
    "größe 日本 \u{1f980}",
    "!history *glob* ~ ; & | < > ( ) [ ] { } ? = %",
    "'\\''\"'\"'",
    "-n",
];

/// A pool of two slots whose project holds slot 1.
fn claimed() -> Machine {
    let machine = Machine::small();
    machine.edit_spec("root = \"~/pool\"", "root = \"~/pool\"\nenv_prefix = \"SHOP_\"");
    machine.edit_spec("\"conf.txt\" = \"conf.txt\"", "\".env.sandbox\" = \"env.sandbox\"");
    let values = NASTY.iter().enumerate();
    let env: String = values
        .map(|(number, value)| {
            let template = format!("{{{{ {} }}}}", json!(value));
            format!("SHOP_V{number} = {}\n", json!(template))
        })
        .collect();
    machine.spec(&format!("{}\n[env]\n{env}", machine.read("slots.toml")));
    machine.template("env.sandbox", TEMPLATE);
    machine.kinfra("apply").exits(0);
    machine.kinfra("claim").exits(0);
    machine
}

/// Runs a script in a shell that sees kinfra, and nothing else of the real machine.
fn script(machine: &Machine, shell: &str, text: &str) -> Run {
    Run::of(machine.program(shell).args(["-c", text]))
}

/// Asserts that a script which loads the variables prints every special value unchanged.
#[track_caller]
fn prints_values(machine: &Machine, shell: &str, load: &str) {
    let print: String = (0..NASTY.len()).map(|number| format!(" \"$SHOP_V{number}\"")).collect();
    let output = script(machine, shell, &format!("{load}\nprintf '%s\\0'{print} \"$SHOP_WEB_PORT\" end"));
    let expected: Vec<&str> = NASTY.iter().copied().chain(["8001", "end", ""]).collect();
    let printed = output.stdout;
    assert_eq!(printed.split('\0').collect::<Vec<_>>(), expected, "{shell}: {:?}", output.stderr);
}

#[test]
fn every_shell_gets_every_value_byte_for_byte() {
    let machine = claimed();
    let before = machine.tree();
    for shell in ["sh", "bash"] {
        prints_values(&machine, shell, "eval \"$(kinfra env)\"");
        prints_values(&machine, shell, "eval \"$(kinfra env --format shell)\"");
        // kinfra reads the env file that it printed, here in the place of the one in the slot directory.
        prints_values(
            &machine,
            shell,
            "kinfra env --format dotenv > ~/copy && cat ~/copy > ~/pool/slot-1/.env.sandbox && rm ~/copy \
             && eval \"$(kinfra env)\"",
        );
    }
    let mut after = machine.tree();
    after.insert(machine.path(ENV_FILE), before[&machine.path(ENV_FILE)].clone());
    assert_eq!(after, before);
}

#[test]
fn fish_gets_every_value_byte_for_byte() {
    let machine = claimed();
    let text = machine.kinfra("env --format fish").exits(0).stdout;
    assert!(text.contains("set -gx SHOP_V2 'it\\'s'\n"), "{text}");
    assert!(text.contains("set -gx SHOP_V6 'a\\\\b\\\\\\\\c\\\\'\n"), "{text}");
    if machine.tools().join("fish").exists() {
        prints_values(&machine, "fish", "kinfra env --format fish | source");
    }
}

#[test]
fn programs_get_json_and_exec_gives_the_same() {
    let machine = claimed();
    let run = machine.kinfra("env --format json").exits(0);
    let document: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(document["slot_id"], 1);
    let variables = document["variables"].as_object().expect("variables");
    for (number, value) in NASTY.iter().enumerate() {
        assert_eq!(variables[&format!("SHOP_V{number}")], *value);
    }
    let dir = machine.path("~/pool/slot-1").canonicalize().expect("a directory");
    assert_eq!(variables["KINFRA_SLOT"], "1");
    assert_eq!(variables["KINFRA_SLOT_DIR"], dir.to_str().expect("UTF-8"));

    let mut command = machine.command("exec -- env -0");
    let printed = Run::of(&mut command).exits(0).stdout;
    let mut seen: Vec<(&str, &str)> =
        printed.split_terminator('\0').filter_map(|pair| pair.split_once('=')).collect();
    seen.retain(|(name, _)| !["HOME", "PATH", "KINFRA_ENV", PLUGIN, PORTS].contains(name));
    seen.sort_unstable();
    let expected: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (name.as_str(), value.as_str().expect("text"))).collect();
    assert_eq!(seen, expected);
}

#[test]
fn nothing_of_another_slot_stays() {
    let machine = claimed();
    let of_others = [
        ("SHOP_WEB_PORT", "1"),
        ("SHOP_OWN", "1"),
        ("KINFRA_ENV", "DB_URL COMPOSE_ENV_FILES KINFRA_SLOT MISSING $(touch~/x)"),
        ("DB_URL", "1"),
        ("KINFRA_SLOT", "7"),
        ("COMPOSE_PROJECT_NAME", "other"),
        ("COMPOSE_FILE", "other.yml"),
        ("COMPOSE_ENV_FILES", "other.env"),
        ("COMPOSE_PROFILES", "other"),
        ("OTHER", "stays"),
    ];
    let with_them = |arguments: &str| {
        let mut command = machine.command(arguments);
        Run::of(command.envs(of_others))
    };
    let printed = with_them("exec env").exits(0).stdout;
    let value = |name: &str| printed.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
    for gone in ["DB_URL", "COMPOSE_PROJECT_NAME", "COMPOSE_FILE", "COMPOSE_ENV_FILES", "COMPOSE_PROFILES"] {
        assert_eq!(value(gone), None, "{gone} is still there");
    }
    assert_eq!(
        [value("SHOP_WEB_PORT"), value("KINFRA_SLOT"), value("OTHER"), value("SHOP_OWN")],
        [Some("8001"), Some("1"), Some("stays"), Some("1")]
    );

    let unset = "unset -v COMPOSE_ENV_FILES\nunset -v COMPOSE_FILE\nunset -v COMPOSE_PROFILES\n\
                 unset -v COMPOSE_PROJECT_NAME\nunset -v DB_URL\nexport KINFRA_ENV=";
    let shell = with_them("env").exits(0).stdout;
    assert!(shell.starts_with(unset), "{shell}");
    // What an earlier slot set goes without a word. What the caller set on purpose is named.
    let notes = "note: COMPOSE_FILE was set to `other.yml`: dropped, because it would lead Compose elsewhere\n\
                 note: COMPOSE_PROFILES was set to `other`: dropped, because it would lead Compose elsewhere\n\
                 note: COMPOSE_PROJECT_NAME was set to `other`: dropped, because it would lead Compose elsewhere\n";
    for verb in ["env", "env --format fish", "exec true"] {
        assert_eq!(with_them(verb).exits(0).stderr, notes);
    }
    for verb in ["env --format dotenv", "env --format json"] {
        with_them(verb).exits(0).never_says("note:");
    }
    let fish = with_them("env --format fish").exits(0).stdout;
    assert!(fish.starts_with(
        &unset.replace("unset -v", "set -e").replace("export KINFRA_ENV=", "set -gx KINFRA_ENV ")
    ));
}

#[test]
fn a_shell_that_goes_from_slot_to_slot_has_the_variables_of_one() {
    let machine = claimed();
    let other = machine.path("~/other");
    fs::create_dir(&other).expect("a directory");
    fs::create_dir(machine.path("~/none")).expect("a directory");
    let text = "export KINFRA_SPEC=\"$PWD/slots.toml\"
        eval \"$(kinfra env)\" && echo \"in 1: $SHOP_WEB_PORT $KINFRA_SLOT\"
        cd ~/other && kinfra claim >/dev/null && eval \"$(kinfra env)\" && echo \"in 2: $SHOP_WEB_PORT $KINFRA_SLOT\"
        cd ~/none && { out=$(kinfra env); code=$?; eval \"$out\"; }
        echo \"in none: $code ${SHOP_WEB_PORT-unset} ${SHOP_V1-unset} ${KINFRA_SLOT-unset} ${KINFRA_ENV-unset}\"";
    let output = script(&machine, "sh", text);
    let printed = &output.stdout;
    assert_eq!(printed, "in 1: 8001 1\nin 2: 8002 2\nin none: 3 unset unset unset unset\n", "{output:?}");
    let said = &output.stderr;
    assert!(said.contains("none` holds no slot\nhelp: `kinfra claim` takes one"), "{said}");
}

#[test]
fn a_variable_of_compose_that_the_slot_sets_is_named_too() {
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    machine.kinfra("claim").exits(0);
    let with = |value: &str| {
        let mut command = machine.command("exec env");
        Run::of(command.env("COMPOSE_PROJECT_NAME", value))
            .exits(0)
            .prints("COMPOSE_PROJECT_NAME=small-slot-1\n")
    };
    with("shop\u{1b}[31m").says(
        "note: COMPOSE_PROJECT_NAME was set to `shop\\u{1b}[31m`: replaced, because it would lead Compose elsewhere\n",
    );
    with("small-slot-1").never_says("note:");
}

#[test]
fn a_command_after_eval_does_not_run_without_a_slot() {
    let machine = claimed();
    let scripts = [
        ("sh", "eval \"$(kinfra env)\" && echo ran"),
        ("bash", "eval \"$(kinfra env)\" && echo ran"),
        ("zsh", "eval \"$(kinfra env)\" && echo ran"),
        ("fish", "kinfra env --format fish | source; and echo ran"),
        ("fish", "eval (kinfra env --format fish | string collect); and echo ran"),
    ];
    let scripts = scripts.into_iter().filter(|(shell, _)| machine.tools().join(shell).exists());
    let scripts: Vec<_> = scripts.collect();
    let all_print = |machine: &Machine, printed: &str| {
        for (shell, text) in &scripts {
            assert_eq!(script(machine, shell, text).stdout, printed, "{shell}: {text}");
        }
    };
    all_print(&machine, "ran\n");
    // The slot's variables are not known.
    let env_file = machine.read(ENV_FILE);
    machine.write(ENV_FILE, "A=$B\n");
    all_print(&machine, "");
    machine.write(ENV_FILE, env_file);
    machine.kinfra("release").exits(0);
    all_print(&machine, "");
    machine.write("slots.toml", "broken\n");
    all_print(&machine, "");
}

#[test]
fn whatever_fails_the_last_slot_is_left_and_eval_fails() {
    let machine = claimed();
    let last = "export KINFRA_ENV='DB_URL KINFRA_SLOT' DB_URL=1 KINFRA_SLOT=7; ";
    let after = "&& echo ran; echo \"${DB_URL-unset} ${KINFRA_SLOT-unset} ${KINFRA_ENV-unset}\"";
    let fails = |before: &str, arguments: &str, says: &str| {
        for shell in ["sh", "bash", "zsh"] {
            if machine.tools().join(shell).exists() {
                let text = format!("{last}{before} eval \"$(kinfra env{arguments})\" {after}");
                let run = script(&machine, shell, &text);
                assert_eq!(run.stdout, "unset unset unset\n", "{shell}: {text}: {run:?}");
                run.says(says);
            }
        }
        let before = before.replace("unset HOME;", "set -e HOME;");
        if machine.tools().join("fish").exists() && !before.contains(['$', '(']) {
            let set = "set -gx KINFRA_ENV 'DB_URL KINFRA_SLOT'; set -gx DB_URL 1; set -gx KINFRA_SLOT 7; ";
            let text = format!(
                "{set}{before} kinfra env --format fish{arguments} | source; and echo ran; set -q DB_URL; or \
                 set -q KINFRA_ENV; or echo unset"
            );
            assert_eq!(script(&machine, "fish", &text).stdout, "unset\n", "{text}");
        }
    };
    fails("mkdir ~/gone; cd ~/gone; rmdir ~/gone;", "", "the current directory cannot be used");
    fails("", " --bogus", "unexpected argument");
    fails("", " more", "unexpected argument");
    fails("", " --for ~/nowhere", "nowhere");
    fails("", " --root ~/nowhere", "holds no slot");
    fails("export KINFRA_SPEC=nowhere.toml;", "", "nowhere.toml");
    fails("unset HOME;", "", "HOME");
    fails("ulimit -f 0;", " --bogus", "unexpected argument");
    // A program that reads a file or a document gets no command of a shell.
    for format in ["dotenv", "json"] {
        machine.kinfra(&format!("env --bogus --format {format}")).exits(64).prints_exactly("");
        machine.kinfra(&format!("env --format={format} --bogus")).exits(64).prints_exactly("");
    }
    machine.kinfra("env --format=fish --bogus").exits(64).prints_exactly("false\n");
    machine.kinfra("status --bogus env").exits(64).prints_exactly("");
    // What is written to nothing stops nothing.
    machine.kinfra("env --help").exits(0).prints("Usage: kinfra env");
}

#[test]
fn a_pool_without_an_env_file_gives_what_the_registry_knows() {
    let machine = Machine::small();
    machine.edit_spec("root = \"~/pool\"", "root = \"~/pool\"\nenv_prefix = \"SHOP_\"");
    machine.edit_spec("name = \"only\"", "name = \"only\"\nworkers = { mail = 3 }");
    machine.kinfra("apply").exits(0);
    machine.kinfra("claim").exits(0);
    let dir = machine.path("~/pool/slot-1").canonicalize().expect("a directory");
    machine.kinfra("env --format dotenv").exits(0).prints_exactly(&format!(
        "COMPOSE_PROJECT_NAME=small-slot-1\nKINFRA_SLOT=1\nKINFRA_SLOT_DIR={}\nSHOP_MAIL_WORKERS=3\n\
         SHOP_WEB_PORT=8001\nSLOT_ID=1\n",
        dir.display()
    ));
}

#[test]
fn a_worktree_without_a_slot_is_told_to_claim_one() {
    for (machine, why) in
        [(Machine::new(), "no pool"), (Machine::small(), "no pool"), (claimed(), "released")]
    {
        if why == "released" {
            machine.kinfra("release").exits(0);
        }
        let before = machine.tree();
        for verb in ["env", "env --format fish", "env --format dotenv", "env --format json", "exec true"] {
            let without = if ["env", "env --format fish"].contains(&verb) { "false\n" } else { "" };
            let says = "project` holds no slot\nhelp: `kinfra claim` takes one";
            machine.kinfra(verb).exits(3).prints_exactly(without).says(says);
        }
        assert_eq!(machine.tree(), before, "{why}");
    }
}

#[test]
fn a_file_that_is_not_fit_for_use_is_refused_with_the_reason() {
    let unknown = "the variables of slot 1 are not known: `";
    for (text, why) in [
        (
            "A=1\nB=$HOME/data\n",
            ".env.sandbox` line 2: `$HOME/data` would depend on the caller's environment\n\
             help: write the value itself, or put it in single quotes\n",
        ),
        ("A\n", ".env.sandbox` line 1: `A` has no `=`"),
        ("A='\n", ".env.sandbox` line 1: the quote `'` is never closed"),
    ] {
        let machine = claimed();
        machine.write(ENV_FILE, text);
        for (verb, printed) in [("env", "false\n"), ("exec true", "")] {
            machine.kinfra(verb).exits(4).prints_exactly(printed).says(unknown).says(why);
        }
    }
    let machine = claimed();
    machine.write(ENV_FILE, b"A=\xff\n");
    machine.kinfra("env").exits(4).says(".env.sandbox` is not UTF-8 text");
    machine.write(ENV_FILE, "A=\"\u{1b}[31m\"\n");
    machine.kinfra("env --format json").exits(0).prints("\\u001b");
    machine
        .kinfra("env --format dotenv")
        .exits(4)
        .says("`A` cannot be written: the value has the control character");
    machine.remove(ENV_FILE);
    machine
        .kinfra("env")
        .exits(4)
        .says(".env.sandbox` is not there\nhelp: `kinfra plan` says how it comes back");
    std::os::unix::fs::symlink("/etc/passwd", machine.path(ENV_FILE)).expect("a link");
    machine.kinfra("env").exits(4).says(".env.sandbox` is a symbolic link").never_says("root:");
    machine.remove("~/pool/slot-1");
    machine.kinfra("env").exits(4).says("is not there");
}

#[test]
fn exec_becomes_the_command() {
    let machine = claimed();
    let shell = |text: &str| {
        let mut command = machine.command("exec sh -c");
        Run::of(command.arg(text))
    };
    shell("exit 7").exits(7).prints_exactly("");
    // The command replaced the kinfra process, so a shell sees the signal that ended it.
    assert_eq!(shell("kill -TERM $$").code, None);
    // The command gets the caller's umask and directory, and its arguments as they are.
    let text = "umask 027; kinfra exec sh -c 'umask; pwd; echo \"$#:$1\"' sh '--spec  x' --";
    let output = script(&machine, "sh", text);
    let dir = machine.project().canonicalize().expect("a directory");
    let expected = format!("0027\n{}\n2:--spec  x\n", dir.display());
    assert_eq!(output.stdout, expected, "{output:?}");
    let mut odd = machine.command("exec printf %s");
    let output = Running::piped(odd.arg(std::ffi::OsStr::from_bytes(b"\xff"))).outcome();
    assert_eq!(output.stdout, b"\xff");
}

#[test]
fn exec_says_why_a_command_does_not_start_as_shells_do() {
    let machine = claimed();
    machine.kinfra("exec no-such-command").exits(127).says("`no-such-command` is not found");
    machine.write("~/notes.txt", "text");
    fs::set_permissions(machine.path("~/notes.txt"), fs::Permissions::from_mode(0o644)).expect("a mode");
    let mut command = machine.command("exec");
    Run::of(command.arg(machine.path("~/notes.txt"))).exits(126).says("notes.txt` cannot be executed: ");
    machine.kinfra("exec").exits(64).says("required arguments were not provided");
}

/// Gives the claim of slot 1 a lease that ran out long ago.
fn lease(machine: &Machine) {
    let mut registry: Value = serde_json::from_str(&machine.read("~/pool/registry.json")).expect("JSON");
    registry["slots"]["1"]["lease"] = json!("8h");
    registry["slots"]["1"]["lease_until"] = json!("2026-01-01T00:00:00.000000+00:00");
    machine.write("~/pool/registry.json", format!("{registry:#}\n"));
}

#[test]
fn exec_renews_the_lease_and_holds_no_lock_then_and_env_only_reads() {
    let machine = claimed();
    let without_lease = machine.tree();
    machine.kinfra("exec true").exits(0);
    assert_eq!(machine.tree(), without_lease);
    lease(&machine);
    let before = machine.tree();
    machine.kinfra("env").exits(0);
    assert_eq!(machine.tree(), before);
    let kinfra = env!("CARGO_BIN_EXE_kinfra");
    machine.kinfra(&format!("exec {kinfra} release --lock-timeout 0s")).exits(0).prints("Released slot 1");
    let machine = claimed();
    lease(&machine);
    machine.kinfra("exec true").exits(0);
    let registry: Value = serde_json::from_str(&machine.read("~/pool/registry.json")).expect("JSON");
    let until = registry["slots"]["1"]["lease_until"].as_str().expect("a lease");
    assert!(until > "2026-01-02", "{until}");
    assert_eq!(registry["slots"]["1"]["lease"], "8h");
}

#[test]
fn a_branch_without_a_spec_still_has_its_slot() {
    let machine = claimed();
    machine.remove("slots.toml");
    machine.kinfra("env").exits(0).prints("export SHOP_WEB_PORT='8001'\n");
    let mut command = machine.command("exec sh -c");
    command.arg("echo ${SHOP_WEB_PORT} ${SHOP_OLD-gone}").env("SHOP_OLD", "1");
    Run::of(&mut command).exits(0).prints_exactly("8001 1\n");
}

/// A value that is no UTF-8, with what a shell might spoil: it has the character that stands for a byte, too.
const RAW: &[u8] = b"a\xff\xfe'\\ \xc3\xef\x98\x80\n\xe4z";

#[test]
fn a_value_that_is_no_text_comes_back_when_the_slot_is_left() {
    let machine = claimed();
    for shell in ["sh", "bash", "zsh", "fish"] {
        if !machine.tools().join(shell).exists() {
            continue;
        }
        let script = if shell == "fish" {
            "kinfra env --format fish | source; printf '%s\\0' \"$SHOP_V1\"; cd ~; \
             kinfra env --format fish | source; printf '%s' \"$SHOP_V1\""
        } else {
            "eval \"$(kinfra env)\"; printf '%s\\0' \"$SHOP_V1\"; cd ~; \
             eval \"$(kinfra env)\"; printf '%s' \"$SHOP_V1\""
        };
        let mut command = machine.program(shell);
        // Without a locale, fish takes each byte for a character.
        command.args(["-c", script]).env("SHOP_V1", OsStr::from_bytes(RAW)).env("LC_ALL", "C.UTF-8");
        let output = Running::piped(&mut command).outcome();
        let expected = [NASTY[1].as_bytes(), b"\0", RAW].concat();
        assert_eq!(output.stdout, expected, "{shell}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
