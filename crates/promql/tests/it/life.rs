//! What happens around an evaluation: callers that go away, the files in which queries are noted.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use headwater_env::{Env, FilesExt};
use headwater_model::{Labels, SeriesColumns};
use headwater_promql::{Engine, EngineOptions, QueryLog};
use headwater_query::{ActiveQueries, EvalRequest, Evaluate, Origin};
use headwater_storage::{
    BoxFuture, MemoryStore, Result, Select, SelectRequest, SeriesCursor, block_on,
};

/// A store whose series never end.
struct Endless(Sender<&'static str>);

struct EndlessCursor {
    told: bool,
    news: Sender<&'static str>,
}

impl Select for Endless {
    fn select(&self, _: SelectRequest) -> BoxFuture<'_, Result<Box<dyn SeriesCursor>>> {
        let news = self.0.clone();
        let cursor: Box<dyn SeriesCursor> = Box::new(EndlessCursor { told: false, news });
        Box::pin(std::future::ready(Ok(cursor)))
    }
}

impl SeriesCursor for EndlessCursor {
    fn advance(&mut self) -> Result<Option<Labels>> {
        if !self.told {
            self.told = true;
            let _ = self.news.send("begun");
        }
        Ok(Some(Labels::from_pairs([("__name__", "x")])))
    }

    fn read(&mut self, into: &mut SeriesColumns) -> Result<()> {
        into.clear();
        into.floats.push(0, 1.0);
        Ok(())
    }

    fn split(self: Box<Self>, _: usize) -> Vec<Box<dyn SeriesCursor>> {
        vec![self]
    }
}

impl Drop for EndlessCursor {
    fn drop(&mut self) {
        let _ = self.news.send("ended");
    }
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn work_ends_when_nobody_waits_for_it() {
    for query in ["sum(x)", "sum by (a) (rate(x[5m]))", "absent(x)", "-x > 1"] {
        let (news, heard) = channel();
        let mut options = EngineOptions::default();
        options.threads = 2;
        let engine = Engine::new(Arc::new(Endless(news)), options).unwrap();
        {
            let mut answer = pin!(engine.evaluate(EvalRequest::instant(query, 0)));
            let mut context = Context::from_waker(Waker::noop());
            assert!(matches!(answer.as_mut().poll(&mut context), Poll::Pending));
            assert_eq!(heard.recv_timeout(LONG), Ok("begun"), "{query}");
        }
        assert_eq!(heard.recv_timeout(LONG), Ok("ended"), "{query}");
    }
}

#[test]
fn a_token_stops_the_work_too() {
    let (news, heard) = channel();
    let engine = Engine::new(Arc::new(Endless(news)), EngineOptions::default()).unwrap();
    let request = EvalRequest::instant("count(x)", 0);
    let cancel = request.cancel.clone();
    let error = std::thread::scope(|scope| {
        let answer = scope.spawn(|| block_on(engine.evaluate(request)));
        assert_eq!(heard.recv_timeout(LONG), Ok("begun"));
        cancel.cancel();
        answer.join().unwrap().unwrap_err()
    });
    assert_eq!(
        error.to_string(),
        "query was canceled in expression evaluation"
    );
}

/// A store that looks at the file of active queries when it is asked.
struct Looks {
    env: Env,
    seen: Sender<String>,
    inner: MemoryStore,
}

impl Select for Looks {
    fn select(&self, request: SelectRequest) -> BoxFuture<'_, Result<Box<dyn SeriesCursor>>> {
        let bytes = self
            .env
            .files
            .read(Path::new("/data/queries.active"))
            .unwrap();
        let _ = self
            .seen
            .send(String::from_utf8(bytes).unwrap().replace('\0', ""));
        self.inner.select(request)
    }
}

#[test]
fn queries_are_noted_while_they_run_and_logged_afterwards() {
    let env = Env::in_memory(1);
    let (active, left) = ActiveQueries::open(&env, Path::new("/data"), 4).unwrap();
    assert_eq!(left, None);
    let log = QueryLog::new(env.clone());
    log.set_file(Some(Path::new("/q.log"))).unwrap();
    let (seen, looks) = channel();
    let store = Looks {
        env: env.clone(),
        seen,
        inner: MemoryStore::new(),
    };
    let mut options = EngineOptions::default();
    options.threads = 1;
    let engine = Engine::new(Arc::new(store), options)
        .unwrap()
        .with_active_queries(active)
        .with_query_log(log);
    let mut request = EvalRequest::instant("up == 0", 1_000);
    request.origin = Some(Origin::Rule {
        file: "a.yml".into(),
        group: "g".into(),
    });
    block_on(engine.evaluate(request)).unwrap();
    assert!(looks.recv().unwrap().starts_with("[{\"query\":\"up == 0\""));
    let read = |path: &str| String::from_utf8(env.files.read(Path::new(path)).unwrap()).unwrap();
    assert_eq!(read("/data/queries.active").replace('\0', ""), "[");
    // One thread takes jobs in order: when the second query has ended, the first is logged.
    block_on(engine.evaluate(EvalRequest::instant("1 +", 1_000))).unwrap_err();
    block_on(engine.evaluate(EvalRequest::instant("2", 1_000))).unwrap();
    let text = read("/q.log");
    let line = text.lines().next().unwrap();
    for part in ["\"up == 0\"", "\"ruleGroup\"", "\"execTotalTime\""] {
        assert!(line.contains(part), "{text}");
    }
    assert!(
        !text.contains("1 +"),
        "what does not parse is not run: {text}"
    );
}
