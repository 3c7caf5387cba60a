//! Our promtool beside Debian's: the same blocks, lines and tables of the same input.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use headwater_tests::peer;
use headwater_tests::process::{Server, program};

const BASE: i64 = 1_767_225_600;

/// Runs a tool and answers what it prints; it has to succeed.
fn run(tool: &Path, arguments: &[&str]) -> String {
    let output = peer::run(tool, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Four hours of three metrics, some of whose samples have fractions of seconds.
fn openmetrics() -> String {
    let mut text = String::from("# TYPE requests counter\n# TYPE room_celsius gauge\n");
    for at in 0..480i64 {
        let time = BASE + at * 30;
        for code in ["200", "500"] {
            writeln!(
                text,
                "requests_total{{code=\"{code}\",path=\"a b\\\\c\"}} {} {time}",
                at * 3
            )
            .unwrap();
        }
        writeln!(text, "room_celsius {}.25 {time}.5", 20 + at % 7).unwrap();
    }
    text + "# EOF\n"
}

/// Debian's version wants a log beside blocks.
fn dump(tool: &Path, data: &Path) -> Vec<String> {
    fs::create_dir_all(data.join("wal")).unwrap();
    peer::dump(tool, data)
}

/// The columns that do not differ from run to run: all but names and sizes.
fn facts(list: &str) -> Vec<Vec<&str>> {
    list.lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|row| row.len() == 8)
        .map(|row| row[1..7].to_vec())
        .collect()
}

#[test]
fn texts_and_rules_become_the_blocks_that_the_original_makes() {
    let (Some(theirs), Some(prometheus)) = (peer::find("promtool"), peer::find("prometheus"))
    else {
        return;
    };
    let ours = program("promtool");
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let text = at("input.om");
    fs::write(&text, openmetrics()).unwrap();
    let (a, b) = (at("data"), at("ours"));
    let from = |tool: &Path, out: &Path| {
        let words = ["tsdb", "create-blocks-from", "openmetrics"];
        let paths = [text.to_str().unwrap(), out.to_str().unwrap()];
        run(tool, &[&words[..], &paths[..]].concat())
    };
    let (made_a, made_b) = (from(&theirs, &a), from(&ours, &b));
    assert_eq!(facts(&made_a), facts(&made_b));
    assert!(facts(&made_b).len() >= 2, "{made_b}");
    let samples = dump(&theirs, &a);
    assert_eq!(samples.len(), 3 * 480);
    assert_eq!(samples, dump(&theirs, &b));
    // Each reads what the other has made.
    assert_eq!(samples, dump(&ours, &a));
    for data in [&a, &b] {
        let data = data.to_str().unwrap();
        let list = run(&theirs, &["tsdb", "list", data]);
        assert_eq!(list, run(&ours, &["tsdb", "list", data]));
        let list = run(&theirs, &["tsdb", "list", "-r", data]);
        assert_eq!(list, run(&ours, &["tsdb", "list", "-r", data]));
        let analysis = run(&ours, &["tsdb", "analyze", data]);
        let table = |text: &str, title: &str| -> Vec<String> {
            let rows = text.lines().skip_while(|line| *line != title).skip(1);
            let mut rows: Vec<String> = rows
                .take_while(|line| !line.is_empty())
                .map(str::to_owned)
                .collect();
            rows.sort();
            rows
        };
        let wanted = run(&theirs, &["tsdb", "analyze", data]);
        for title in [
            "Label pairs most involved in churning:",
            "Label names most involved in churning:",
            "Most common label pairs:",
            "Label names with highest cumulative label value length:",
            "Highest cardinality labels:",
            "Highest cardinality metric names:",
        ] {
            assert!(!table(&analysis, title).is_empty(), "{title}");
            assert_eq!(table(&analysis, title), table(&wanted, title), "{title}");
        }
    }
    rules(&theirs, &ours, &prometheus, folder.path());
}

/// The data that was imported is on a server, which both tools ask.
fn rules(theirs: &Path, ours: &Path, prometheus: &Path, folder: &Path) {
    let rules = folder.join("rules.yml");
    let text = "groups:\n- name: one\n  interval: 45s\n  rules:\n  - record: code:requests:rate\n    expr: sum by (code) (rate(requests_total[5m]))\n    labels: {extra: 'yes'}\n  - alert: never\n    expr: up == 0\n- name: two\n  rules:\n  - record: warm\n    expr: room_celsius > 22\n";
    fs::write(&rules, text).unwrap();
    fs::write(folder.join("prometheus.yml"), "{}\n").unwrap();
    let server = Server::start(prometheus, folder, &["--storage.tsdb.retention.time=100y"]);
    let (start, end) = ((BASE + 600).to_string(), (BASE + 3 * 3600).to_string());
    let from = |tool: &Path, out: &str| {
        let out = folder.join(out);
        let words = [
            "tsdb",
            "create-blocks-from",
            "rules",
            "-q",
            "--url",
            &server.url,
        ];
        let more = ["--start", &start, "--end", &end, "--output-dir"];
        let paths = [out.to_str().unwrap(), rules.to_str().unwrap()];
        assert_eq!(run(tool, &[&words[..], &more[..], &paths[..]].concat()), "");
        dump(theirs, &out)
    };
    let wanted = from(theirs, "rules-theirs");
    assert!(wanted.len() > 400, "{} samples", wanted.len());
    assert_eq!(from(ours, "rules-ours"), wanted);
}

#[test]
fn the_write_benchmark_writes_the_same_samples() {
    let Some(theirs) = peer::find("promtool") else {
        return;
    };
    let ours = program("promtool");
    let folder = tempfile::tempdir().unwrap();
    let series = folder.path().join("series.json");
    let mut text = String::new();
    for n in 0..30 {
        writeln!(text, r#"{{"__name__":"m{}","n":"{n}"}}"#, n % 3).unwrap();
    }
    fs::write(&series, text).unwrap();
    let bench = |tool: &Path, name: &str| {
        let out = folder.path().join(name);
        let words = ["tsdb", "bench", "write", "--metrics=25", "--scrapes=150"];
        let out_flag = format!("--out={}", out.display());
        let printed = run(
            tool,
            &[&words[..], &[&out_flag, series.to_str().unwrap()]].concat(),
        );
        let forms: Vec<String> = printed
            .lines()
            .map(|line| line.split(['=', ':']).next().unwrap_or_default().to_owned())
            .collect();
        assert!(printed.contains(" > total samples: 5000"), "{printed}");
        (forms, peer::dump(&theirs, &out.join("storage")))
    };
    let (wanted, found) = (bench(&theirs, "theirs"), bench(&ours, "ours"));
    assert_eq!(wanted.0, found.0);
    assert_eq!(wanted.1, found.1);
}

#[test]
fn dumps_keep_to_selector_and_times_and_change_nothing() {
    let ours = program("promtool");
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("input.om");
    fs::write(&text, openmetrics()).unwrap();
    let data = folder.path().join("data");
    let (text, data) = (text.to_str().unwrap(), data.to_str().unwrap());
    run(
        &ours,
        &[
            "tsdb",
            "create-blocks-from",
            "openmetrics",
            "-q",
            text,
            data,
        ],
    );
    let all = run(&ours, &["tsdb", "dump-openmetrics", data]);
    let mut wanted: Vec<String> = openmetrics()
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            line.split_once(".5")
                .map_or(line, |(line, _)| line)
                .to_owned()
        })
        .collect();
    let mut found: Vec<String> = all
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            line.trim_end_matches(".000")
                .trim_end_matches(".500")
                .to_owned()
        })
        .collect();
    wanted.sort();
    found.sort();
    assert_eq!(found, wanted);
    assert!(all.ends_with("# EOF\n"));
    let max = format!("--max-time={}", (BASE + 60) * 1000);
    let some = run(
        &ours,
        &["tsdb", "dump", "--match={code=\"500\"}", &max, data],
    );
    assert_eq!(some.lines().count(), 3, "{some}");
    assert!(
        some.lines().all(|line| line.contains("code=\"500\"")),
        "{some}"
    );
    assert!(
        !Path::new(data).join("wal").exists(),
        "a dump has written something"
    );
    let refused = peer::run(&ours, &["check", "config", "x.yml"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("check config"), "{said}");
}

