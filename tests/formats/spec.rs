//! The language of `slots.toml`, and the messages about mistakes in it. After a mistake, nothing is written.
//!
//! Most tests are tables. A line has the replacement for a part of [`SMALL`] and, after `=>`, the expected
//! parts of the message in order, with `…` between them. `⏎` stands for a line break.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::{Machine, Run, SMALL};

const PORT: &str = "web = 8000";
const IDS: &str = "ids = \"1-2\"";
const PROFILE: &str = "profile = \"only\"";
const FILE: &str = "\"conf.txt\" = \"conf.txt\"\n";

/// The lines of a table, each with the expected parts of the message.
pub(super) fn rows(table: &str) -> impl Iterator<Item = (String, Vec<String>)> {
    let rows = table.lines().map(str::trim).filter(|line| !line.is_empty());
    rows.map(|row| {
        let row = row.replace('⏎', "\n");
        let (change, said) = row.split_once(" => ").unwrap_or_else(|| panic!("no `=>` in {row}"));
        (change.trim().to_owned(), said.split(" … ").map(str::to_owned).collect())
    })
}

/// Refuses each line of a table as the value of one part of [`SMALL`].
#[track_caller]
fn each_is_refused(part: &str, table: &str) {
    each_of_is_refused(SMALL, part, table);
}

/// Refuses each line of a table as the value of one part of a spec.
#[track_caller]
pub(crate) fn each_of_is_refused(spec: &str, part: &str, table: &str) {
    assert!(spec.contains(part), "no {part:?} in the spec");
    for (change, words) in rows(table) {
        let machine = Machine::small();
        machine.spec(spec);
        machine.edit_spec(part, &format!("{change}\n"));
        is_refused(&machine, 65, &words);
    }
}

/// Runs `apply`, which must refuse and leave everything as it is.
#[track_caller]
pub(super) fn is_refused(machine: &Machine, code: i32, words: &[impl AsRef<str>]) {
    let before = machine.tree();
    let run = machine.kinfra("apply").exits(code).prints_exactly("");
    assert_eq!(machine.tree(), before);
    let mut rest = run.stderr.as_str();
    for word in words.iter().map(AsRef::as_ref) {
        let found = rest.split_once(word);
        (_, rest) = found.unwrap_or_else(|| panic!("no {word:?} in its place in:\n{}", run.stderr));
    }
}

/// Runs `plan`, which must refuse with exactly these words, the project's directory called `project`.
#[track_caller]
fn is_shown_as(machine: &Machine, expected: &str) {
    let run = machine.kinfra("plan").exits(65).prints_exactly("");
    let project = fs::canonicalize(machine.project()).expect("a project");
    assert_eq!(run.stderr.replace(&project.display().to_string(), "project"), expected);
}

fn make_fifo(machine: &Machine, path: &str) {
    Run::of(machine.program("mkfifo").arg(machine.path(path))).exits(0);
}

fn make_dir(machine: &Machine, path: &str) {
    fs::create_dir(machine.path(path)).expect("a new directory");
}

#[test]
fn a_mistake_is_shown_where_it_is_made() {
    let machine = Machine::small();
    machine.edit_spec("profile =", "profle =");
    is_shown_as(
        &machine,
        r#"error: [[slots]] has no key `profle`
  --> project/slots.toml:15:1
   |
15 | profle = "only"
   | ^^^^^^
   |
   = help: did you mean `profile`?
"#,
    );
}

#[test]
fn all_mistakes_of_a_file_are_shown_at_once_in_its_order() {
    let machine = Machine::small();
    machine.edit_spec("name = \"small\"", "nmae = \"small\"");
    machine.edit_spec(PORT, "web = 80");
    machine.edit_spec(PROFILE, "profile = \"onyl\"\n\n[[slots]]\nids = \"2-3\"\nprofile = \"only\"");
    machine.edit_spec(FILE, "\"conf.txt\" = \"../conf.txt\"\n");
    is_shown_as(
        &machine,
        r#"error: [pool] has no key `nmae`
 --> project/slots.toml:4:1
  |
4 | nmae = "small"
  | ^^^^
  |
  = help: did you mean `name`?

error: a base must be between 1024 and 65535, not 80
 --> project/slots.toml:8:7
  |
8 | web = 80
  |       ^^

error: profile `onyl` is not defined
  --> project/slots.toml:15:11
   |
15 | profile = "onyl"
   |           ^^^^^^
   |
   = help: did you mean `only`?

error: slot 2 is declared twice
  --> project/slots.toml:18:7
   |
14 | ids = "1-2"
   |       ----- first declared here
...
18 | ids = "2-3"
   |       ^^^^^

error: `../conf.txt` leaves its directory with `..`
  --> project/slots.toml:22:14
   |
22 | "conf.txt" = "../conf.txt"
   |              ^^^^^^^^^^^^^
"#,
    );
}

