//! `kinfra completions` and `kinfra man`: what shells complete, and the manual.

use serde_json::Value;

use crate::support::{Machine, Run};

/// What bash offers for the last of these words.
#[track_caller]
fn offers(machine: &Machine, words: &[&str]) -> Vec<String> {
    let text = "source <(kinfra completions bash) || exit 1
        COMP_WORDS=(\"$@\") COMP_CWORD=$(($# - 1)) COMP_TYPE=9
        _kinfra_quoted kinfra \"${@: -1}\" \"${@: -2:1}\"
        printf '%s\\n' \"${COMPREPLY[@]}\"";
    let run = Run::of(machine.program("bash").args(["-c", text, "bash"]).args(words));
    assert_eq!(run.code, Some(0), "{run:?}");
    run.stdout.lines().map(|line| line.trim_end().to_owned()).filter(|line| !line.is_empty()).collect()
}

#[test]
fn bash_completes_verbs_flags_and_live_slots() {
    let machine = Machine::claimed();
    let before = machine.tree();
    assert_eq!(offers(&machine, &["kinfra", "cla"]), ["claim"]);
    assert_eq!(offers(&machine, &["kinfra", "claim", "--sl"]), ["--slot"]);
    assert_eq!(offers(&machine, &["kinfra", "claim", "--slot", ""]), ["1", "2"]);
    assert_eq!(offers(&machine, &["kinfra", "plan", "--only", ""]), ["1", "2"]);
    assert_eq!(offers(&machine, &["kinfra", "apply", "--exclude", ""]), ["1", "2"]);
    assert_eq!(offers(&machine, &["kinfra", "claim", "--profile", ""]), ["only"]);
    assert_eq!(offers(&machine, &["kinfra", "env", "--format", "d"]), ["dotenv"]);
    assert_eq!(offers(&machine, &["kinfra", "plan", "--spec", "slo"]), ["slots.toml"]);
    assert_eq!(machine.tree(), before);
    // A mistake in the pool gives no candidates and no error.
    machine.spec("nonsense");
    assert_eq!(offers(&machine, &["kinfra", "claim", "--slot", ""]), [""; 0]);
    machine.remove("slots.toml");
    // On a branch without the spec, the candidates are of the pool in which the worktree holds a slot.
    assert_eq!(offers(&machine, &["kinfra", "claim", "--slot", ""]), ["1", "2"]);
    assert_eq!(offers(&Machine::new(), &["kinfra", "claim", "--slot", ""]), [""; 0]);
}

#[test]
fn other_shells_are_told_who_holds_a_slot() {
    let machine = Machine::claimed();
    let mut fish = machine.command("-- kinfra claim --slot");
    let run = Run::of(fish.arg("").env("KINFRA_COMPLETE", "fish")).exits(0);
    run.prints_exactly("1\tonly, project\n2\tonly, free\n");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        machine.kinfra(&format!("completions {shell}")).exits(0).prints("KINFRA_COMPLETE");
    }
    machine
        .kinfra("completions tcsh")
        .exits(64)
        .says("[possible values: bash, elvish, fish, powershell, zsh]");
    let mut unknown = machine.command("-- kinfra claim");
    Run::of(unknown.env("KINFRA_COMPLETE", "tcsh")).exits(64).says("unknown shell `tcsh`");
}

#[test]
fn every_verb_has_a_page_in_the_manual() {
    let machine = Machine::new();
    let main = machine.kinfra("man").exits(0).prints(".TH kinfra 1 ").prints("no free slot matches").stdout;
    let verbs: Vec<&str> =
        main.lines().filter_map(|line| line.strip_prefix("kinfra\\-")?.strip_suffix("(1)")).collect();
    assert!(verbs.len() > 10, "{verbs:?}");
    for verb in verbs {
        machine
            .kinfra(&format!("man {verb}"))
            .exits(0)
            .prints(&format!(".TH kinfra-{verb} 1 "))
            .prints(".SH OPTIONS");
    }
    machine
        .kinfra("man nothing")
        .exits(64)
        .says("there is no verb `nothing`\nhelp: `kinfra --help` lists them");
}

