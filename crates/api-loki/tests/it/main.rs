//! The API as its clients see it.

#[cfg(feature = "grpc")]
mod grpc;
mod operators;
