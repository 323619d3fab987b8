//! Checks the docs: their links lead somewhere, and kinfra does what they show.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, TcpStream};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Machine, Run};

const SOURCES: &str = env!("CARGO_MANIFEST_DIR");

/// Stands in for Docker: Compose sees the README's file.
const DOCKER: &str = r#"#!/bin/sh
case "$*" in
*version*) echo 2.26.1 ;;
"compose "*kinfra-overlay.yaml*" config "*) echo '{"name": "shop-slot-1"}' ;;
"compose --project-name shop-slot-1 "*" up -d" | "compose --project-name shop-slot-1 "*" down")
    echo "$*" >>"$HOME/docker.log" ;;
"container ls "* | "volume ls "* | "network ls "* | "image ls "*) ;;
"compose "*" config "*) echo '{"name": "shop", "services": {
    "web": {"ports": [{"target": 80, "published": "8080", "protocol": "tcp"}]},
    "db": {"ports": [{"target": 5432, "published": "5432", "protocol": "tcp"}]}}}' ;;
*) echo "this stand-in for docker does not know 'docker $*'" >&2; exit 1 ;;
esac
"#;

pub(crate) fn read(page: &str) -> String {
    fs::read_to_string(Path::new(SOURCES).join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// The paths of all pages, from the top of the repository.
fn pages() -> Vec<String> {
    let entries = fs::read_dir(Path::new(SOURCES).join("docs")).expect("docs/");
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
    let mut pages: Vec<String> = names.map(|name| format!("docs/{name}")).collect();
    pages.extend(["README.md".to_owned(), "CONTRIBUTING.md".to_owned()]);
    pages
}

/// The text of the blocks of code in a language.
pub(crate) fn blocks<'page>(page: &'page str, language: &str) -> Vec<&'page str> {
    let fence = format!("\n```{language}\n");
    let after = page.split(fence.as_str()).skip(1);
    after.map(|text| text.split_once("```").expect("the end of a block").0).collect()
}

/// A page without its blocks of code.
fn prose(page: &str) -> String {
    page.split("\n```").step_by(2).collect()
}

/// The text below a heading, up to the next heading.
fn section<'page>(page: &'page str, heading: &str) -> &'page str {
    let (_, text) = page.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
    text.split_once("\n#").map_or(text, |(text, _)| text)
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(page: &str) -> BTreeSet<String> {
    let prose = prose(page);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let heading = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
            heading.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
        })
        .collect()
}

/// The names of the tests in this program that a filter keeps.
fn tests(arguments: &[&str]) -> Vec<String> {
    let program = std::env::current_exe().expect("this program");
    let run = Run::of(Command::new(program).arg("--list").args(arguments)).exits(0);
    run.stdout.lines().filter_map(|line| Some(line.strip_suffix(": test")?.to_owned())).collect()
}

#[test]
fn the_readme_has_at_most_150_lines() {
    let lines = read("README.md").lines().count();
    assert!(lines <= 150, "README.md has {lines} lines");
}

