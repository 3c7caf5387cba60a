//! What is said of configurations.

use headwater_pipeline::config::{Config, Plan};
use headwater_pipeline::plugins;

const CASES: &str = include_str!("../data/configs.txt");

fn said(text: &str) -> String {
    let plan = Config::from_text("x", text).and_then(|c| Plan::new(&c, &plugins::registry()));
    match plan {
        Ok(_) => "fine".to_owned(),
        Err(errors) => errors.to_string(),
    }
}

#[test]
fn of_configurations() {
    let mut cases = 0;
    for case in CASES.split("\n# ").skip(1) {
        let (name, rest) = case.split_once('\n').unwrap();
        let (text, wanted) = rest.split_once("---\n").unwrap();
        assert_eq!(said(text), wanted.trim_end(), "{name}");
        cases += 1;
    }
    assert!(cases > 10);
}

#[test]
fn of_directories() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write(
        "1.toml",
        "[hekad]\nmaxprocs = 2\n[LogOutput]\nmessage_matcher = 'TRUE'\nencoder = 'ProtobufEncoder'\n",
    );
    write("2.toml", "[hekad]\nhostname = 'h'\n[CounterFilter]\n");
    write("3.conf", "no toml at all [[[");
    let config = Config::read(dir.path()).unwrap();
    let plan = Plan::new(&config, &plugins::registry()).unwrap();
    assert_eq!((plan.filters.len(), plan.outputs.len()), (1, 1));
    assert_eq!(&plan.globals().hostname[..], b"h");
    write("4.toml", "[hekad]\nmaxprocs = 3\n[CounterFilter]\n");
    let errors = Plan::new(&Config::read(dir.path()).unwrap(), &plugins::registry()).unwrap_err();
    let text = errors.to_string();
    assert!(
        text.contains("4.toml:2:1: [hekad] maxprocs is set twice"),
        "{text}"
    );
    assert!(
        text.contains("4.toml:3:2: [CounterFilter] also defined in"),
        "{text}"
    );
}
