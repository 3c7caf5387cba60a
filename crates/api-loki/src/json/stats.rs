//! The `stats` object of answers. Grafana and logcli read the summary; the rest is there because they
//! expect it to be, and is zero where this store has no such thing.

use headwater_logql::LogStats;
use serde_json::{Value, json};

/// What a query cost, in Loki's words.
pub(super) fn stats(stats: &LogStats) -> Value {
    let seconds = stats.time.as_secs_f64();
    let rate = |amount: u64| match seconds > 0.0 {
        true => (amount as f64 / seconds) as u64,
        false => 0,
    };
    let chunk = json!({
        "headChunkBytes": 0,
        "headChunkLines": 0,
        "headChunkStructuredMetadataBytes": 0,
        "decompressedBytes": stats.bytes,
        "decompressedLines": stats.lines,
        "decompressedStructuredMetadataBytes": 0,
        "compressedBytes": stats.storage.stored_bytes,
        "totalDuplicates": 0,
        "postFilterLines": stats.kept,
    });
    let store = |blocks: u64, chunk: Value| {
        json!({
            "totalChunksRef": blocks,
            "totalChunksDownloaded": blocks,
            "chunksDownloadTime": 0,
            "queryReferencedStructuredMetadata": false,
            "congestionControlLatency": 0,
            "chunkRefsFetchTime": 0,
            "pipelineWrapperFilteredLines": 0,
            "chunk": chunk,
        })
    };
    let none = json!({
        "headChunkBytes": 0,
        "headChunkLines": 0,
        "headChunkStructuredMetadataBytes": 0,
        "decompressedBytes": 0,
        "decompressedLines": 0,
        "decompressedStructuredMetadataBytes": 0,
        "compressedBytes": 0,
        "totalDuplicates": 0,
        "postFilterLines": 0,
    });
    json!({
        "summary": {
            "bytesProcessedPerSecond": rate(stats.bytes),
            "linesProcessedPerSecond": rate(stats.lines),
            "totalBytesProcessed": stats.bytes,
            "totalLinesProcessed": stats.lines,
            "execTime": seconds,
            "queueTime": 0,
            "subqueries": 0,
            "totalEntriesReturned": stats.returned,
            "splits": 0,
            "shards": 0,
            "totalPostFilterLines": stats.kept,
            "totalStructuredMetadataBytesProcessed": 0,
        },
        "querier": { "store": store(stats.storage.blocks_read, chunk) },
        "ingester": {
            "totalReached": 1,
            "totalChunksMatched": 0,
            "totalBatches": 0,
            "totalLinesSent": 0,
            "store": store(0, none),
        },
        "cache": caches(),
        "index": {
            "totalChunks": 0,
            "postFilterChunks": 0,
            "shardsDuration": 0,
            "usedBloomFilters": false,
        },
    })
}

fn caches() -> Value {
    let names = [
        "chunk",
        "index",
        "result",
        "statsResult",
        "volumeResult",
        "seriesResult",
        "labelResult",
        "instantMetricResult",
    ];
    let empty = json!({
        "entriesFound": 0,
        "entriesRequested": 0,
        "entriesStored": 0,
        "bytesReceived": 0,
        "bytesSent": 0,
        "requests": 0,
        "downloadTime": 0,
        "queryLengthServed": 0,
    });
    Value::Object(
        names
            .into_iter()
            .map(|name| (name.to_owned(), empty.clone()))
            .collect(),
    )
}
