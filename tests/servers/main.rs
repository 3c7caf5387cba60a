//! Tests of whole servers.

mod crash;
mod damaged;
mod disk;
mod exactness;
mod exactness_random;
mod flags;
mod garbage;
mod life;
mod loki;
mod loki_abuse;
mod loki_disk;
mod loki_retention;
mod peers;
mod promtool;
mod queries;
mod remote;
mod store;
