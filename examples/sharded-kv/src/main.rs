//! A key-value store spread over the nodes of a ring, three copies of every
//! key. Five nodes join, a thousand keys are written, one node crashes, one
//! leaves in order, and every key is still there.
//!
//! The nodes live in one process; what is between them is the ring: who keeps
//! a key, how many must have written it, and what changes when nodes come and
//! go. Run it with `cargo run -p sharded-kv`.

mod cluster;
mod node;

use cluster::{Cluster, ClusterError};

const KEYS: usize = 1000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), ClusterError> {
    let mut cluster = Cluster::new(headwater_env::Env::real());
    for id in ["anna", "bert", "carl", "dora", "emil"] {
        cluster.join(id).await?;
    }
    for number in 0..KEYS {
        cluster.put(&format!("key {number}"), &format!("value {number}"))?;
    }
    println!("{KEYS} keys written, {} copies", cluster.copies());
    for (id, part, keys) in cluster.shares() {
        println!(
            "{id} owns {:5.1} % of the ring and keeps {keys} keys",
            part * 100.0
        );
    }
    check(&cluster, "with all nodes")?;

    cluster.crash("bert");
    check(&cluster, "after bert crashed")?;
    cluster.put("key 0", "value 0")?;

    let moved = cluster.leave("dora").await?;
    println!("dora left and handed over {moved} copies");
    check(&cluster, "after dora left")
}

/// Reads every key.
fn check(cluster: &Cluster, when: &str) -> Result<(), ClusterError> {
    let mut found = 0;
    for number in 0..KEYS {
        let value = cluster.get(&format!("key {number}"))?;
        found += usize::from(value == Some(format!("value {number}")));
    }
    println!("{when}: {found} of {KEYS} keys found");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn filled() -> Cluster {
        let mut cluster = Cluster::new(headwater_env::Env::in_memory(7));
        for id in ["a", "b", "c", "d"] {
            cluster.join(id).await.expect("joins");
        }
        for number in 0..100 {
            cluster.put(&format!("k{number}"), "v").expect("written");
        }
        cluster
    }

    fn all_there(cluster: &Cluster) -> bool {
        let value = |n| cluster.get(&format!("k{n}"));
        (0..100).all(|n| value(n).is_ok_and(|v| v.as_deref() == Some("v")))
    }

    #[tokio::test(start_paused = true)]
    async fn one_crash_costs_nothing() {
        let cluster = filled().await;
        assert_eq!(cluster.copies(), 300);
        cluster.crash("a");
        assert!(all_there(&cluster));
    }

    #[tokio::test(start_paused = true)]
    async fn two_crashes_are_told() {
        let cluster = filled().await;
        cluster.crash("a");
        cluster.crash("b");
        let lost = (0..100).find_map(|n| cluster.get(&format!("k{n}")).err());
        assert!(matches!(lost, Some(ClusterError::Quorum { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_hands_over() {
        let mut cluster = filled().await;
        cluster.leave("a").await.expect("leaves");
        assert_eq!(
            cluster.copies(),
            300,
            "three nodes are left, each with every key"
        );
        cluster.crash("b");
        assert!(all_there(&cluster));
    }
}
