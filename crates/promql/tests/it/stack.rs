//! Deep expressions on threads with little stack, as runtimes have them.

use std::sync::Arc;

use headwater_promql::{Engine, EngineOptions};
use headwater_query::{EvalRequest, Evaluate, Value};
use headwater_storage::{MemoryStore, block_on};

#[test]
fn a_long_chain_of_operators_needs_no_stack_of_the_caller() {
    let engine = Engine::new(Arc::new(MemoryStore::new()), EngineOptions::default()).unwrap();
    let expression = vec!["1"; 950].join(" + ");
    let caller = std::thread::Builder::new()
        .stack_size(512 << 10)
        .spawn(move || block_on(engine.evaluate(EvalRequest::instant(expression, 0))))
        .unwrap();
    let answer = caller.join().unwrap().unwrap();
    assert!(matches!(answer.value, Value::Scalar { value: 950.0, .. }));

    let engine = Engine::new(Arc::new(MemoryStore::new()), EngineOptions::default()).unwrap();
    let expression = vec!["a"; 950].join(" / ");
    let caller = std::thread::Builder::new()
        .stack_size(512 << 10)
        .spawn(move || block_on(engine.evaluate(EvalRequest::range(expression, 0, 60_000, 1_000))))
        .unwrap();
    assert!(
        matches!(caller.join().unwrap().unwrap().value, Value::Matrix(series) if series.is_empty())
    );
}
