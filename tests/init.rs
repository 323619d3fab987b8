//! `kinfra init`