#[test]
fn the_old_otlp_formulas_are_refused_with_both_slots_and_the_stride_that_works() {
    let machine = Machine::small();
    machine.edit_spec(PORT, "web = 8000\notlp_grpc = 4317\notlp_http = 4318");
    is_shown_as(
        &machine,
        "\
error: ports collide: `otlp_grpc` of slot 1 and `otlp_http` of the main stack (slot 0) are both 4318
  --> project/slots.toml:10:1
   |
 9 | otlp_grpc = 4317
   | ---------------- 4317 + slot
10 | otlp_http = 4318
   | ^^^^^^^^^^^^^^^^ 4318 + slot
   |
   = help: the smallest stride that works for both is 2
",
    );
    let machine = Machine::new();
    machine.spec(include_str!("../../slots.toml"));
    for base in ["4317", "4318"] {
        machine.edit_spec(&format!("{{ base = {base}, stride = 10 }}"), base);
    }
    is_refused(
        &machine,
        65,
        &["`otlp_grpc` of slot 1 and `otlp_http` of the main stack", "works for both is 2"],
    );
    for base in ["4317", "4318"] {
        machine.edit_spec(&format!("= {base}"), &format!("= {{ base = {base}, stride = 2 }}"));
    }
    machine.kinfra("ports").exits(0);
}

#[test]
fn a_mistake_in_a_template_names_the_template_and_slots_toml() {
    let machine = Machine::small();
    machine.template("conf.txt", "# a comment\nport = {{ ports.wbe }}\n");
    is_shown_as(
        &machine,
        "\
error: `ports.wbe` is not defined
 --> project/templates/conf.txt:2:11
  |
2 | port = {{ ports.wbe }}
  |           ^^^^^^^^^
  |
  = help: did you mean `ports.web`?
  = note: project/slots.toml uses this template for `conf.txt` of slot 1
",
    );
}

#[test]
fn a_file_that_is_no_toml_is_refused() {
    let garbage = "x\n".repeat(500);
    for (text, words) in [
        ("".as_bytes(), &["the file declares nothing", "slots.toml:1:1", "a pool needs `version = 1`"][..]),
        (b" \n# to do\n", &["the file declares nothing"]),
        (b"version = 1\n", &["no [pool]", "no [ports]", "no [[profiles]]", "no [[slots]]", "no [files]"]),
        (b"version = \n[pool\n", &["string values must be quoted", ":1:11", "unclosed table", ":2:6"]),
        (b"version = 1\nversion = 1\n", &["duplicate key", ":2:1"]),
        (b"version = 1\n\x7fELF\xff\x00", &["is not text: line 2 has a byte that is not UTF-8"]),
        (b"v\0e\0r\0", &["invalid unquoted key", "\u{2400}"]),
        (garbage.as_bytes(), &["key with no value", ":1:2", ":50:2", "… and 450 more\n"]),
    ] {
        let machine = Machine::small();
        machine.write("slots.toml", text);
        is_refused(&machine, 65, words);
    }
}

#[test]
fn a_named_spec_that_cannot_be_read_is_refused() {
    let machine = Machine::small();
    make_dir(&machine, "dir.toml");
    make_fifo(&machine, "fifo.toml");
    for (name, words) in [
        ("gone.toml", "spec `gone.toml`, from --spec or KINFRA_SPEC, does not exist"),
        ("slots.toml/gone.toml", "does not exist"),
        ("~/gone.toml", "spec `~/gone.toml`, from"),
        ("dir.toml", "dir.toml` cannot be read: it is a directory"),
        ("fifo.toml", "fifo.toml` cannot be read: it is a FIFO, socket or device"),
        ("/dev/zero", "spec `/dev/zero` cannot be read: it is a FIFO, socket or device"),
    ] {
        for verb in ["plan", "apply", "slots", "ports"] {
            machine.kinfra(&format!("{verb} --spec {name}")).exits(65).prints_exactly("").says(words);
        }
        Run::of(machine.command("apply").env("KINFRA_SPEC", name)).exits(65).says(words);
    }
    assert!(machine.tree().is_empty());
}

#[test]
fn a_broken_slots_toml_is_never_passed_over_for_the_embedded_one() {
    let machine = Machine::new();
    symlink("gone.toml", machine.path("slots.toml")).expect("a link");
    is_refused(&machine, 65, &["slots.toml` is a symbolic link to nothing"]);
    fs::remove_file(machine.path("slots.toml")).expect("a removed link");
    make_dir(&machine, "slots.toml");
    is_refused(&machine, 65, &["slots.toml` cannot be read: it is a directory"]);
}

