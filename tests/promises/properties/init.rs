//! What `kinfra init` reads in any Compose file, without Docker Compose.

use std::collections::{BTreeMap, BTreeSet};

use kinfra::compose::model::Model;
use kinfra::dotenv::Variables;
use kinfra::init::compose_file::{ComposeFile, Role};
use kinfra::init::text::model::model;
use kinfra::init::text::node::{Unreadable, parse};
use proptest::prelude::*;
use proptest::sample::select;

use super::check;

properties! {
    published_ports_are_read_in_every_style: 100,
    any_text_is_read_or_refused: 500,
}

/// The services of a file: their ports in numbers, each with the way to write it.
type Services = Vec<BTreeMap<u16, u8>>;

/// However ports are written, the same ones are read.
fn published_ports_are_read_in_every_style(cases: u32) {
    let services = prop::collection::vec(prop::collection::btree_map(1024_u16..60_000, 0_u8..8, 1..4), 1..6);
    let before = "([ ]{0,3}#[ -~]{0,12}\n|\n|x-[a-z]{1,5}: [|]\n  [a-z:#'\"{%-]{1,9}\n){0,1}";
    check(cases, (services, before, select(vec!["\n", "\r\n"])), |(services, before, line_end)| {
        let (text, numbers) = compose_file(&services, &before);
        let text = text.replace('\n', line_end);
        let model = read(&text).map_err(|error| TestCaseError::fail(format!("{error:?} in {text:?}")))?;
        let ports = model.services.values().flat_map(|service| &service.ports);
        let read: BTreeSet<u16> = ports.filter_map(|port| port.published.as_ref()?.parse().ok()).collect();
        prop_assert_eq!(read, numbers);
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

/// Any text is read or refused, and nothing else happens.
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
        drop(read(&pieces.concat()));
        Ok(())
    });
}

fn read(text: &str) -> Result<Model, Unreadable> {
    let source = ComposeFile {
        path: "/shop/compose.yaml".into(),
        shown: "compose.yaml".to_owned(),
        directory: "/shop".into(),
        role: Role::Own,
        variables: Variables::new(),
        root: parse(text)?,
    };
    Ok(model("shop", &[source]).0)
}
