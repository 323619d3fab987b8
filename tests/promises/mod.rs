//! What kinfra promises whatever happens: crashes, power cuts, full disks, links, races, other pools.

mod crash;
mod disk;
mod interrupt;
mod links;
mod opens;
mod pools;
mod power;
mod properties;
mod races;
mod secrets;
mod stress;
mod terraform;
