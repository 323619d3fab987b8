//! What kinfra guarantees under crashes, power cuts, full disks, links, races and other pools.

mod between_looks;
mod crash;
mod disk;
mod interrupt;
mod links;
mod neighbours;
mod network;
mod opens;
mod pools;
mod power;
mod properties;
mod races;
mod secrets;
mod server;
mod shared_kills;
mod shared_ledger;
mod shared_moving;
mod shared_outage;
mod shared_pool;
mod shared_restarts;
mod stack_histories;
mod stack_kills;
mod stack_week;
mod stress;
mod terraform;
mod worktree_kills;
