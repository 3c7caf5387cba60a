//! Parts of directories that Prometheus has left. Whole ones: module `golden`.

use headwater_env::Env;

use crate::support::{builder, copy_tree, corpora, dump};

#[test]
fn logs_of_prometheus_open_without_damage() {
    let Some(root) = corpora("prometheus/datadirs") else {
        return;
    };
    for name in ["prom-2.42", "prom-3.14-default", "prom-3.14-xor2-zstd"] {
        let dir = tempfile::tempdir().unwrap();
        copy_tree(&root.join(name).join("wal"), &dir.path().join("wal"));
        let db = builder(dir.path(), Env::real()).open().unwrap();
        let series = dump(&db).len();
        assert!(series > 50, "{name}: {series} series");
        assert!(db.damage().is_empty(), "{name}: {:?}", db.damage());
    }
}
