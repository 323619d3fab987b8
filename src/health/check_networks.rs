//! How many more networks the engine can make.

use super::finding::Findings;
use crate::host::docker::Answer;
use crate::host::networks::networks;

/// So many count as few. A stack has one to three networks, so fewer may not last for the next two stacks.
const FEW: u64 = 5;

/// Counts the networks, and warns before Docker has no range of addresses for another one.
pub(super) fn check_networks(findings: &mut Findings) {
    match networks(None) {
        Answer::Is(networks) => {
            let (bridges, left) = (networks.bridges, networks.left);
            let plural = if bridges == 1 { "" } else { "s" };
            let found =
                format!("{bridges} bridge network{plural}, and addresses for {left} more in Docker's pools");
            if left >= FEW {
                return findings.fine("networks", found);
            }
            findings.warning(
                "networks",
                found,
                "`kinfra clean --all` removes those that no worktree holds; `subnet` of `[stack]` in slots.toml gives each slot \
                 addresses of its own",
            );
        }
        Answer::NoCommand | Answer::NoDaemon => {}
        Answer::Silent(said) | Answer::Failed(said) => {
            findings.warning("networks", said, "check whether Docker runs");
        }
    }
}
