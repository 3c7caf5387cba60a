//! Tests of whole servers.

mod crash;
mod disk;
mod exactness;
mod garbage;
mod life;
mod peers;