#[test]
fn what_only_the_pool_or_the_machine_knows_is_completed() {
    let machine = Machine::claimed();
    let registry: Value = serde_json::from_str(&machine.read("~/pool/registry.json")).expect("JSON");
    let id = registry["slots"]["1"]["claim_id"].as_str().expect("an id");
    assert_eq!(offers(&machine, &["kinfra", "release", ""])[..2], ["1", "--spec"]);
    assert_eq!(offers(&machine, &["kinfra", "release", "--claim-id", ""]), [id]);
    assert_eq!(offers(&machine, &["kinfra", "renew", "--claim-id", ""]), [id]);
    assert_eq!(offers(&machine, &["kinfra", "open", "w"]), ["web"]);
    assert_eq!(offers(&machine, &["kinfra", "man", "cla"]), ["claim"]);
    machine.kinfra("plan --out saved-plan").exits(0);
    machine.write("saved-text", "no plan");
    machine.write("odd;touch $x 'y", "a name that is a command, if it is not quoted");
    assert_eq!(offers(&machine, &["kinfra", "run", "--", "git", "odd"]), ["odd\\;touch\\ \\$x\\ \\'y"]);
    assert_eq!(offers(&machine, &["kinfra", "apply", "saved"]), ["saved-plan"]);
    assert_eq!(offers(&machine, &["kinfra", "show", "saved"]), ["saved-plan"]);
    for verb in ["exec", "run"] {
        let git = offers(&machine, &["kinfra", verb, "--", "gi"]);
        assert!(git.contains(&"git".to_owned()), "{git:?}");
        // What comes after the command is about files.
        let files = offers(&machine, &["kinfra", verb, "--", "git", "saved"]);
        assert_eq!(files, ["saved-plan", "saved-text"]);
        let echo = offers(&machine, &["kinfra", verb, "--", "git", "gi"]);
        assert!(!echo.contains(&"git".to_owned()), "{echo:?}");
    }
}

#[test]
fn the_line_is_added_to_the_start_up_file_once() {
    let machine = Machine::new();
    let install = |arguments: &str, variable: (&str, &str)| {
        let mut install = machine.command(&format!("completions install {arguments}"));
        Run::of(install.env(variable.0, variable.1))
    };
    let bash = ("SHELL", "/usr/bin/bash");
    machine.write("~/dotfiles/bashrc", "# mine");
    std::os::unix::fs::symlink("dotfiles/bashrc", machine.path("~/.bashrc")).expect("a link");
    install("--dry-run", bash).exits(0).says("Would add to ~/dotfiles/bashrc:");
    assert_eq!(machine.read("~/dotfiles/bashrc"), "# mine");
    install("", bash).exits(0).says("Added to ~/dotfiles/bashrc:\n    source <(kinfra completions bash)\n");
    let text = "# mine\nsource <(kinfra completions bash)\n";
    assert_eq!(machine.read("~/.bashrc"), text);
    install("", bash).exits(0).says("~/dotfiles/bashrc has it already");
    assert_eq!(machine.read("~/.bashrc"), text);
    let config = machine.path("~/elsewhere");
    install("fish", ("XDG_CONFIG_HOME", config.to_str().expect("text"))).exits(0);
    assert_eq!(machine.read("~/elsewhere/fish/config.fish"), "kinfra completions fish | source\n");
    install("zsh", bash).exits(0).says("Added to ~/.zshrc");
    machine.write("~/dotfiles/goes-on", "export A=b \\");
    machine.remove("~/.bashrc");
    std::os::unix::fs::symlink("dotfiles/goes-on", machine.path("~/.bashrc")).expect("a link");
    install("", bash).exits(0);
    assert_eq!(machine.read("~/.bashrc"), "export A=b \\\n\nsource <(kinfra completions bash)\n");
    machine.remove("~/dotfiles/goes-on");
    install("--dry-run", bash).exits(4).says("is a link to a file that is not there");
    install("", ("SHELL", "/bin/tcsh")).exits(64).says("`kinfra completions install bash`");
    machine.kinfra("completions").exits(64);
}
