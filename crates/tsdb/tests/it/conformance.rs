use headwater_env::Env;
use headwater_storage::conformance;
use headwater_tsdb::Durability;

use crate::support::builder;

#[test]
fn the_store_keeps_every_contract() {
    for (name, case) in conformance::CASES {
        println!("{name}");
        case(&builder("data", Env::in_memory(1)).open().unwrap());
    }
}

#[test]
fn the_store_keeps_every_contract_when_every_commit_is_synced() {
    for (name, case) in conformance::CASES {
        println!("{name}");
        let durable = builder("data", Env::in_memory(1))
            .configure(|options| options.durability = Durability::OnCommit);
        case(&durable.open().unwrap());
    }
}

#[test]
fn the_store_keeps_every_contract_on_real_files() {
    for (name, case) in conformance::CASES {
        println!("{name}");
        let dir = tempfile::tempdir().unwrap();
        case(&builder(dir.path(), Env::real()).open().unwrap());
    }
}