#[test]
fn every_link_leads_somewhere() {
    let mut broken = Vec::new();
    let mut links = 0;
    for page in pages() {
        let text = prose(&read(&page));
        for target in text.split("](").skip(1).map(|after| after.split_once(')').expect("an end").0) {
            if target.starts_with("https://") {
                continue;
            }
            links += 1;
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let page_path = Path::new(SOURCES).join(&page);
            let file: PathBuf =
                if path.is_empty() { page_path } else { page_path.parent().expect("a parent").join(path) };
            let found = file.exists()
                && (anchor.is_empty()
                    || anchors(&fs::read_to_string(&file).expect("a page")).contains(anchor));
            if !found {
                broken.push(format!("{page}: {target}"));
            }
        }
    }
    assert!(links > 30, "only {links} links");
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_verb_table_is_that_of_the_help() {
    let readme = read("README.md");
    let rows = section(&readme, "## Verbs").lines().filter_map(|line| line.strip_prefix("| `kinfra "));
    let table: BTreeSet<&str> = rows.map(|row| row.split(['`', ' ']).next().expect("a verb")).collect();
    let help = Machine::new().kinfra("--help").exits(0).stdout;
    let (_, commands) = help.split_once("Commands:\n").expect("a list");
    let lines = commands.lines().take_while(|line| !line.is_empty());
    // A verb is indented by two spaces, its description further.
    let verbs = lines.filter_map(|line| line.strip_prefix("  ")?.split_once("  "));
    let verbs: BTreeSet<&str> =
        verbs.map(|(verb, _)| verb).filter(|verb| !matches!(*verb, "" | "help")).collect();
    assert!(verbs.len() > 10, "{help}");
    assert_eq!(table, verbs);
}

#[test]
fn the_exit_codes_are_those_of_the_help() {
    let glossary = read("docs/glossary.md");
    let rows = section(&glossary, "## Exit codes").lines().filter_map(|line| line.strip_prefix("| "));
    let cells = rows.map(|row| row.split_once(' ').expect("a cell").0);
    let table: BTreeSet<u8> = cells.filter_map(|code| code.parse().ok()).collect();
    let help = Machine::new().kinfra("help exit-codes").exits(0).stdout;
    let codes = help.lines().filter_map(|line| line.trim_start().split_once("  ")?.0.parse().ok());
    let codes: BTreeSet<u8> = codes.collect();
    assert!(codes.len() > 5, "{help}");
    assert_eq!(table, codes);
}

#[test]
fn every_test_that_the_guarantees_name_exists() {
    let page = prose(&read("docs/guarantees.md")).split_whitespace().collect::<Vec<_>>().join(" ");
    let all = tests(&[]);
    let modules: BTreeSet<&str> = all.iter().flat_map(|name| name.split("::")).collect();
    let groups = page.split(" (`").skip(1).map(|after| after.split_once(')').expect("an end").0);
    // `RENAME_EXCHANGE` is no module.
    let names =
        groups.filter(|group| group.starts_with(char::is_lowercase)).flat_map(|group| group.split(", "));
    let names: BTreeSet<&str> = names.map(|name| name.trim_matches('`')).collect();
    assert!(names.len() > 20, "{names:?}");
    let missing: Vec<_> = names.difference(&modules).collect();
    assert!(missing.is_empty(), "no test module is named {missing:?}");

    let commands = page.split("`cargo test --profile ci -- ").skip(1);
    let commands: BTreeSet<&str> = commands.map(|after| after.split_once('`').expect("an end").0).collect();
    assert!(commands.len() > 10, "{commands:?}");
    for command in commands {
        let arguments: Vec<&str> = command.split(' ').collect();
        assert!(!tests(&arguments).is_empty(), "`{command}` runs no test");
    }
}

fn is_source(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "rs")
}

/// The paths that the tree of the sources names, from the top of the repository.
fn paths_in_tree(tree: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for line in tree.lines().filter_map(|line| line.split_once("── ").map(|(_, names)| names)) {
        let room = line.split(' ').next().filter(|name| name.ends_with('/')).unwrap_or_default();
        let mut room = format!("src/{room}");
        paths.push(room.clone());
        for word in line.split_whitespace() {
            let name = word.trim_end_matches([':', ',', ';']);
            if is_source(name) || (name.ends_with('/') && !room.ends_with(&format!("/{name}"))) {
                paths.push(format!("{room}{name}"));
            }
            // What follows `ports/:` is in that directory.
            if word.ends_with("/:") {
                room.push_str(name);
            }
        }
    }
    paths
}

#[test]
fn every_source_that_the_architecture_names_exists() {
    let page = read("docs/architecture.md");
    let trees = blocks(&page, "text");
    let tree = trees.into_iter().find(|block| block.starts_with("src/\n")).expect("the tree of the sources");
    let mut paths = paths_in_tree(tree);
    let text = prose(&page);
    let code = || text.split('`').skip(1).step_by(2);
    let in_prose = code().filter(|name| is_source(name) && *name != "mod.rs");
    paths.extend(in_prose.map(|name| match name.split('/').next() {
        Some("src" | "tests") => name.to_owned(),
        _ => format!("src/{name}"),
    }));
    assert!(paths.len() > 80, "only {paths:?}");
    let missing: Vec<_> = paths.iter().filter(|path| !Path::new(SOURCES).join(path).exists()).collect();
    assert!(missing.is_empty(), "docs/architecture.md names {missing:?}");

    let src = fs::read_dir(Path::new(SOURCES).join("src")).expect("src/");
    for name in src.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")) {
        let is_named = paths.iter().any(|path| path.trim_end_matches('/') == format!("src/{name}"));
        assert!(is_named, "docs/architecture.md does not name src/{name}");
    }

    let calls_of = ["src/ledger/transaction.rs", "src/ledger/history.rs", "src/provision/request.rs"];
    let ledger = calls_of.map(read).concat();
    let calls: BTreeSet<&str> = code().filter_map(|name| Some(name.split_once("::")?.1)).collect();
    assert!(calls.len() > 4, "only {calls:?}");
    let unknown: Vec<_> = calls.iter().filter(|call| !ledger.contains(&format!("pub fn {call}"))).collect();
    assert!(unknown.is_empty(), "docs/architecture.md calls {unknown:?}");
}