#[test]
fn expositions_are_linted_as_by_the_original() {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let Some(theirs) = peer::find("promtool") else {
        return;
    };
    let mut text = String::from("untyped 3\n# TYPE foo_total gauge\nfoo_total 1\n");
    for (name, kind, labels) in [
        ("bar", "counter", ""),
        (
            "fooBar_gauge",
            "gauge",
            "{le=\"1\",quantile=\"0.1\",camelCase=\"x\"}",
        ),
        ("a:b", "gauge", ""),
        ("d_bucket_count", "gauge", ""),
        ("d_sum", "gauge", ""),
        ("d_bucket", "gauge", ""),
        ("size_kb", "gauge", ""),
        ("mem_megabytes_total", "counter", ""),
        ("energy_kilowatt_hours", "gauge", ""),
        ("temp_fahrenheit", "gauge", ""),
        ("mebibytes_x", "gauge", ""),
        ("my_counter_x", "counter", ""),
        ("good_seconds_total", "counter", ""),
    ] {
        text += &format!("# HELP {name} Help.\n# TYPE {name} {kind}\n{name}{labels} 1\n");
    }
    let check = |tool: &Path, text: &str| {
        let mut child = Command::new(tool)
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let ours = program("promtool");
    let wanted = check(&theirs, &text);
    assert!(
        wanted.0 == Some(3) && wanted.1.lines().count() > 15,
        "{wanted:?}"
    );
    assert_eq!(check(&ours, &text), wanted);
    let good = "# HELP a_seconds A.\na_seconds 1\n";
    assert_eq!(check(&ours, good), (Some(0), String::new()));
    assert_eq!(check(&ours, "{\n").0, Some(1));
}
