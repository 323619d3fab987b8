use std::ops::Range;

use super::*;
use crate::compose::resource::{PerSlot, Resource};
use crate::file::RelPath;
use crate::identifier::ProfileName;
use crate::spec::BranchTemplate;

/// A `slots.toml` that has everything.
const WHOLE: &str = r#"version = 1

[pool]
name = "shop"
root = "~/.shop"
env_prefix = "SHOP_"
import = "/old/instances.json"
primary = "web"
agent_lease = "4h"

[ports]
web = { base = 8080, publish = "web:80", scheme = "http" }
db = { base = 5432, stride = 2, publish = "db:5432" }
mail = { base = 9025, stride = 2, publish = "mail:1025", count = 2 }

[[profiles]]
name = "light"

[[profiles]]
name = "heavy"
memory = "4g"
workers = { worker = 2, mail = 1 }

[[slots]]
ids = "1"
profile = "light"

[[slots]]
ids = "2-3"
profile = "heavy"

[files]
".env.sandbox" = "env"

[claim]
"now.txt" = { template = "now", mode = "0644" }

[env]
MODE = "dev"
PASSWORD = { value = "hunter2", sensitive = true }

[compose]
files = ["compose.yaml"]
shared = ["volume:models"]

[compose.per_slot]
"mount:/srv/pg" = "volume"

[services.web]
environment = { API = "http://localhost:{{ ports.web }}" }

[stack]
verify = ["make", "smoke"]
once = ["migrate"]
keep_data = "7d"
idle_stop = "8h"
shell = "web"
subnet = "10.213.{{ slot.id }}.0/24"

[worktree]
path = "../trees/{branch}"
copy = [".env"]

[verbs.fix]
branch = "fix/{name}"
from = "main"
profile = "heavy"
lease = "2h"
up = false
"#;

#[test]
fn names_are_those_that_compose_and_shells_take() {
    for (name, is_pool, is_prefix) in [
        ("shop", true, false),
        ("2-shops_b", true, false),
        ("_", false, true),
        ("A_9", false, true),
        ("-shop", false, false),
        ("_shop", false, false),
        ("Shop", false, false),
        ("sHOP", false, false),
        ("9A", false, false),
        ("A-9", false, false),
        ("", false, false),
    ] {
        assert_eq!(pool_name(name).ok().as_deref() == Some(name), is_pool, "{name:?} as a pool");
        assert_eq!(env_prefix(name).ok().as_deref() == Some(name), is_prefix, "{name:?} as a prefix");
    }
}

#[test]
fn each_mistake_is_said_at_its_place_with_what_to_do() {
    // Each case is a change of the whole, and what is said of it.
    let cases = include_str!("parse_tests.txt").split("\n\n").filter(|case| !case.starts_with('#'));
    for case in cases {
        let lines = |start: &str| {
            let lines: Vec<&str> = case.lines().filter_map(|line| line.strip_prefix(start)).collect();
            lines.join("\n")
        };
        let said = mistakes(&lines("- "), &lines("+ ")).join("\n");
        let said = if said.is_empty() { "accepted".to_owned() } else { said };
        assert_eq!(said, lines("  "), "{case}");
    }
}

/// What is said of a changed `slots.toml`: each message and its place, the other places, and the advice.
fn mistakes(from: &str, to: &str) -> Vec<String> {
    assert!(WHOLE.contains(from), "{from:?} is not in it");
    let text = WHOLE.replacen(from, to, 1);
    let said = |Mistake { span, message, label, related, help, note: _ }: Mistake| {
        let at = |span: Range<usize>| text[span].replace('\n', "⏎");
        let related = related.into_iter().map(|(span, label)| format!("{label} @ {}", at(span)));
        let label = Some(label).filter(|label| !label.is_empty()).map(|label| format!("label: {label}"));
        let help = help.map(|help| format!("help: {help}"));
        let place = format!("{message} @ {}", at(span));
        let parts: Vec<String> = [place].into_iter().chain(related).chain(label).chain(help).collect();
        parts.join(" | ")
    };
    Spec::parse(&text).err().unwrap_or_default().into_iter().map(said).collect()
}

