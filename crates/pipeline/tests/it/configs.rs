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

#[test]
fn keys_that_change_nothing_are_told() {
    let text = "[hekad]\nmaxprocs = 2\npoolsize = 10\nplugin_chansize = 5\nmax_pack_idle = '1m'\n\
        max_process_inject = 2\nmax_timer_inject = 2\nmax_process_duration = 5\nshare_dir = 'x'\n\
        sample_denominator = 5\nlog_flags = 0\ncpuprof = 'x'\nmemprof = 'x'\n\
        full_buffer_max_retries = 2\nmax_message_loops = 3\n\
        [in]\ntype = 'TcpInput'\naddress = ':0'\nsynchronous_decode = true\n\
        [cut]\ntype = 'TokenSplitter'\nmin_buffer_size = 9\n\
        [out]\ntype = 'TcpOutput'\nmessage_matcher = 'TRUE'\n[out.buffering]\ncursor_update_count = 3\n";
    let config = Config::from_text("x", text).unwrap();
    let plan = Plan::new(&config, &plugins::registry()).unwrap();
    let notices = plan.notices.join("\n");
    // Of the daemon, all but the one that works; of the others one each.
    assert_eq!(plan.notices.len(), 13 + 3, "{notices}");
    for key in [
        "[hekad] maxprocs",
        "[in] synchronous_decode",
        "[cut] min_buffer_size",
        "[out] cursor_update_count",
    ] {
        assert!(
            notices.contains(&format!("{key} has no effect: ")),
            "{key}: {notices}"
        );
    }
}
