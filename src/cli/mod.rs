//! The command line, as typed.

mod claims;
mod pool;
mod provisioning;
mod shared;
mod shell;
mod stack;
mod verb;

pub use claims::{ClaimArgs, CleanArgs, EnvArgs, EnvFormat, ExecArgs, ReapArgs, ReleaseArgs, RenewArgs};
pub use pool::{DoctorArgs, InitArgs, ListArgs, SlotsArgs};
pub use provisioning::{ApplyArgs, DestroyArgs, PlanArgs, PlanningArgs, ShowArgs, SlotIds};
pub use shared::{LockArgs, PoolArgs};
pub use shell::{CompletionsArgs, ManArgs};
pub use stack::{ComposeArgs, SlotArgs};
pub use verb::{Cli, EXIT_CODES, SandboxVerb, Verb};