#[test]
fn every_break_on_the_list_can_be_made() {
    let list: toml::Table = read(".ci/breaks.toml").parse().expect("TOML");
    let breaks = list["break"].as_array().expect("a list");
    for one in breaks {
        let of = |key: &str| one[key].as_str().expect("a text");
        assert_eq!(read(of("file")).matches(of("from")).count(), 1, "{}", of("name"));
        assert_ne!(of("from"), of("to"), "{}", of("name"));
    }
    assert!(breaks.len() > 15, "only {}", breaks.len());
}

#[test]
fn every_whole_spec_in_the_docs_is_valid() {
    let page = read("docs/slots-toml.md");
    let specs = blocks(&page, "toml").into_iter().filter(|block| block.contains("version = "));
    let mut count = 0;
    for spec in specs {
        count += 1;
        let machine = Machine::new();
        machine.spec(spec);
        machine.write("compose.yaml", "services: {}\n");
        let table: toml::Table = spec.parse().expect("TOML");
        let files = ["files", "claim"].iter().filter_map(|key| table.get(*key)?.as_table());
        for file in files.flat_map(toml::Table::values) {
            let name = file.as_str().or_else(|| file.get("template")?.as_str()).expect("a template");
            machine.template(name, "{{ slot.id }}\n");
        }
        // No docker is there, and none is needed.
        let run = Run::of(machine.command("validate --json").env("PATH", "/nowhere")).exits(0);
        run.prints("\"valid\": true");
    }
    assert!(count > 0, "no spec in docs/slots-toml.md");
}

/// The commands of a transcript, and what each prints.
pub(crate) fn steps(transcript: &str) -> Vec<(&str, &str)> {
    let steps = transcript.strip_prefix("$ ").expect("a prompt").split("\n$ ");
    steps.map(|step| step.split_once('\n').unwrap_or((step, ""))).collect()
}

/// Consecutive ports of four digits on which nothing listens. Finds them by connecting, which disturbs
/// nothing.
fn free_ports(among: Range<u16>, count: u16) -> u16 {
    let is_free = |port: &u16| {
        TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).is_err()
            && TcpStream::connect((Ipv6Addr::LOCALHOST, *port)).is_err()
    };
    let mut bases = among.step_by(usize::from(count));
    bases.find(|base| (*base..base + count).all(|port| is_free(&port))).expect("free ports")
}

/// A text with the ports of the README replaced by those of this machine.
fn with_ports(text: &str, bases: [(u16, u16); 2]) -> String {
    // The port in the container stays: by it, init knows a database.
    let text = text.replace(":5432\"", ":inside\"").replace("\"target\": 5432", "\"target\": inside");
    let numbers = bases.into_iter().flat_map(|(shown, base)| (0..5).map(move |i| (shown + i, base + i)));
    let text = numbers.fold(text, |text, (shown, port)| text.replace(&shown.to_string(), &port.to_string()));
    text.replace("inside", "5432")
}

/// The text with every point in time made equal.
fn without_times(text: &str) -> String {
    let mut parts: Vec<String> = text.split(" UTC").map(str::to_owned).collect();
    let last = parts.len() - 1;
    for part in &mut parts[..last] {
        let start = part.len() - "2026-03-01 17:22".len();
        assert!(part[start..].starts_with("20"), "no time: {part}");
        part.replace_range(start.., "some day");
    }
    parts.concat()
}

