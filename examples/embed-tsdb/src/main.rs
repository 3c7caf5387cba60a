//! Embeds the store.
fn main() {}
