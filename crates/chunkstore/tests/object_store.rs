//! Parts in stores of the crate `object_store`:
//! `cargo test -p headwater-chunkstore --features object_store,object_store/fs`.

use std::sync::Arc;

use headwater_chunkstore::object::conformance;
use headwater_chunkstore::remote::{PIECE_BYTES, RemoteObjects};
use headwater_chunkstore::{ChunkStore, Config, ObjectClient, PushEntry, PushStream};
use headwater_env::Env;
use headwater_model::Labels;
use headwater_storage::logs::{Direction, LogBlock, LogRequest, NanoRange, SelectLogs};
use headwater_storage::{ErrorKind, block_on};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::{Builder, Runtime};

fn runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().unwrap()
}

/// Runs a test over memory and over a folder.
fn over_every_store(test: impl Fn(&Runtime, Arc<dyn ObjectStore>)) {
    let folder = tempfile::tempdir().unwrap();
    let files = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
    let stores: [Arc<dyn ObjectStore>; 2] =
        [Arc::new(InMemory::new()), Arc::new(files.with_fsync(true))];
    for store in stores {
        test(&runtime(), store);
    }
}

#[test]
fn keeps_the_contract_of_objects() {
    over_every_store(|runtime, store| {
        let objects = RemoteObjects::new(store, runtime.handle().clone());
        conformance::check(&objects);
    });
}

#[test]
fn what_is_larger_than_a_piece_is_sent_in_pieces() {
    over_every_store(|runtime, store| {
        let objects = RemoteObjects::new(store, runtime.handle().clone());
        for length in [
            PIECE_BYTES - 1,
            PIECE_BYTES,
            PIECE_BYTES + 1,
            2 * PIECE_BYTES + 5,
        ] {
            let bytes: Vec<u8> = (0..length).map(|at| (at / 7 % 251) as u8).collect();
            let mut upload = objects.upload("t/1").unwrap();
            for some in bytes.chunks(3_000_001) {
                upload.write(some).unwrap();
            }
            upload.finish().unwrap();
            let object = objects.open("t/1").unwrap();
            assert!(
                object.read(0..object.len()).unwrap() == bytes,
                "{length} bytes"
            );
            objects.remove("t/1").unwrap();
        }
        let mut upload = objects.upload("t/2").unwrap();
        upload.write(&vec![0; 2 * PIECE_BYTES]).unwrap();
        drop(upload);
        assert_eq!(objects.list("").unwrap(), [""; 0]);
    });
}

#[test]
fn an_object_is_gone_once_its_last_reader_is() {
    over_every_store(|runtime, store| {
        let objects = RemoteObjects::new(store.clone(), runtime.handle().clone());
        let there = || runtime.block_on(store.head(&"t/1".into())).is_ok();
        objects.upload("t/1").unwrap().finish().unwrap();
        let readers = [objects.open("t/1").unwrap(), objects.open("t/1").unwrap()];
        objects.remove("t/1").unwrap();
        let refused = objects.upload("t/1").err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::Unavailable);
        let [one, other] = readers;
        drop(one);
        objects.wait_for_removals();
        assert!(there());
        // On a worker of the runtime, as the end of a query may be.
        runtime
            .block_on(runtime.spawn(async move { drop(other) }))
            .unwrap();
        objects.wait_for_removals();
        assert!(!there());
        objects.upload("t/1").unwrap().finish().unwrap();
        assert!(there());
    });
}

#[test]
fn a_runtime_that_has_ended_is_told_of() {
    let ended = runtime();
    let objects = RemoteObjects::new(Arc::new(InMemory::new()), ended.handle().clone());
    ended.shutdown_background();
    assert_eq!(objects.list("").unwrap_err().kind(), ErrorKind::NotReady);
}

fn lines(store: &Arc<ChunkStore>) -> Vec<String> {
    let request = LogRequest::new(Vec::new(), NanoRange::ALL, Direction::Forward);
    let mut cursor = block_on(store.logs("t").select_logs(request)).unwrap();
    let (mut out, mut block) = (Vec::new(), LogBlock::default());
    while cursor.advance().unwrap().is_some() {
        while cursor.read(&mut block).unwrap() {
            let line = |at| String::from_utf8(block.line(at).to_vec()).unwrap();
            out.extend((0..block.len()).map(line));
        }
    }
    out
}

#[test]
fn a_store_of_logs_lives_in_it() {
    over_every_store(|runtime, store| {
        // The log lies on a disk that knows nothing of the parts.
        let env = Env::in_memory(1);
        let objects = Arc::new(RemoteObjects::new(store, runtime.handle().clone()));
        let open = || {
            let mut config = Config::new("logs");
            config.merge_parts = 3;
            let logs = ChunkStore::open_with(env.clone(), config, objects.clone());
            Arc::new(logs.unwrap())
        };
        let mut wanted = Vec::new();
        let logs = open();
        for time in 0..4 {
            let line = format!("level=info n={time}");
            let entries = vec![PushEntry {
                time,
                line: line.clone().into_bytes(),
                metadata: Labels::empty(),
            }];
            let labels = Labels::from_pairs([("app", "api")]);
            logs.push("t", &[PushStream { labels, entries }]).unwrap();
            logs.flush().unwrap();
            wanted.push(line);
        }
        assert_eq!(lines(&logs), wanted);
        drop(logs);
        let logs = open();
        assert_eq!(objects.list("t").unwrap().len(), 4);
        assert_eq!(lines(&logs), wanted);
        assert_eq!(logs.sweep().unwrap(), []);
        assert!(objects.list("t").unwrap().len() < 4, "parts were merged");
        assert_eq!(lines(&logs), wanted);
        drop(logs);
        objects.wait_for_removals();
        let logs = open();
        assert_eq!((lines(&logs), logs.damaged().len()), (wanted, 0));
    });
}
