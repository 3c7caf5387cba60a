//! Tests of whole servers.

mod crash;
mod disk;
mod exactness;
mod flags;
mod garbage;
mod life;
mod loki;
mod peers;
mod remote;
mod promtool;
mod queries;
