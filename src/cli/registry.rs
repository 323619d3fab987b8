//! The flags of `registry`.
#![expect(missing_docs, reason = "clap would show the comments of flags as help")]
#![expect(clippy::doc_markdown, reason = "the help of a flag shows its comment as it is")]

use clap::{Args, Subcommand};

use super::shared::{LockArgs, PoolArgs};

// `kinfra registry`
#[derive(Debug, Args)]
pub struct RegistryArgs {
    #[command(subcommand)]
    pub verb: RegistryVerb,
}

// What to do with the registry.
#[derive(Debug, Subcommand)]
pub enum RegistryVerb {
    /// Make the tables of registries in a PostgreSQL database
    Init(ServerArgs),
    /// Show the server of the registry, and what it has
    Status(ServerStatusArgs),
    /// Bring the tables to the version of this kinfra
    Migrate(ServerArgs),
    /// Take the registry of this pool from its file into the database that slots.toml names
    Push(MoveArgs),
    /// Bring the registry of this pool from its database back into a file
    Pull(PullArgs),
}

// `kinfra registry init` and `kinfra registry migrate`
#[derive(Debug, Args)]
pub struct ServerArgs {
    /// The server and its database, such as postgres://db.example/infra [default: those that this pool was
    /// applied with]
    #[arg(value_name = "URL")]
    pub url: Option<String>,
    #[command(flatten)]
    pub pool: PoolArgs,
}

// `kinfra registry status`
#[derive(Debug, Args)]
pub struct ServerStatusArgs {
    #[command(flatten)]
    pub server: ServerArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

// What `kinfra registry push` and `kinfra registry pull` share
#[derive(Debug, Args)]
pub struct MoveArgs {
    #[command(flatten)]
    pub pool: PoolArgs,
    /// Do not ask for approval
    #[arg(long)]
    pub auto_approve: bool,
    #[command(flatten)]
    pub lock: LockArgs,
}

// `kinfra registry pull`
#[derive(Debug, Args)]
pub struct PullArgs {
    /// Leave the roots of other users behind, without slots: refused while they hold one
    #[arg(long)]
    pub leave_others: bool,
    #[command(flatten)]
    pub moving: MoveArgs,
}
