//! The variables of a slot, evaluated by a real shell.

use std::collections::BTreeSet;
use std::process::Command;

use kinfra::claims::environment::Change;
use kinfra::dotenv::Variables;
use kinfra::report;
use proptest::prelude::*;
use proptest::sample::select;

use super::check;
use crate::support::Running;

properties! {
    a_shell_evaluates_every_value_to_itself: 64,
}

/// Anything that a variable can hold.
fn value() -> impl Strategy<Value = String> {
    let special = "ab0-_ \n\r\t\x01\x1b\x7f'\"\\\\`$(){}[]<>*?!#~;&|=%é\u{a0}\u{2028}\u{1f980}"
        .chars()
        .collect::<Vec<_>>();
    let special = prop::collection::vec(select(special), 0..12).prop_map(String::from_iter);
    prop_oneof![3 => special, 1 => any::<String>()].prop_map(|value| value.replace('\0', ""))
}

fn a_shell_evaluates_every_value_to_itself(cases: u32) {
    check(cases, prop::collection::vec(value(), 1..40), |values| {
        let name = |number: usize| format!("V{number}");
        let set: Variables =
            values.iter().enumerate().map(|(number, value)| (name(number), value.clone())).collect();
        // Names that no shell can hold are not handed to one.
        let unset = BTreeSet::from(["GONE".to_owned(), "$(exit 1)".to_owned(), "a b".to_owned()]);
        let text = report::env::shell(&Change { unset, set, dropped: Variables::new() });
        let print: String = (0..values.len()).map(|number| format!(" \"$V{number}\"")).collect();
        let script = format!("eval \"$1\"; printf '%s\\0' \"${{GONE-unset}}\"{print}");
        let mut shell = Command::new("sh");
        shell.args(["-ec", &script, "sh", &text]).env("GONE", "1");
        let output = Running::piped(&mut shell).outcome();
        let printed = String::from_utf8_lossy(&output.stdout);
        let printed: Vec<&str> = printed.split_terminator('\0').collect();
        let expected: Vec<&str> = std::iter::once("unset").chain(values.iter().map(String::as_str)).collect();
        prop_assert_eq!(printed, expected, "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    });
}
