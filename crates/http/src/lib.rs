#![doc = include_str!("../README.md")]

mod client;
mod files;
mod secret;
mod server;
mod tls;

pub use client::{
    Authorization, BasicAuth, Client, ClientError, ClientOptions, Encoding, HeaderValues, Headers,
    HttpClientConfig, OAuth2, ProxyConfig, is_reserved_header, read_into, read_limited,
};
pub use secret::{Address, HIDDEN, Secret};
pub use server::{
    Body, BodyError, Cors, HttpServerConfig, MAX_TENANT_BYTES, Peer, ServeError, Server,
    ServerSettings, TENANT_HEADER, TenantError, TlsServerConfig, WebConfig, tenant, tenants,
};
pub use tls::{TlsConfig, TlsVersion};