/// A repository as the README assumes it, on a machine whose docker is a stand-in.
struct Walk {
    machine: Machine,
    bases: [(u16, u16); 2],
}

impl Walk {
    fn new(readme: &str) -> Self {
        let bases = [(8080, free_ports(2000..5000, 5)), (5432, free_ports(6000..8000, 5))];
        let walk = Self { machine: Machine::new(), bases };
        let compose = blocks(readme, "yaml")[0];
        walk.machine.write("~/src/shop/compose.yaml", with_ports(compose, bases));
        walk.machine.write("~/bin/docker", with_ports(DOCKER, bases));
        walk.machine.set_mode("~/bin/docker", 0o755);
        walk.bash("git init --quiet && git add . && git commit --quiet --message 'A stack'");
        walk
    }

    /// What a script in the repository prints to stdout and stderr.
    fn bash(&self, script: &str) -> String {
        let bin = Path::new(env!("CARGO_BIN_EXE_kinfra")).parent().expect("a directory");
        let real = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{}:{real}", self.machine.path("~/bin").display(), bin.display());
        let mut bash = Command::new("bash");
        bash.args(["-e", "-c", &format!("exec 2>&1; {script}")]).current_dir(self.machine.path("~/src/shop"));
        bash.env_clear().env("HOME", self.machine.home()).env("PATH", path).env("GIT_CONFIG_NOSYSTEM", "1");
        for who in ["AUTHOR", "COMMITTER"] {
            bash.env(format!("GIT_{who}_NAME"), "Ana").env(format!("GIT_{who}_EMAIL"), "ana@example.com");
        }
        Run::of(&mut bash).exits(0).stdout
    }

    /// Runs the commands of a transcript, and compares what each prints.
    fn take(&self, transcript: &str) {
        self.take_after("", transcript);
    }

    /// [`Walk::take`], after a line that prints nothing.
    fn take_after(&self, before: &str, transcript: &str) {
        let transcript = with_ports(transcript, self.bases);
        let steps = steps(&transcript);
        let script: String = steps.iter().map(|(command, _)| format!("{command}\nprintf '\\0'\n")).collect();
        let home = self.machine.home().canonicalize().expect("a directory");
        let printed = self.bash(&format!("{before}\n{script}"));
        let printed = printed.replace(home.to_str().expect("UTF-8"), "/home/ana");
        let printed: Vec<&str> = printed.split_terminator('\0').collect();
        assert_eq!(printed.len(), steps.len(), "{printed:#?}");
        for ((command, shown), printed) in steps.iter().zip(printed) {
            let shown = if shown.is_empty() || shown.ends_with('\n') {
                (*shown).to_owned()
            } else {
                format!("{shown}\n")
            };
            assert_eq!(without_times(printed), without_times(&shown), "$ {command}");
        }
    }
}

#[test]
fn the_readme_s_walk_prints_what_it_shows() {
    let readme = read("README.md");
    let transcripts = blocks(&readme, "console");
    let (overview, walk) = transcripts.split_first().expect("a transcript");
    let machine = Walk::new(&readme);
    // One shell runs the whole walk: each part continues where the one before it ended.
    let walk: String = walk.concat();
    for verb in ["init", "apply", "start", "compose up", "done"] {
        assert!(walk.contains(&format!("$ kinfra {verb}")), "no {verb} in {walk}");
    }
    machine.take(&walk);
    let ran = machine.machine.read("~/docker.log");
    let is_of_worktree = |line: &str| line.contains("/src/shop-fix-login/compose.yaml --file ");
    assert!(ran.lines().count() == 2 && ran.lines().all(is_of_worktree), "{ran}");
    machine.bash(
        "for branch in fix-login fix-search; do git worktree add --quiet -b $branch ../shop-$branch; done\n\
         cd ../shop-fix-login && kinfra claim",
    );
    machine.take(overview);

    // Both slots are held now, as in the errors that the page on claims shows.
    machine.bash("git worktree add --quiet -b fix-cart ../shop-fix-cart");
    let claims = read("docs/claims.md");
    let errors = blocks(&claims, "console").into_iter().filter(|block| block.contains("\nerror: "));
    let errors: Vec<&str> = errors.collect();
    assert_eq!(errors.len(), 2, "{errors:#?}");
    for error in errors {
        machine.take_after("set +e", error);
    }
}
