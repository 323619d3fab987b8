//! The command line, as typed.

mod checkout;
mod claims;
mod hook;
mod pool;
mod project;
mod provisioning;
mod registry;
mod run;
mod shared;
mod shell;
mod stack;
mod tips;
mod verb;

pub use checkout::{DoneArgs, StartWorktreeArgs, WorktreesArgs};
pub use claims::{
    ClaimArgs, CleanArgs, EnvArgs, EnvFormat, ExecArgs, ReapArgs, ReleaseArgs, RenewArgs, Wishes, evaluated,
};
pub use hook::{
    HookArgs, HookFileArgs, HookRunArgs, HookVerb, SkillArgs, SkillFileArgs, SkillVerb, unknown_event,
};
pub use pool::{DemoArgs, DoctorArgs, HistoryArgs, InitArgs, ListArgs, PortsArgs, SlotsArgs, StatusArgs};
pub use project::{ProjectVerbs, is_about_verbs, parse, with_verbs};
pub use provisioning::{ApplyArgs, DestroyArgs, PlanArgs, PlanningArgs, ShowArgs, SlotIds};
pub use registry::{MoveArgs, PullArgs, RegistryArgs, RegistryVerb, ServerArgs, ServerStatusArgs};
pub use run::RunArgs;
pub use shared::{HolderArgs, LockArgs, PoolArgs};
pub use shell::{CompletionsArgs, CompletionsVerb, InstallArgs, ManArgs};
pub use stack::{
    ComposeArgs, DownArgs, LogsArgs, OpenArgs, ResetArgs, ShellArgs, SlotArgs, StartArgs, UpArgs,
};
pub use tips::with_tip;
pub use verb::{Cli, EXIT_CODES, SandboxVerb, Verb, whole};
