use super::*;
use crate::spec::Spec;
use crate::spec::mistake::SourceKind;

const SMALL: &str = r#"version = 1
[pool]
name = "shop"
root = "~/pool"
env_prefix = "SHOP_"
[ports]
api = 8000
dns = { base = 5300, publish = "dns:53/udp" }
[[profiles]]
name = "light"
workers = { mail = 2 }
[[slots]]
ids = "1-2"
profile = "light"
[compose]
[files]
"app.conf" = { template = "app", mode = "0600" }
[claim]
"now.txt" = "now"
[env]
MODE = "dev-{{ slot.id }}"
SECRET = { value = "hunter{{ slot.id }}", sensitive = true }
HOME_OF = "~/data"
[services.web]
environment = { API = "http://localhost:{{ ports.api }}/{{ env.MODE }}", DIR = "~/x" }
"#;

const APP: &str = "slot {{ slot.id }} {{ env.HOME_OF }} {{ env.SECRET }}\n";

pub(crate) fn slot(id: u16) -> SlotId {
    SlotId::new(id).unwrap()
}

/// A pool of two slots with a TCP port and a UDP port, one file and an env file.
pub(crate) fn small() -> Pool {
    rendered(SMALL, &[("app", APP), ("now", "{{ worktree }}")], Some("/home/me")).unwrap()
}

