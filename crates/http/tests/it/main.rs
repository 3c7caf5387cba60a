//! Client and server over real sockets on this machine.

mod auth;
mod client;
mod server;
mod support;
mod tls;
