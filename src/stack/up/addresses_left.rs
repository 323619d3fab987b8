//! Docker without a range of addresses for another network.

use crate::ended::{Ended, How};
use crate::fault::{Exit, Fault};
use crate::host::networks::networks;
use crate::registry::Engine;
use crate::slot::SlotId;

/// What Docker says then, in its versions.
const SAYS: [&str; 2] = [
    "non-overlapping IPv4 address pool among the defaults",
    "predefined address pools have been fully subnetted",
];

/// The error for a start that failed because of it.
pub(super) fn no_addresses(slot: SlotId, engine: Option<&Engine>, ended: &Ended) -> Option<Fault> {
    let says = |line: &String| SAYS.iter().any(|words| line.contains(words));
    if !matches!(ended.how, How::Badly(_)) || !ended.last_lines.iter().any(says) {
        return None;
    }
    let counted =
        networks(engine).needed().map(|networks| format!(": it has {} bridge networks", networks.bridges));
    let what = format!(
        "slot {slot} is not started, because Docker has no range of addresses left for another network{}",
        counted.unwrap_or_default()
    );
    let fault = Fault { exit: Exit::DoesNotRun, ..Fault::failed(what) };
    Some(fault.advise(
        "`kinfra clean --all` removes those that no worktree holds; `subnet` of `[stack]` in slots.toml gives each slot \
         addresses of its own",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_words_for_it_are_known() {
        let slot = SlotId::new(3).unwrap();
        let nowhere = Engine::parse("unix:///nowhere");
        let ended = |line: &str, how| Ended { how, last_lines: vec!["first".to_owned(), line.to_owned()] };
        let badly = || How::Badly("exit code 1".to_owned());
        for line in [
            "failed to create network a_default: Error response from daemon: could not find an available, \
             non-overlapping IPv4 address pool among the defaults to assign to the network",
            "Error response from daemon: all predefined address pools have been fully subnetted",
        ] {
            let fault = no_addresses(slot, Some(&nowhere), &ended(line, badly())).expect(line);
            assert_eq!(fault.exit, Exit::DoesNotRun);
            assert_eq!(no_addresses(slot, Some(&nowhere), &ended(line, How::Well)), None);
        }
        assert_eq!(no_addresses(slot, Some(&nowhere), &ended("exit 1", badly())), None);
    }
}
