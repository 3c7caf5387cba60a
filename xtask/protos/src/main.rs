//! Writes the code generated from the house's `.proto` files anew. No `protoc` is needed, and the result
//! is committed, so that nobody who builds the crates needs a generator:
//!
//! ```text
//! cargo run --manifest-path xtask/protos/Cargo.toml
//! ```

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let wire = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/wire");
    let out = wire.join("src/loki");
    for name in ["logproto", "health"] {
        let files = protox::compile([format!("{name}.proto")], [wire.join("proto")])?;
        tonic_prost_build::configure()
            .out_dir(&out)
            .build_transport(false)
            .compile_fds(files)?;
    }
    // The generator names files after their packages.
    std::fs::rename(out.join("grpc.health.v1.rs"), out.join("health.rs"))?;
    Ok(())
}
