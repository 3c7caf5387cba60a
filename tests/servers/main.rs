//! Tests of whole servers.

mod crash;
mod exactness;
mod garbage;
mod life;
mod peers;
