//! Settings print back as YAML that reads to the same settings, and no secret is shown.

use std::path::Path;

use headwater_config::{Config, Options};

const TEXT: &str = "
global:
  scrape_interval: 15s
  external_labels: {a: b}
  body_size_limit: 15MB
rule_files: [first.rules, 'my/*.rules']
scrape_configs:
- job_name: one
  honor_labels: true
  params: {module: [http_2xx]}
  basic_auth: {username: ann, password: hunter2}
  http_headers: {X: {secrets: [hunter3]}}
  static_configs:
  - targets: ['a:1', 'b:2']
    labels: {x: '1'}
  file_sd_configs: [{files: [foo/*.yml]}]
  relabel_configs:
  - regex:
    replacement: static
    target_label: abc
  - {action: labeldrop, regex: x.*}
- job_name: two
  scheme: https
  oauth2: {client_id: a, client_secret: hunter4, token_url: 'http://u:hunter5@t'}
  tls_config: {min_version: TLS10}
remote_write:
- url: http://u:hunter6@remote/push
  queue_config: {max_shards: 5}
storage: {tsdb: {out_of_order_time_window: 30m, retention: {time: 1d, size: 1GB}}}
alerting: {alertmanagers: [{static_configs: [{targets: ['am:9093']}]}]}
tracing: {endpoint: 'localhost:4317', timeout: 5s}
";

fn read(text: &str) -> Config {
    Config::parse(text, Path::new("/etc/p"), &Options::default()).unwrap()
}

#[test]
fn what_is_printed_reads_to_the_same() {
    let text = read(TEXT).to_yaml().unwrap();
    assert_eq!(read(&text).to_yaml().unwrap(), text, "{text}");
}

#[test]
fn secrets_are_not_shown() {
    let text = read(TEXT).to_yaml().unwrap();
    assert!(!text.contains("hunter"), "{text}");
    assert_eq!(text.matches("<secret>").count(), 3, "{text}");
}

#[test]
fn what_was_left_open_is_filled_in() {
    let text = read(TEXT).to_yaml().unwrap();
    for line in [
        "  scrape_timeout: 10s\n",
        "  body_size_limit: 15MiB\n",
        "- /etc/p/my/*.rules\n",
        "  metrics_path: /metrics\n",
        "  honor_timestamps: true\n",
        "  follow_redirects: true\n",
        "    capacity: 10000\n",
        "    - /etc/p/foo/*.yml\n",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
}

#[test]
fn an_empty_file_is_a_server_that_does_nothing() {
    let config = read("");
    assert_eq!(config.global.scrape_interval.to_string(), "1m");
    assert!(config.scrape_configs.is_empty());
    assert_eq!(read("global:\nscrape_configs:\nalerting:\n"), config);
}

#[test]
fn every_text_comes_back_as_it_was() {
    let texts = [
        "yes",
        "null",
        "~",
        "1e3",
        "0x1",
        "017",
        "1_000",
        ".5",
        "-",
        "--- a",
        " a",
        "a ",
        "a: b",
        "a:",
        "# x",
        "a #b",
        "multi\nline",
        "line\n",
        "\n",
        "\r\n",
        "tab\t",
        "é",
        "'",
        "\"",
        "- a",
        "2001-01-01",
        "<<",
        "!tag",
        "&a",
        "*a",
        "%",
        "@",
        "`",
        "{}",
        "[]",
        "{a",
        "a,b",
        "|",
        ">",
        "?",
        "\\n",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "\u{feff}",
        "a very long text that goes on and on, so that a printer may think of folding it into several lines: it must not",
    ];
    for text in texts {
        let mut config = read("");
        config
            .global
            .external_labels
            .insert("x".into(), text.into());
        let printed = config.to_yaml().unwrap();
        // A dollar would be a variable, and there is none in these.
        assert_eq!(
            read(&printed).global.external_labels["x"],
            text,
            "{text:?} was printed as\n{printed}"
        );
    }
}