#[test]
fn unknown_keys_are_refused_everywhere_with_the_likely_one() {
    each_is_refused(
        "version = 1\n",
        "verison = 1 => the file has no key `verison` … :1:1 … did you mean `version`?",
    );
    each_is_refused("[pool]\n", "[pol] => the file has no key `pol` … :3:2 … did you mean `pool`?");
    each_is_refused("root = \"~/pool\"", "rot = 1 => [pool] has no key `rot` … :5:1 … did you mean `root`?");
    each_is_refused(
        PORT,
        "web = { bas = 8000 } => a port has no key `bas` … :8:9 … did you mean `base`?
         web = { base = 8000, strid = 2 } => a port has no key `strid` … did you mean `stride`?
         web = { base = 8000, x = 2 } => a port has no key `x` … a port takes `base`, `stride`",
    );
    each_is_refused(
        "name = \"only\"",
        r#"name = "only"⏎worker = {} => [[profiles]] has no key `worker` … did you mean `workers`?"#,
    );
    each_is_refused(IDS, r#"id = "1-2" => [[slots]] has no key `id` … :14:1 … did you mean `ids`?"#);
    each_is_refused(
        "[files]\n",
        "[file] => the file has no key `file` … :17:2 … did you mean `files`?
         [x]⏎[files] => the file has no key `x` … the file takes `version`, `pool`, `ports`, `profiles`",
    );
    each_is_refused(
        FILE,
        r#"a = { tmplate = "b" } => a file has no key `tmplate` … did you mean `template`?
           a = { template = "b", mod = "0600" } => a file has no key `mod` … did you mean `mode`?
           a = "a"⏎[claim]⏎b = { x = "a" } => a file has no `template` … a file has no key `x`
           a = "a"⏎[env]⏎A = { valu = "b" } => a variable has no key `valu` … did you mean `value`?"#,
    );
}

#[test]
fn a_key_that_is_missing_or_of_the_wrong_type_is_named() {
    each_is_refused(
        "version = 1\n",
        r#"# 1 => the file has no `version` … :1:1
           version = 2 => this kinfra reads version 1 of slots.toml, not version 2 … :1:11
           version = "1" => `version` must be a whole number, not of type string
           version = 1.0 => `version` must be a whole number, not of type float
           version = -1 => `version` must be between 0 and 65535, not -1"#,
    );
    each_is_refused("root = \"~/pool\"", "# root => [pool] has no `root` … :3:1");
    each_is_refused(
        "name = \"small\"",
        "name = 7 => `name` must be a string, not of type integer … put it in quotes",
    );
    each_is_refused(
        "[[profiles]]",
        "[profiles] => [[profiles]] must be an array of tables, not of type table",
    );
    each_is_refused(
        IDS,
        "ids = 5 => `ids` must be a string, not of type integer … :14:7 … put it in quotes
         ids = [1, 2] => `ids` must be a string, not of type array … :14:7
         # ids => [[slots]] has no `ids` … :13:1",
    );
}

#[test]
fn wrong_names_and_paths_of_a_pool_are_refused() {
    each_is_refused(
        "name = \"small\"",
        r#"name = "Small" => `Small` is not a valid pool name … :4:8 … use lowercase letters
           name = "" => `` is not a valid pool name
           name = "a"⏎env_prefix = "kt-" => `kt-` is not a valid prefix for variables … :5:14 … use uppercase letters
           name = "a"⏎agent_lease = "0h" => a lease of `0h` has run out at once
           name = "a"⏎agent_lease = "soon" => write a whole number and a unit
           name = "a"⏎import = "old.json" => `old.json` must be absolute or start with `~/`"#,
    );
    each_is_refused(
        "root = \"~/pool\"",
        r#"root = "pool" => `pool` must be absolute or start with `~/` … :5:8
           root = "../pool" => `../pool` must be absolute
           root = "$HOME/pool" => `$HOME/pool` must be absolute or start with `~/`
           root = "~" => `~` must be absolute or start with `~/`
           root = "~/../pool" => `~/../pool` must not contain `..`
           root = "/var/../pool" => `/var/../pool` must not contain `..`
           root = "~/" => `~/` is your home directory … :5:8 … name a directory below it
           root = "/" => `/` is the whole file system … :5:8 … name a directory below it
           root = "~/a\nb" => `~/a\nb` has a control character"#,
    );
}

#[test]
fn wrong_ids_are_refused() {
    each_is_refused(
        IDS,
        r#"ids = "0" => slot 0 is the main stack, on the base ports: ids start at 1 … :14:7
           ids = "0-3" => slot 0 is the main stack
           ids = "-1" => `-1` is not a list of slot ids: write `5`, `1-4` or `1-3,7`
           ids = "3-1" => `3-1` runs backwards: write `1-3`
           ids = "1-1000000000" => slot 1000000000 is above 64511, the most that ports allow
           ids = "64512" => slot 64512 is above 64511
           ids = "1-3,2" => slot 2 is listed twice … :14:7
           ids = "" => `` is not a list of slot ids
           ids = "1,,2" => `` is not a list of slot ids
           ids = "1-" => `1-` is not a list of slot ids
           ids = "one" => `one` is not a list of slot ids
           ids = "1.5" => `1.5` is not a list of slot ids"#,
    );
    each_is_refused(
        PROFILE,
        r#"profile = "only"⏎[[slots]]⏎ids = "4,2"⏎profile = "only" => slot 2 is declared twice … :17:7 … first declared here"#,
    );
}

#[test]
fn wrong_profiles_are_refused() {
    each_is_refused(
        PROFILE,
        r#"profile = "onli" => profile `onli` is not defined … :15:11 … did you mean `only`?
           profile = "x" => profile `x` is not defined … the profiles are `only`
           profile = 1 => `profile` must be a string, not of type integer"#,
    );
    each_is_refused(
        "name = \"only\"",
        r#"name = "only"⏎[[profiles]]⏎name = "only" => profile `only` is declared twice … :13:8 … first declared here
           name = "Only" => `Only` is not a valid profile name
           name = "only"⏎workers = { Cpu = 1 } => `Cpu` is not a valid kind of worker
           name = "only"⏎workers = { cpu = -1 } => a number of workers must be between 0 and 65535, not -1
           name = "only"⏎workers = 2 => `workers` must be a table, not of type integer"#,
    );
}

#[test]
fn wrong_ports_are_refused() {
    each_is_refused(
        PORT,
        r#"# none => [ports] is empty … :7:1 … declare at least the primary port
           Web = 8000 => `Web` is not a valid port name: use lowercase letters … :8:1
           web-ui = 8000 => `web-ui` is not a valid port name
           web = "8000" => a port must be a base such as `8000`, or `{ base = 8000, stride = 10 }`
           web = 1023 => a base must be between 1024 and 65535, not 1023 … :8:7
           web = 65536 => a base must be between 1024 and 65535, not 65536
           web = -1 => a base must be between 1024 and 65535, not -1
           web = {} => a port has no `base` … :8:7
           web = { base = 8000, stride = 0 } => a stride must be between 1 and 65535, not 0 … :8:31
           web = { base = 8000, stride = 99999 } => a stride must be between 1 and 65535, not 99999"#,
    );
}

#[test]
fn ports_out_of_range_are_refused_with_a_base_that_is_not() {
    each_is_refused(
        PORT,
        "web = 65534 => port `web` of slot 2 would be 65536, above 65535 … :8:1 … 65534 + slot … in range is 65533
         web = { base = 8000, stride = 40000 } => port `web` of slot 2 would be 88000 … no base keeps every slot in range",
    );
    each_is_refused(
        IDS,
        r#"ids = "1-64511" => `web` of slot 57536 would be 65536 … :8:1 … in range is 1024"#,
    );
}

#[test]
fn ports_that_meet_are_refused_with_a_stride_or_a_base_that_do_not() {
    each_is_refused(
        PORT,
        "web = 8000⏎api = 8001 => `web` of slot 1 and `api` of the main stack (slot 0) are both 8001 … stride that works for both is 2
         web = 8000⏎api = 8001⏎db = 8004 => are both 8001 … the smallest stride that works for both is 7
         web = 8000⏎api = 8000 => are both 8000 … no stride works for both; the nearest free base for `api` is 8003
         web = 8000⏎api = { base = 7996, stride = 2 } => `web` of the main stack (slot 0) and `api` of slot 2 are both 8000",
    );
    // Every colliding pair is shown. No stride for one of two pairs settles the other.
    each_is_refused(
        PORT,
        "web = 8000⏎api = 8001⏎db = 9000⏎cache = 9002 => both 8001 … base for `api` is 8003 … both 9002 … base for `cache` is 9003",
    );
    // Also if a profile is wrong, because the ids are right.
    each_is_refused(
        PROFILE,
        r#"profile = "onyl"⏎[ports.api]⏎base = 8001 => `onyl` is not defined … stride that works for both is 2"#,
    );
}

#[test]
fn more_slots_than_ports_are_refused() {
    let machine = Machine::small();
    machine.edit_spec(IDS, "ids = \"1-32256\"");
    machine.edit_spec(PORT, "web = 1024\napi = 1025");
    let help = "no stride and no base works; declare fewer slots or fewer ports";
    is_refused(&machine, 65, &["are both 1025", help]);
}

#[test]
fn files_that_leave_the_slot_or_clash_are_refused() {
    each_is_refused(
        FILE,
        r#"# none => [files] is empty … :17:1 … declare at least one file
           "/etc/a" = "conf.txt" => `/etc/a` is absolute: write it relative to its directory … :18:1
           "../a" = "conf.txt" => `../a` leaves its directory with `..`
           "a/../../b" = "conf.txt" => `a/../../b` leaves its directory with `..`
           "" = "conf.txt" => `` does not name a file
           "." = "conf.txt" => `.` does not name a file
           "etc/" = "conf.txt" => `etc/` does not name a file
           "a\nb" = "conf.txt" => `a\nb` has a control character
           a = "conf.txt"⏎"./a" = "conf.txt" => file `a` is declared twice … :19:1 … first declared here
           a = "conf.txt"⏎"a/b" = "conf.txt" => `a` and `a/b` cannot both be files … :19:1
           a = "conf.txt"⏎[claim]⏎a = "conf.txt" => file `a` is declared twice … :20:1
           a = 1 => a template must be a string, not of type integer … :18:5
           a = { template = "conf.txt", mode = 644 } => `mode` must be a string … put it in quotes
           a = { template = "conf.txt", mode = "644" } => `644` is not a mode: write four octal digits
           a = { template = "conf.txt", mode = "0888" } => `0888` is not a mode
           a = { template = "conf.txt", mode = "0044" } => mode `0044` would not let kinfra read and write its own file"#,
    );
}

#[test]
fn templates_that_cannot_be_read_are_refused() {
    let table = "
        gone.txt => template `templates/gone.txt` does not exist
        conf.txt/gone => template `templates/conf.txt/gone` does not exist
        link => template `templates/link` does not exist
        dir => template `templates/dir` cannot be read: it is a directory
        fifo => template `templates/fifo` cannot be read: it is a FIFO, socket or device
        binary => template `templates/binary` is not UTF-8 text
        /etc/passwd => `/etc/passwd` is absolute: write it relative to its directory
        ../slots.toml => `../slots.toml` leaves its directory with `..`
        dir/.. => `dir/..` leaves its directory with `..`
        . => `.` does not name a file";
    for (name, mut words) in rows(table) {
        let machine = Machine::small();
        make_dir(&machine, "templates/dir");
        make_fifo(&machine, "templates/fifo");
        machine.write("templates/binary", b"\xff\xfe");
        symlink("gone", machine.path("templates/link")).expect("a link");
        machine.edit_spec(FILE, &format!("\"conf.txt\" = \"{name}\"\n"));
        words.push("slots.toml:18:14".to_owned());
        is_refused(&machine, 65, &words);
        // A template for claims is checked like any other.
        machine.edit_spec(&format!("\"{name}\"\n"), &format!("\"conf.txt\"\n[claim]\n\"a\" = \"{name}\"\n"));
        words[1] = "slots.toml:20:7".to_owned();
        is_refused(&machine, 65, &words);
    }
}

#[test]
fn templates_that_do_not_render_are_refused() {
    let table = "
        {{ port.web }} => `port.web` is not defined … conf.txt:1:4 … did you mean `ports.web`?
        a⏎b {{ slot.it }} => `slot.it` is not defined … conf.txt:2:6 … did you mean `slot.id`?
        {{ slot.foo }} => `slot.foo` is not defined … conf.txt:1:4 … a template can use `slot.id`, `slot.profile`
        {{ host }} => `host` is not defined … a template can use `slot.id`, `slot.profile` … `ports.web`
        {{ workers.cpu }} => `workers.cpu` is not defined … a template can use
        {{ env.TOKEN }} => `env.TOKEN` is not defined
        {{ worktree }} => `worktree` is not defined
        {% if ports.other %}{% endif %} => `ports.other` is not defined … conf.txt:1:7
        {% if slot.id == 2 %}{{ ports.wb }}{% endif %} => `ports.wb` is not defined … uses this template for `conf.txt` of slot 2
        a⏎{{ slot.id => unexpected end of input … conf.txt:2:9 … slots.toml uses this template for `conf.txt`
        {% if %} => unexpected end of block … conf.txt:1:7
        {% for port in ports %} => unexpected end of input
        {% include 'other' %} => unknown statement include
        {{ slot.id | shout }} => filter shout is unknown … conf.txt:1:14
        {{ slot.id / 0 }} => unable to calculate 1 / 0
        {{ 'a\\u0000' | dotenv }} => the value has the control character \\u{0}, which an env file cannot hold";
    for (template, words) in rows(table) {
        let machine = Machine::small();
        machine.template("conf.txt", &template);
        is_refused(&machine, 65, &words);
    }
}

#[test]
fn every_template_with_a_mistake_is_shown() {
    let machine = Machine::small();
    let files = "a = \"a\"\nb = \"b\"\nc = \"gone\"\n[env]\nA = \"{{ slot.it }}\"\nB = \"{{ slot.i\"\n";
    machine.edit_spec(FILE, files);
    machine.template("a", "{{ ports.a }}");
    machine.template("b", "{{ ports.b");
    let run = machine.kinfra("apply").exits(65);
    for words in
        ["`slot.it` is", "slots.toml:23:5", "`ports.a` is", "templates/b:1:10", "`templates/gone` does"]
    {
        assert!(run.stderr.contains(words), "no {words:?} in {}", run.stderr);
    }
}

#[test]
fn wrong_variables_are_refused() {
    let table = r#"
        A = "{{ ports.wbe }}" => `ports.wbe` is not defined … :20:5 … did you mean `ports.web`?
        A = "{{ slot.id" => unexpected end of input … :20:5
        A = "a"⏎B = "{{ env.A }}" => `env.A` is not defined … :21:5 … a template can use
        A = 5 => the value of a variable must be a string, not of type integer … put it in quotes
        A = ["a"] => the value of a variable must be a string, not of type array
        A = { value = 5 } => the value of a variable must be a string
        A = { value = "a", sensitive = "yes" } => `sensitive` must be `true` or `false`, not of type string
        A = { sensitive = true } => a variable has no `value` … :20:5
        1A = "a" => `1A` is not a valid variable name … :20:1 … use letters, digits and `_`
        "A B" = "a" => `A B` is not a valid variable name
        SLOT_ID = "3" => kinfra sets `SLOT_ID` itself, for every slot … choose another name
        COMPOSE_PROJECT_NAME = "a" => kinfra sets `COMPOSE_PROJECT_NAME` itself, for every slot
        WEB_PORT = "80" => kinfra sets `WEB_PORT` itself, for port `web` … :20:1"#;
    for (line, words) in rows(table) {
        let machine = Machine::small();
        machine.edit_spec(FILE, &format!("{FILE}[env]\n{line}\n"));
        is_refused(&machine, 65, &words);
    }
}

#[test]
fn wrong_words_on_stacks_are_refused() {
    each_is_refused(
        "[files]\n",
        r#"[stack]⏎verify = "make"⏎[files] => `verify` must be an array of strings, not of type string
           [stack]⏎verify = []⏎[files] => `verify` names no command … write the command and its arguments
           [stack]⏎verify = [""]⏎[files] => `verify` names no command
           [stack]⏎once = ["a", "a"]⏎[files] => service `a` is listed twice
           [stack]⏎once = ["a b"]⏎[files] => `a b` is not a valid service name … use letters, digits
           [stack]⏎keep_data = "7 days"⏎[files] => write a whole number and a unit
           [stack]⏎idle_stop = "soon"⏎[files] => write a whole number and a unit
           [stack]⏎shell = ""⏎[files] => `` is not a valid service name
           [stack]⏎shel = "web"⏎[files] => [stack] has no key `shel` … did you mean `shell`?"#,
    );
}

#[test]
fn wrong_words_on_the_registry_are_refused() {
    each_is_refused(
        "[files]\n",
        r#"[registry]⏎url = 5⏎[files] => `url` must be a string
           [registry]⏎[files] => [registry] has no `url`
           [registry]⏎urll = "postgres://h/d"⏎[files] => [registry] has no key `urll` … did you mean `url`?
           [registry]⏎url = "mysql://h/d"⏎[files] => the url is not one of PostgreSQL … :18:7 … write `postgres://
           [registry]⏎url = "postgres://h/d?sslmode=on"⏎[files] => `sslmode=on` is none that PostgreSQL has … write one of disable, allow
           [registry]⏎url = "postgres://h/d?options=-c"⏎[files] => kinfra knows no `options` of a url … it takes `host`"#,
    );
}

#[test]
fn slots_of_a_host_are_of_that_host_alone() {
    each_is_refused(
        "[files]\n",
        r#"[[slots]]⏎ids = "3"⏎profile = "only"⏎host = 5⏎[files] => `host` must be a string
           [[slots]]⏎ids = "3"⏎profile = "only"⏎host = "a b"⏎[files] => `a b` is not a valid name of a host: write it as `hostname` prints it
           [[slots]]⏎ids = "2"⏎profile = "only"⏎host = "box-b"⏎[files] => slot 2 is declared twice … first declared here"#,
    );
    let machine = Machine::small();
    let of = |host: &str| format!("[[slots]]\nids = \"3\"\nprofile = \"only\"\nhost = \"{host}\"\n");
    machine.edit_spec("[files]\n", &format!("{}{}[files]\n", of("box-b"), of("box-c")));
    machine.kinfra("plan").exits(0).prints("Slot 3 of box-b: ").prints("Plan: 2 to add");
    let there = Run::of(machine.command("plan").env("KINFRA_TEST_HOST", "box-c")).exits(0);
    there.prints("Plan: 3 to add").never_says("of box-c");
    // Ports are proven for every host, wherever that is done.
    machine.edit_spec("web = 8000", "web = 8000\nother = 8003");
    is_refused(&machine, 65, &["8003"]);
}

#[test]
fn a_password_in_the_url_is_a_mistake_and_is_not_shown() {
    for registry in ["url = \"postgres://ann:hunter2@h/d\"", "url = \"postgres://h/d?password=hunter2\""] {
        for rest in ["", "\nother =", "\nurl = 1"] {
            let machine = Machine::small();
            machine.edit_spec("[files]\n", &format!("[registry]\n{registry}{rest}\n[files]\n"));
            machine.kinfra("plan").exits(65).never_says("hunter2");
        }
        let machine = Machine::small();
        machine.edit_spec("[files]\n", &format!("[registry]\n{registry}\n[files]\n"));
        is_refused(
            &machine,
            65,
            &["a url in slots.toml or on a command line has no password", ":18:7", "*******", "`~/.pgpass`"],
        );
    }
}

#[test]
fn wrong_subnets_are_refused() {
    each_is_refused(
        "[files]\n",
        r#"[stack]⏎subnet = 10⏎[files] => `subnet` must be a string … put it in quotes
           [stack]⏎subnet = "10.213.{{ slot.id"⏎[files] => unexpected end of input … :18:10
           [stack]⏎subnet = "10.213.{{ slot.profile }}.0/24"⏎[files] => `slot.profile` is not defined … :18:10 … `subnet` can use `slot.id`, and nothing else
           [stack]⏎subnet = "10.213.{{ ports.web }}.0/24"⏎[files] => `ports.web` is not defined
           [stack]⏎subnet = "10.213.{{ slot.id + 254 }}.0/24"⏎[files] => `10.213.256.0/24` of slot 2 is no block of IPv4 addresses … :18:10
           [stack]⏎subnet = "fd00:{{ slot.id }}::/64"⏎[files] => `fd00:1::/64` of slot 1 is no block of IPv4 addresses
           [stack]⏎subnet = "10.213.{{ slot.id }}.1/24"⏎[files] => `10.213.1.1/24` of slot 1 is an address in a block … the block around it is 10.213.1.0/24
           [stack]⏎subnet = "11.0.{{ slot.id }}.0/24"⏎[files] => `11.0.1.0/24` of slot 1 is not for private networks … use a block in 10.0.0.0/8
           [stack]⏎subnet = "10.0.0.{{ slot.id * 4 }}/30"⏎[files] => `10.0.0.4/30` of slot 1 has no room for a network
           [stack]⏎subnet = "10.213.0.0/24"⏎[files] => slots 1 and 2 both have the addresses 10.213.0.0/24 … :18:10 … use `slot.id`
           [stack]⏎subnet = "10.213.{{ (slot.id - 1) * 64 }}.0/{{ 14 + slot.id * 2 }}"⏎[files] => slots 1 and 2 have addresses in common: 10.213.0.0/16 and 10.213.64.0/18"#,
    );
}

#[test]
fn a_prefix_decides_which_variables_are_taken() {
    let machine = Machine::small();
    machine.edit_spec("name = \"small\"", "name = \"small\"\nenv_prefix = \"S_\"");
    machine.edit_spec("name = \"only\"", "name = \"only\"\nworkers = { cpu = 1 }");
    // These are reported although a file is wrong, too.
    let variables = "[env]\nWEB_PORT = \"\"\nS_WEB_PORT = \"\"\nS_CPU_WORKERS = \"\"\n";
    machine.edit_spec(FILE, &format!("{FILE}\"\" = \"a\"\n{variables}"));
    is_refused(&machine, 65, &["`` does not name a file", "for port `web`", "for workers `cpu`"]);
    machine.kinfra("plan").exits(65).says("kinfra sets `S_WEB_PORT` itself").never_says("`WEB_PORT`");
}

#[test]
fn nothing_in_a_file_can_steer_the_terminal() {
    each_is_refused(PROFILE, r#"profile = "\u001b[31mred" => profile `\u{1b}[31mred` is not defined"#);
    each_is_refused(
        FILE,
        r#""\u001b]0;title\u0007" = "conf.txt" => `\u{1b}]0;title\u{7}` has a control character"#,
    );
    let machine = Machine::small();
    machine.template("conf.txt", "\x1b[31m {{ ports['\x1b[31m'] }}");
    is_refused(&machine, 65, &[r"`ports['\u{1b}[31m']` is not defined", "\u{241b}[31m {{"]);
    machine.kinfra("plan").never_says("\x1b");
    for flag in ["--root", "--spec"] {
        let run = Run::of(machine.command("plan").args([flag, "a\x1b[31m\nb"]));
        run.exits(64)
            .prints_exactly("")
            .says("`a\\u{1b}[31m\\nb` has a control character")
            .never_says("\x1b");
    }
}

#[test]
fn a_home_is_only_needed_where_it_is_used() {
    let machine = Machine::small();
    let root = machine.path("root");
    let with_root = format!("apply --dry-run --root {}", root.display());
    for home in [None, Some(""), Some("home")] {
        let run = |arguments: &str| {
            let mut command = machine.command(arguments);
            match home {
                None => command.env_remove("HOME"),
                Some(home) => command.env("HOME", home),
            };
            Run::of(&mut command)
        };
        let unset = "needs HOME, which is not set to an absolute path";
        let help = "set HOME, or give an absolute --root";
        run("apply").exits(64).prints_exactly("").says(&format!("root `~/pool` {unset}\nhelp: {help}\n"));
        run("apply --root ~/pool").exits(64).prints_exactly("").says(&format!("`~/pool` {unset}"));
        run("apply --spec ~/slots.toml")
            .exits(64)
            .prints_exactly("")
            .says(&format!("`~/slots.toml` {unset}"));
        run(&with_root).exits(0).prints("Plan: 2 to add");
        machine.edit_spec(FILE, &format!("{FILE}[env]\nA = \"~/a\"\n"));
        let value = "`~/` cannot be expanded: HOME is not set to an absolute path";
        run(&with_root).exits(65).prints_exactly("").says(value).says(":20:5");
        machine.spec(SMALL);
    }
    assert!(machine.tree().is_empty());
    assert!(!root.exists() && !machine.exists("home") && !machine.exists("pool"));
}

#[test]
fn a_tilde_is_the_home_where_no_shell_has_seen_it() {
    let machine = Machine::small();
    machine.write("~/other.toml", SMALL);
    machine.write("~/templates/conf.txt", "");
    machine.kinfra("plan --spec=~/other.toml").exits(0).says("Using ~/other.toml\n");
    machine.kinfra("plan --root=~/else").exits(0).prints("at ~/else/slot-1\n");
    Run::of(machine.command("plan").env("KINFRA_ROOT", "~/else")).exits(0).prints("at ~/else/slot-1\n");
}

#[test]
fn a_root_that_is_no_directory_is_refused() {
    for (root, words) in [
        ("~/file", "`~/file` is a file, not a directory"),
        ("~/file/below", "`~/file` is a file, not a directory"),
        ("/dev/null", "root `/dev/null` cannot be used: `/dev` is the system's"),
        ("/proc/kinfra/pool", "cannot be used: `/proc` is the system's"),
    ] {
        let machine = Machine::small();
        machine.write("~/file", "mine");
        machine.kinfra(&format!("apply --root {root}")).exits(4).prints_exactly("").says(words);
        machine.edit_spec("~/pool", root);
        is_refused(&machine, 4, &[words]);
        machine.kinfra("plan").exits(4).prints_exactly("").says(words);
        machine.kinfra("slots").exits(4).prints_exactly("").says(words);
    }
}

#[test]
fn a_root_in_a_slot_of_another_pool_is_refused() {
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    for root in ["~/pool/slot-1", "~/pool/slot-2/deep/er", "~/pool/slot-9"] {
        machine.spec(&SMALL.replace("~/pool", root));
        is_refused(
            &machine,
            4,
            &["is inside a slot of the pool in `", "/pool`\nhelp: choose a root outside it"],
        );
    }
    for root in ["~/pool/other", "~/pool/.tmp/b", "~/pool/.queue", "~/pool/backups/x"] {
        machine.spec(&SMALL.replace("~/pool", root));
        is_refused(&machine, 4, &["is inside the pool in `", "/pool`\nhelp: choose a root outside it"]);
    }
    // A slot's name without a pool around it is fine.
    machine.kinfra("apply --root ~/slot-1").exits(0);
}

#[test]
fn a_root_that_cannot_be_written_fails_and_says_where() {
    let machine = Machine::small();
    machine.edit_spec("~/pool", "~/read-only/pool");
    make_dir(&machine, "~/read-only");
    machine.set_mode("~/read-only", 0o500);
    if fs::write(machine.path("~/read-only/probe"), "").is_err() {
        let before = machine.tree();
        machine.kinfra("apply").exits(1).says("could not make directory").says("read-only/pool`");
        assert_eq!(machine.tree(), before);
    }
}

/// A spec with everything the language has.
pub(crate) const EVERYTHING: &str = r#"version = 1
# Comments, inline tables and dotted keys are as good as any other TOML.
profiles = [{ name = "small" }, { name = "big", memory = "1.5 GiB", workers = { cpu = 0, gpu = 3, mail-out = 3 } }]
slots = [{ ids = "2", profile = "big" }, { ids = " 1 , 4 - 5", profile = "small" }]
[pool]
name = "0-all_of-it"
root = '~/pool/./deep/'
env_prefix = "_X9_"
agent_lease = "90m"
import = "/var/lib/old.json"
[ports]
web = 0x1F90
db.base = 5_432
otlp = { base = 4317, stride = 10 }
dns = { base = 5300, stride = 10, publish = "dns:53/udp", count = 3, scheme = "dns+udp" }
"dns_tcp" = { base = 5300, stride = 10, publish = "dns:53/tcp" }
[files]
"etc/app/conf.txt" = "conf/app.txt"
"run.sh" = { template = "run.sh", mode = "0755" }
[claim]
"override.yml" = "override.yml"
[env]
PLAIN = "{{ ports.web }} of {{ pool.name }}"
SECRET = { value = "s", sensitive = true }
[compose]
files = ["compose.yaml", "deploy/dev.yaml"]
shared = ["mount:/srv/models", "network:observability", "volume:v", "image:i:dev", "device:/dev/x"]
per_slot = { "mount:/srv/pg" = "volume", "mount:/srv/www" = "worktree:data/www", "network:proxy" = "own" }
[services.web.environment]
API_URL = "http://localhost:{{ ports.web }} of {{ env.PLAIN }} in {{ worktree }}"
TOKEN = { value = "t", sensitive = true }
[services."my.Service-1_x"]
[worktree]
copy = [".env", "certs/dev.pem"]
[stack]
verify = ["./smoke", "--fast"]
once = ["migrate", "my.Service-1_x"]
keep_data = "7d"
idle_stop = "4h"
shell = "web"
subnet = "10.{{ 200 + slot.id // 256 }}.{{ slot.id % 256 }}.0/24"
[verbs]
impl = { branch = "impl/{name}", from = "main~2", profile = "big", lease = "8h", up = false }
hot-fix_2 = {}
"#;

#[test]
fn everything_the_language_has_is_accepted() {
    let machine = Machine::new();
    machine.spec(EVERYTHING);
    let env = "{% for name, value in env | items %}\n{{ name }}={{ value | dotenv }}\n{% endfor %}\n";
    machine.template("conf/app.txt", env);
    machine.template(
        "run.sh",
        "{{ pool.env_prefix }} {{ slot.profile }} {{ workers.gpu | default(0) }} {{ slot.dir }}\n",
    );
    machine.template("override.yml", "of: {{ worktree }}\n");
    machine
        .kinfra("apply")
        .exits(0)
        .prints("Would create slot 2 (big) at ~/pool/deep/slot-2\n")
        .says("4 added");
    let slot = "~/pool/deep/slot-2";
    let dir = fs::canonicalize(machine.path(slot)).expect("a slot");
    assert_eq!(machine.read(&format!("{slot}/etc/app/conf.txt")), "PLAIN='8082 of 0-all_of-it'\nSECRET=s\n");
    assert_eq!(machine.read(&format!("{slot}/run.sh")), format!("_X9_ big 3 {}\n", dir.display()));
    assert_eq!(machine.mode(&format!("{slot}/run.sh")), 0o755);
    assert!(!machine.exists(&format!("{slot}/override.yml")));
    machine.kinfra("ports").exits(0).prints("2  big      8082  5434  4337  5320   5321   5322     5320\n");
}

#[test]
fn line_ends_and_byte_order_marks_of_other_systems_are_accepted() {
    let machine = Machine::small();
    machine.spec(&format!("\u{feff}{}", SMALL.replace('\n', "\r\n")));
    machine.kinfra("plan").exits(0).prints("Plan: 2 to add");
}