fn with<T>(
    spec: &str,
    texts: &[(&str, &str)],
    home: Option<&str>,
    of: impl FnOnce(RenderInputs<'_>) -> T,
) -> T {
    let source = Source { name: "slots.toml".to_owned(), text: spec.into(), kind: SourceKind::Spec };
    let parsed = Spec::parse(spec).unwrap();
    let templates =
        texts.iter().map(|(name, text)| (RelPath::new(name).unwrap(), Ok((*text).to_owned()))).collect();
    let root = Utf8Path::new("/pool");
    of(RenderInputs {
        spec: &parsed,
        source: &source,
        templates: &templates,
        root,
        home: home.map(Utf8Path::new),
    })
}

fn rendered(spec: &str, texts: &[(&str, &str)], home: Option<&str>) -> Result<Pool, Vec<String>> {
    let said = |(source, mistake): (Source, Mistake)| {
        let place = source.text.get(mistake.span.clone()).unwrap_or_default().to_owned();
        let help = mistake.help.map_or_else(String::new, |help| format!(" | {help}"));
        let note = mistake.note.map_or_else(String::new, |note| format!(" | {note}"));
        format!("{}: {} @ {place}{help}{note}", source.name, mistake.message)
    };
    with(spec, texts, home, render_pool).map_err(|mistakes| mistakes.into_iter().map(said).collect())
}

#[test]
fn each_slot_has_its_ports_and_its_files() {
    let pool = small();
    let Pool { name, root, project, import, formulas, slots, on_claim, left_out, secrets, .. } = &pool;
    assert_eq!((name.as_str(), root.as_str(), project, import), ("shop", "/pool", &None, &None));
    assert_eq!((formulas.len(), slots.len(), left_out.len()), (2, 2, 0));
    assert_eq!(on_claim.iter().map(RelPath::as_str).collect::<Vec<_>>(), ["now.txt"]);
    assert_eq!(secrets.iter().collect::<Vec<_>>(), ["hunter1", "hunter2"]);
    let second = &slots[&slot(2)];
    assert_eq!(
        (second.id, second.dir.as_str(), second.profile.name.as_str()),
        (slot(2), "/pool/slot-2", "light")
    );
    let ports: Vec<_> = second.host_ports().map(|(name, port)| format!("{name} {port}")).collect();
    assert_eq!(ports, ["api 8002", "dns 5302/udp"]);
    let names: Vec<_> = second.files.keys().map(RelPath::as_str).collect();
    assert_eq!(names, [".env.sandbox", "app.conf"]);
    let file = |name: &str| &second.files[&RelPath::new(name).unwrap()];
    assert_eq!(&*file("app.conf").text, "slot 2 /home/me/data hunter2\n");
    assert_eq!(file("app.conf").masked.as_deref(), Some("slot 2 /home/me/data (sensitive)\n"));
    assert_eq!(
        &*file(".env.sandbox").text,
        "# Slot 2 of the shop pool, profile light. Written by kinfra from slots.toml: change it there.\n\
         SLOT_ID=2\nKINFRA_SLOT=2\nKINFRA_SLOT_DIR=/pool/slot-2\n\n# Ports on this machine\nSHOP_API_PORT=8002\n\
         SHOP_DNS_PORT=5302\n\n# How many workers of each kind\nSHOP_MAIL_WORKERS=2\n"
    );
    assert_eq!(file(".env.sandbox").masked, None);
    assert_eq!(pool.project(slot(2)), "shop-slot-2");
    let entry = second.provisioned();
    assert_eq!(
        (entry.udp.len(), entry.files.len(), entry.infrastructure_path.as_str()),
        (1, 2, "/pool/slot-2")
    );
    let outline = pool.outline();
    assert_eq!((outline.dir(slot(2)).as_str(), outline.on_claim.len()), ("/pool/slot-2", 1));
    let outlined = &outline.slots[&slot(2)];
    assert!(outlined.host_ports().eq(second.host_ports()));
    assert_eq!(
        outlined.files.values().map(|file| file.sha256).collect::<Vec<_>>(),
        entry.files.values().copied().collect::<Vec<_>>()
    );
}

#[test]
fn a_claim_adds_what_depends_on_the_worktree() {
    let pool = small();
    let provisioned = pool.slots[&slot(2)].provisioned();
    let (texts, worktree) = ([("app", APP), ("now", "{{ worktree }} {{ ports.api }}")], Utf8Path::new("/w"));
    let files = with(SMALL, &texts, Some("/home/me"), |inputs| {
        render_claim_files(inputs, slot(2), &provisioned, worktree)
    });
    let files: Vec<_> =
        files.unwrap().into_iter().map(|(path, file)| format!("{path} {}", file.text)).collect();
    assert_eq!(files, ["now.txt /w 8002"]);
    let environments = with(SMALL, &texts, Some("/home/me"), |inputs| {
        render_environments(inputs, slot(2), &provisioned, worktree)
    });
    let web: Vec<_> =
        environments.unwrap()["web"].iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(web, ["API=http://localhost:8002/dev-2", "DIR=~/x"], "a path in its container");
}

#[test]
fn a_mistake_in_a_template_is_said_once_with_its_place() {
    let me = Some("/home/me");
    let is_said = |spec: &str, app: &str, now: &str, home: Option<&str>, said: &str| {
        let mistakes = rendered(spec, &[("app", app), ("now", now)], home).unwrap_err();
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        assert!(mistakes[0].starts_with(said), "{}\n{said}", mistakes[0]);
    };
    let used = "slots.toml uses this template for";
    let said = "templates/app: `slot.ids` is not defined @ slot.ids | did you mean `slot.id`?";
    is_said(SMALL, "a {{ slot.ids }}", "", me, &format!("{said} | {used} `app.conf` of slot 1"));
    let said = "templates/app: unexpected end of input, expected end of variable block @ a";
    is_said(SMALL, "{{ a", "", me, &format!("{said} | {used} `app.conf`"));
    let said = "templates/now: `worktrees` is not defined @ worktrees | did you mean `worktree`?";
    is_said(SMALL, APP, "{{ worktrees }}", me, &format!("{said} | {used} `now.txt` of slot 1"));
    let said = "slots.toml: `~/` cannot be expanded: HOME is not set to an absolute path @ \"~/data\"";
    is_said(SMALL, "a", "", None, said);
    let said = "slots.toml: `port.api` is not defined @ \"{{ port.api }}\" | did you mean `ports.api`?";
    is_said(&SMALL.replace("~/data", "{{ port.api }}"), "a", "", me, said);
    let said = "slots.toml: `app.conf` contains a sensitive value, and its mode 0644 lets other users read it @ \
                \"app.conf\" | remove `mode` from the file, or `sensitive` from a variable that is no secret";
    is_said(&SMALL.replace("mode = \"0600\"", "mode = \"0644\""), APP, "", me, said);
    let mistakes = rendered(SMALL, &[("now", "")], me).unwrap_err();
    assert_eq!(mistakes, ["slots.toml: template `templates/app` was not read @ \"app\""]);
}

#[test]
fn what_no_slot_may_set_is_left_out_of_its_env_file() {
    let spec =
        SMALL.replace("\"app.conf\" = { template = \"app\", mode = \"0600\" }", "\".env.sandbox\" = \"app\"");
    let text = "A=1\nPATH=/x\n{{ env.SECRET }}=1\nexport LD_PRELOAD=/y\nB=2\n";
    let pool = rendered(&spec, &[("app", text), ("now", "")], Some("/home/me")).unwrap();
    let file = pool.slots[&slot(1)].files.values().next().unwrap();
    assert_eq!(
        &*file.text,
        "A=1\n# PATH is left out: no slot may set it\nhunter1=1\n# LD_PRELOAD is left out: no slot may set it\nB=2\n"
    );
    assert_eq!(
        file.masked.as_deref(),
        Some(
            "A=1\n# PATH is left out: no slot may set it\n(sensitive)=1\n# LD_PRELOAD is left out: no slot may set it\nB=2\n"
        )
    );
    let places: Vec<_> = pool.left_out.iter().map(|it| it.split(": ").next().unwrap_or_default()).collect();
    assert_eq!(places, ["`templates/app` line 4", "`templates/app` line 2"]);
}

#[test]
fn a_path_that_no_system_takes_is_refused() {
    let long =
        format!("\"{}\" = {{ template = \"app\", mode = \"0600\" }}", vec!["n".repeat(250); 16].join("/"));
    let spec = SMALL.replace("\"app.conf\" = { template = \"app\", mode = \"0600\" }", &long);
    let rooted = |root: &str| {
        with(&spec, &[("app", APP), ("now", "")], Some("/home/me"), |inputs| {
            let root = Utf8Path::new(root);
            render_pool(RenderInputs { root, ..inputs }).map_err(|mistakes| mistakes[0].1.message.clone())
        })
    };
    assert!(rooted("/pool").is_ok());
    let said = rooted(&format!("/{}", "r".repeat(90))).unwrap_err();
    assert!(said.contains("bytes: a system takes 4095"), "{said}");
}