#[test]
fn all_that_a_file_says_is_kept() {
    let spec = Spec::parse(WHOLE).unwrap();
    let names = |ports: Vec<String>| ports.join(" ");
    assert_eq!(
        (spec.name.as_str(), spec.root.as_str(), spec.env_prefix.as_str()),
        ("shop", "~/.shop", "SHOP_")
    );
    assert_eq!(spec.import.as_ref().map(DeclaredPath::as_str), Some("/old/instances.json"));
    assert_eq!(spec.primary.as_ref().map(PortName::as_str), Some("web"));
    assert_eq!(spec.agent_lease, Span::parse("4h").unwrap());
    let ports = spec.ports.iter().map(|(name, formula)| format!("{name}: {formula}")).collect();
    assert_eq!(
        names(ports),
        "web: 8080 + slot db: 5432 + 2 × slot mail: 9025 + 2 × slot mail_2: 9026 + 2 × slot"
    );
    let published = |name: &str| &spec.publish[&PortName::new(name).unwrap()];
    assert_eq!(spec.publish.len(), 3);
    assert_eq!((published("web").scheme.as_deref(), published("db").scheme.as_deref()), (Some("http"), None));
    assert_eq!((published("web").count, published("mail").count), (1, 2));
    assert_eq!(published("mail").target.to_string(), "mail:1025");
    let profiles = spec.profiles.iter().map(|it| format!("{} {:?} {:?}", it.name, it.workers, it.memory));
    let profiles: Vec<String> = profiles.collect();
    assert_eq!(profiles[0], "light {} None");
    assert!(profiles[1].starts_with("heavy {") && profiles[1].ends_with("Some(Memory(4294967296))"));
    assert_eq!(spec.profiles[1].workers.values().collect::<Vec<_>>(), [&1, &2]);
    let slots = spec.slots.iter().map(|(slot, profile)| format!("{slot} {}", profile.name)).collect();
    assert_eq!(names(slots), "1 light 2 heavy 3 heavy");
    let file = |file: &FileSpec| format!("{} {} {}", file.path.get_ref(), file.template.get_ref(), file.mode);
    assert_eq!(spec.files.iter().map(file).collect::<Vec<_>>(), [".env.sandbox env 0600"]);
    assert_eq!(spec.claim.iter().map(file).collect::<Vec<_>>(), ["now.txt now 0644"]);
    let env =
        spec.env.iter().map(|it| format!("{}={} {}", it.name.get_ref(), it.value.get_ref(), it.sensitive));
    assert_eq!(env.collect::<Vec<_>>(), ["MODE=dev false", "PASSWORD=hunter2 true"]);

    let compose = spec.compose.unwrap();
    let paths = |paths: &[RelPath]| paths.iter().map(RelPath::to_string).collect::<Vec<_>>();
    assert_eq!(compose.files.as_deref().map(paths), Some(vec!["compose.yaml".to_owned()]));
    assert_eq!(compose.shared, [Resource::Volume("models".to_owned())].into());
    assert_eq!(compose.per_slot, [(Resource::Mount("/srv/pg".into()), PerSlot::Volume)].into());
    let environment =
        compose.environment.iter().flat_map(|(service, all)| all.iter().map(move |it| (service, it)));
    let environment = environment.map(|(service, it)| format!("{service} {}", it.name.get_ref()));
    assert_eq!(environment.collect::<Vec<_>>(), ["web API"]);
    assert_eq!(paths(&compose.copy), [".env"]);

    let StackSpec { verify, once, keep_data, idle_stop, shell, subnet } = spec.stack;
    assert_eq!((verify, once), (vec!["make".to_owned(), "smoke".to_owned()], ["migrate".to_owned()].into()));
    assert_eq!([keep_data, idle_stop], ["7d", "8h"].map(|span| Span::parse(span).ok()));
    assert_eq!(shell.as_deref(), Some("web"));
    let third = SlotId::new(3).unwrap();
    assert_eq!(subnet.unwrap().block(third).unwrap().to_string(), "10.213.3.0/24");
    assert_eq!(spec.worktree, WorktreePath("../trees/{branch}".to_owned()));

    let (name, verb) = spec.verbs.declared.first_key_value().unwrap();
    assert_eq!((name.as_str(), verb.is_without_stack, verb.from.as_deref()), ("fix", true, Some("main")));
    assert_eq!(verb.branch, BranchTemplate::new("fix/{name}").ok().unwrap());
    assert_eq!(verb.profile.as_ref().map(ProfileName::as_str), Some("heavy"));
    assert_eq!(verb.lease, Span::parse("2h").ok());
}

#[test]
fn without_further_tables_all_is_as_usual() {
    let small = "version = 1\n[pool]\nname = \"a\"\nroot = \"/a\"\n[ports]\nweb = 8000\n[[profiles]]\nname = \"b\"\n\
                 [[slots]]\nids = \"1\"\nprofile = \"b\"\n";
    let plain = Spec::parse(&format!("{small}[files]\na = \"a\"\n")).unwrap();
    assert!(plain.compose.is_none() && plain.verbs.declared.is_empty() && plain.env.is_empty());
    assert_eq!((plain.stack, plain.worktree), (StackSpec::default(), WorktreePath::default()));
    assert_eq!((plain.agent_lease, plain.primary, plain.import), (LEASE, None, None));
    let compose = Spec::parse(&format!("{small}[compose]\n")).unwrap().compose.unwrap();
    assert_eq!((compose.files, compose.copy.len(), compose.environment.len()), (None, 0, 0));
    let said = |text: String| Spec::parse(&text).unwrap_err().remove(0).message;
    assert_eq!(said(small.to_owned()), "the file has no [files]");
    assert_eq!(said(format!("{small}[files]\n")), "[files] is empty");
    assert_eq!(said(format!("{small}[files]\na = \"a\"\n[services.web]\n")), "[services] needs [compose]");
    let worker = small.replace("name = \"b\"\n", "name = \"b\"\nworkers = { my-mail = 1 }\n");
    let kind = "`my-mail` is not a valid kind of worker: only a service of [compose] has a `-`";
    assert_eq!(said(format!("{worker}[files]\na = \"a\"\n")), kind);
    assert_eq!(said(String::new()), "the file declares nothing");
    let verbs = Spec::parse(&format!("{small}[compose]\n[verbs.up]\n")).unwrap().verbs;
    assert_eq!(verbs.mistakes()[0].message, "`up` is a verb of kinfra itself");
}
