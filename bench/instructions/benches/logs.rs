//! LogQL over 10 000 lines in memory, and parts of the chunk store.

#![expect(missing_docs, reason = "the macros of the harness make public items")]

use std::hint::black_box;
use std::sync::Arc;

use gungraun::prelude::*;
use headwater_chunkstore::part::{Column, Part, PartOptions, PartWriter, Rows};
use headwater_instructions::at_most;
use headwater_logql::{Engine, EngineLimits, LogQuery};
use headwater_model::Labels;
use headwater_storage::MemoryLogs;

const SECOND: i64 = 1_000_000_000;
const LINES: i64 = 10_000;

fn line(n: i64) -> String {
    let status = [200, 204, 301, 404, 500][n as usize % 5];
    format!(
        "{{\"level\":\"info\",\"msg\":\"request served\",\"status\":{status},\"duration\":{},\"user\":{{\"id\":\"u{}\"}},\"trace_id\":\"{:032x}\"}}",
        n % 2000,
        n % 500,
        n * 7919
    )
}

fn question(text: &str) -> (Engine, LogQuery) {
    let store = MemoryLogs::new();
    for n in 0..LINES {
        let stream = Labels::from_pairs([("app", format!("app-{}", n % 20))]);
        store.push(&stream, n * SECOND, line(n), &Labels::empty());
    }
    let limits = EngineLimits::default().with_max_series(0).with_max_steps(0);
    let query = LogQuery::range(text, 0, LINES * SECOND, 600 * SECOND);
    (Engine::new(Arc::new(store), limits), query)
}

// A range query over everything.
#[library_benchmark]
#[bench::count(config = at_most(1_300_000), args = ("sum by (app) (count_over_time({app=~\".+\"}[10m]))"), setup = question)]
#[bench::absent(config = at_most(2_500_000), args = ("count_over_time({app=~\".+\"} |= \"nosuchword\" [10m])"), setup = question)]
#[bench::json(config = at_most(55_000_000), args = ("sum by (status) (rate({app=~\".+\"} | json [10m]))"), setup = question)]
fn logql(question: (Engine, LogQuery)) -> Engine {
    let (engine, query) = question;
    black_box(engine.query_blocking(query).expect("an answer"));
    engine
}

fn lines() -> Vec<String> {
    (0..LINES).map(line).collect()
}

fn write(lines: &[String]) -> Vec<u8> {
    let mut writer = PartWriter::new(PartOptions::default()).expect("a writer");
    writer
        .stream(&Labels::from_pairs([("app", "shop")]))
        .expect("a stream");
    for (at, line) in lines.iter().enumerate() {
        writer
            .push(at as i64 * SECOND, line.as_bytes(), &Labels::empty())
            .expect("in order");
    }
    writer.finish().expect("a part")
}

// 10 000 JSON lines written as a part, compression and filters included.
#[library_benchmark(config = at_most(56_700_000))]
#[bench::json(lines())]
fn part_write(lines: Vec<String>) -> Vec<u8> {
    write(&lines)
}

// The same lines read back.
#[library_benchmark(config = at_most(27_400_000))]
#[bench::json(write(&lines()))]
fn part_read(object: Vec<u8>) -> Rows {
    let part = Part::open(object.into()).expect("a part");
    let mut rows = Rows::default();
    for block in part.blocks() {
        part.read(block, &[Column::Times, Column::Lines], &mut rows)
            .expect("a block");
    }
    rows
}

library_benchmark_group!(name = queries, benchmarks = logql);
library_benchmark_group!(name = parts, benchmarks = [part_write, part_read]);
main!(library_benchmark_groups = [queries, parts]);
