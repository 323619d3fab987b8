//! The tutorial: `docs/tutorial.md`, command by command.

use super::ktrdr::does_what_it_shows;
use crate::docs::{blocks, steps};
use crate::rig::engine::Engine;
use crate::support::Machine;

const PAGE: &str = include_str!("../../docs/tutorial.md");

#[test]
#[ignore = "needs docker and curl"]
fn the_tutorial_is_true() {
    let engine = Engine::for_projects(&["kinfra-demo-slot-1", "kinfra-demo-slot-2"]);
    let machine = Machine::new();
    machine.write("~/.gitconfig", "[user]\nname = Dev\nemail = dev@localhost\n");
    let page = blocks(PAGE, "console").concat();
    let mut steps = steps(&page);
    // The page begins at home.
    steps.insert(0, ("cd", ""));
    does_what_it_shows(&machine, &engine, &steps);
    for project in ["kinfra-demo-slot-1", "kinfra-demo-slot-2"] {
        assert_eq!(engine.made_by(project), Vec::<String>::new());
    }
    assert!(!machine.exists("~/kinfra-demo-blue") && !machine.exists("~/kinfra-demo"));
}
