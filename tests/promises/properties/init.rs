//! What `kinfra init` makes of any Compose file.

use std::collections::{BTreeMap, BTreeSet};

use kinfra::init::{ComposeFile, Draft, Project, Remedies};
use kinfra::spec::Spec;
use kinfra::template::Templates;
use minijinja::Value;
use proptest::prelude::*;
use proptest::sample::select;

use super::check;

properties! {
    slot_0_of_a_template_is_the_file_itself: 100,
    any_text_is_read_or_refused: 500,
}

/// The services of a file: their ports in numbers, each with the way to write it.
type Services = Vec<BTreeMap<u16, u8>>;

/// With ports in numbers, the template of slot 0 is the file, and the spec is valid: no ports meet.
fn slot_0_of_a_template_is_the_file_itself(cases: u32) {
    let services = prop::collection::vec(prop::collection::btree_map(1024_u16..60_000, 0_u8..8, 1..4), 1..6);
    let before = "([ ]{0,3}#[^\r\n]{0,12}\n|\n|x-[a-z]{1,5}: [|]\n  [a-z:#'\"{%-]{1,9}\n){0,4}";
    check(cases, (services, before, select(vec!["\n", "\r\n"])), |(services, before, line_end)| {
        let (text, numbers) = compose_file(&services, &before);
        let text = text.replace('\n', line_end);
        let draft = draft(&text).map_err(|error| TestCaseError::fail(format!("{error} in {text:?}")))?;
        let file =
            |path: &str| draft.files.iter().find(|file| file.path == path).expect("a file").text.as_str();
        let spec = Spec::parse(file("slots.toml")).expect("a valid spec");
        let bases: BTreeSet<u16> = spec.ports.iter().map(|(_, formula)| formula.base.get()).collect();
        prop_assert_eq!(bases, numbers);
        let mut templates = Templates::new();
        templates.add("file", file("templates/project/compose.yaml")).expect("a template");
        let ports = spec.ports.iter().map(|(name, formula)| (name.to_string(), formula.base.get()));
        let context = Value::from_pairs([("ports", Value::from_pairs(ports))]);
        prop_assert_eq!(templates.render("file", &context).expect("a text"), text);
        Ok(())
    });
}

fn compose_file(services: &Services, before: &str) -> (String, BTreeSet<u16>) {
    let mut numbers = BTreeSet::new();
    let mut text = format!("{before}services:\n");
    for (index, ports) in services.iter().enumerate() {
        let items = ports.iter().map(|(number, style)| item(*number, *style));
        text += &format!("  s{index}:\n    image: x{{{{{index}\n    ports:\n{}", items.collect::<String>());
        numbers.extend(ports.keys());
    }
    (text, numbers)
}

/// A port as an item of a list, in one of the ways there are.
fn item(number: u16, style: u8) -> String {
    let item = match style {
        0 => format!("- {number}:80"),
        1 => format!("- \"{number}:80\""),
        2 => format!("-   '127.0.0.1:{number}:80/udp'   # '{{{{ and \": ["),
        3 => format!("- target: 80\n        published: {number}"),
        4 => format!("-\n        published: \"{number}\"\n\n        target: 80"),
        5 => format!("- {{published: '{number}', target: 80,}}"),
        6 => format!("- !tag \"${{IP:-[::1]}}:{number}:${{INNER:-80}}\""),
        _ => format!("- &p{number}\n        {number}:80"),
    };
    format!("      {item}\n")
}

/// Any file is read or refused, and if it is read, a template comes of it.
fn any_text_is_read_or_refused(cases: u32) {
    let piece = select(vec![
        "services:",
        "ports:",
        "include:",
        "published:",
        "path:",
        "x",
        "80",
        "80:80",
        "- ",
        "-",
        ": ",
        ":",
        "\n",
        "\n  ",
        "\n    ",
        "\n      ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "\"",
        "'",
        "&a ",
        "*a",
        "<<",
        "!t ",
        "|",
        ">",
        "#",
        " ",
        "\t",
        "? ",
        "---",
        "...",
        "%",
        "${",
        "$",
        "{{",
        "\r",
        "\u{feff}",
        "é",
    ]);
    check(cases, prop::collection::vec(piece, 0..40), |pieces| {
        let Ok(draft) = draft(&pieces.concat()) else { return Ok(()) };
        for file in draft.files.iter().filter(|file| file.path != "slots.toml") {
            let added = Templates::new().add("file", &file.text);
            prop_assert!(added.is_ok(), "{}: {added:?}", file.path);
        }
        Ok(())
    });
}

fn draft(text: &str) -> Result<Draft, String> {
    let project = Project {
        name: "shop".to_owned(),
        directory: "/shop".to_owned(),
        below: String::new(),
        files: vec![ComposeFile { path: "compose.yaml".into(), base: "".into(), text: text.to_owned() }],
        layers: 1,
        missing: Vec::new(),
        has_env_file: false,
        published: Err("it is not there".to_owned()),
    };
    Draft::of(&project, &Remedies::new())
}
