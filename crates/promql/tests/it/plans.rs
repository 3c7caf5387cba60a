//! Plans as text, and what explanations add to them.

use std::sync::Arc;

use headwater_model::Labels;
use headwater_promql::{Engine, EngineOptions, ParseOptions};
use headwater_query::{EvalRequest, Evaluate, Explain};
use headwater_storage::{
    Append, AppendOptions, BoxFuture, CursorVec, MemoryStore, Projection, SampleValue, Select,
    SelectRequest, SeriesCursor, block_on,
};
use parking_lot::Mutex;

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

/// A store without series that remembers what it was asked.
#[derive(Default)]
struct Asked(Mutex<Vec<SelectRequest>>);

impl Select for Asked {
    fn select(
        &self,
        request: SelectRequest,
    ) -> BoxFuture<'_, headwater_storage::Result<Box<dyn SeriesCursor>>> {
        self.0.lock().push(request);
        let nothing: Box<dyn SeriesCursor> = Box::new(CursorVec::default());
        Box::pin(std::future::ready(Ok(nothing)))
    }
}

fn asked(request: EvalRequest) -> Vec<SelectRequest> {
    let store = Arc::new(Asked::default());
    let engine = Engine::new(store.clone(), EngineOptions::default()).unwrap();
    block_on(engine.evaluate(request)).unwrap();
    let mut requests = store.0.lock();
    std::mem::take(&mut *requests)
}

fn only(labels: &[&str]) -> Projection {
    let shown = ["__name__", "__type__", "__unit__"];
    let all = labels.iter().chain(&shown);
    Projection::Only(all.map(|label| (*label).to_owned()).collect())
}

#[test]
fn stores_are_told_what_plans_know() {
    let found = asked(request("sum by (job) (rate(load_total[5m])) / load"));
    assert_eq!(found.len(), 2);
    let (rate, load) = (&found[0], &found[1]);
    assert_eq!((rate.range.start, rate.range.end), (300_001, 900_000));
    assert_eq!((rate.hints.window, rate.hints.step), (300_000, 60_000));
    assert_eq!(rate.hints.function.as_deref(), Some("rate"));
    assert_eq!(rate.hints.projection, only(&["job"]));
    assert_eq!(load.hints.projection, Projection::All);
    assert!(!rate.hints.newest && !load.hints.newest);

    let found = asked(EvalRequest::instant("max without (job) (load)", 600_000));
    let without = Projection::Except(vec!["job".to_owned()]);
    assert_eq!(found[0].hints.projection, without);
    assert_eq!(found[0].hints.function.as_deref(), Some("max"));
    assert!(found[0].hints.newest && found[0].hints.step == 0);

    assert!(
        asked(EvalRequest::instant("topk(2, load)", 0))[0]
            .hints
            .sorted
    );
    assert!(asked(request("load and on () vector(time()) > 1000")).is_empty());
}
