//! Head chunk files with their zero tails.

use headwater_blockfmt::head_chunks::{self, NewChunk};
use headwater_blockfmt::{chunk, decode};
use headwater_model::{SeriesColumns, TimeRange};

use crate::corpora::{data_directories, files};

#[test]
fn every_head_chunk_is_read_and_written_alike() {
    for (directory, path) in data_directories() {
        let mut out_of_order = 0;
        let mut count = 0;
        for file in files(&path.join("chunks_head")) {
            let file = std::fs::read(file).unwrap();
            let mut again = head_chunks::header().to_vec();
            let mut chunks = head_chunks::chunks(&file).unwrap();
            for head in chunks.by_ref() {
                let head = head.unwrap();
                let mut columns = SeriesColumns::default();
                decode(
                    head.encoding,
                    head.data,
                    TimeRange::new(head.min_time, head.max_time),
                    &mut columns,
                )
                .unwrap();
                assert_eq!(
                    columns.len(),
                    chunk::sample_count(head.encoding, head.data).unwrap()
                );
                out_of_order += usize::from(head.out_of_order);
                count += 1;
                let new = NewChunk {
                    reference: head.reference,
                    min_time: head.min_time,
                    max_time: head.max_time,
                    encoding: head.encoding,
                    out_of_order: head.out_of_order,
                    data: head.data,
                };
                head_chunks::put_chunk(&mut again, &new);
            }
            assert_eq!(again, file[..chunks.offset()], "{directory}");
        }
        println!("{directory}: {count} head chunks, {out_of_order} out of order");
        assert!(count > 0, "{directory}");
    }
}
