//! What is wrong, with a machine or with a pool, and what to do about it. Changes nothing.

pub mod doctor;
pub mod validate;
