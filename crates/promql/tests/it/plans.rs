//! Plans as text, and what explanations add to them.

use std::sync::Arc;

use headwater_model::Labels;
use headwater_promql::{Engine, EngineOptions, ParseOptions};
use headwater_query::{EvalRequest, Evaluate, Explain};
use headwater_storage::{Append, AppendOptions, MemoryStore, SampleValue, block_on};

fn engine() -> Engine {
    let store = MemoryStore::new();
    let mut batch = store.appender(AppendOptions::default()).unwrap();
    for host in 0..40 {
        let (host, job) = (format!("h{host}"), format!("{}", host % 4));
        let labels = Labels::from_pairs([("__name__", "load"), ("host", &host), ("job", &job)]);
        let series = batch.series(&labels).unwrap();
        for minute in 0..20 {
            let value = SampleValue::Float(minute as f64);
            batch.append(series, minute * 60_000, 0, value).unwrap();
        }
    }
    batch.commit().unwrap().wait().unwrap();
    let mut options = EngineOptions::default();
    options.parse = ParseOptions::all();
    options.threads = 1;
    Engine::new(Arc::new(store), options).unwrap()
}

fn request(query: &str) -> EvalRequest {
    EvalRequest::range(query, 600_000, 900_000, 60_000)
}

/// `HEADWATER_SHOW_PLANS=1` prints the file as it should be.
#[test]
fn plans_are_as_written() {
    let (engine, text) = (engine(), include_str!("../data/plans.txt"));
    let (mut found, mut query) = (String::new(), None);
    for line in text.lines().chain([""]) {
        match line.strip_prefix("> ") {
            Some(text) => {
                query = Some(text);
                found += &format!("{line}\n");
            }
            None if line.is_empty() => {
                if let Some(query) = query.take() {
                    found += &engine.plan_text(&request(query)).unwrap();
                }
                found.push('\n');
            }
            None if query.is_none() => found += &format!("{line}\n"),
            None => {}
        }
    }
    if std::env::var_os("HEADWATER_SHOW_PLANS").is_some() {
        println!("{found}");
    }
    assert_eq!(found.trim_end(), text.trim_end());
}

#[test]
fn estimates_stand_behind_the_operators() {
    let explained = block_on(engine().explain(
        request("sum by (job) (load{job=~\"1|2\"}) / 2"),
        Explain::Estimate,
    ));
    assert_eq!(
        explained.unwrap(),
        "vector with scalar / [6 steps of 60000 ms]  # about 2 series, about 48 bytes
  aggregate sum by (job) [6 steps of 60000 ms]  # about 2 series, about 992 bytes
    select values {job=~\"1|2\",__name__=\"load\"} from 300001 to 900000 ms labels job,__name__,__type__,__unit__  # about 20 series, about 48 bytes
  number 2 [6 steps of 60000 ms]  # about 1 series, about 48 bytes
"
    );
}

#[test]
fn measures_stand_behind_the_operators() {
    let query = "sum by (job) (rate(load[5m])) > scalar(max(load))";
    let explained = block_on(engine().explain(request(query), Explain::Analyze)).unwrap();
    let lines: Vec<&str> = explained.lines().collect();
    let has = |line: usize, parts: &[&str]| {
        for part in parts {
            assert!(lines[line].contains(part), "{part} in {explained}");
        }
    };
    has(0, &["vector with scalar >", "# 0 series, 0 samples, "]);
    has(
        1,
        &["aggregate sum", "# 4 series, 24 samples, ", "bytes held"],
    );
    has(2, &["slide rate", "# 40 series, 240 samples, "]);
    has(3, &["select ranges", "# 40 series, 400 samples, "]);
    has(4, &["scalar", "# 1 series, 6 samples, "]);
    has(7, &["peak of ", "from arrival to answer"]);
    let bad = block_on(engine().explain(request("load["), Explain::Estimate)).unwrap_err();
    assert!(bad.to_string().contains("unexpected end of input"), "{bad}");
}
