//! What Prometheus accepts is accepted, what it refuses is refused.

use std::path::{Path, PathBuf};

use headwater_config::{Config, Error, Options, RuleChecks, RuleFile, WebConfig};
use headwater_model::name::NameScheme;

use crate::exempt::{NEED_MORE_DISCOVERY, NEED_MORE_DISCOVERY_BAD};

/// A folder of the corpora; none if they are not there and need not be.
fn folder(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("HEADWATER_CORPORA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora"),
        PathBuf::from,
    );
    let dir = root.join("prometheus").join(name);
    if dir.is_dir() {
        return Some(dir);
    }
    assert!(
        std::env::var_os("HEADWATER_STRICT").is_none(),
        "no corpora at {}",
        dir.display()
    );
    println!("skipped: no corpora at {}", dir.display());
    None
}

fn files(dir: &Path, keep: impl Fn(&str) -> bool) -> Vec<(String, PathBuf)> {
    let mut found: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| {
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                path,
            )
        })
        .filter(|(name, _)| keep(name))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "nothing to test in {}", dir.display());
    found
}

fn load(path: &Path) -> Result<Config, Error> {
    let environment = |name: &str| (name == "TEST").then(|| "TestValue".to_owned());
    Config::load(
        path,
        &Options {
            environment: &environment,
            agent: false,
        },
    )
}

fn needs_more_discovery(error: &Error) -> bool {
    error
        .message()
        .contains("this service discovery is not supported yet")
}

#[test]
fn good_files_load() {
    let Some(dir) = folder("config") else { return };
    let mut wrong = Vec::new();
    for (name, path) in files(&dir, |name| name.contains(".good.")) {
        let exempt = NEED_MORE_DISCOVERY.contains(&name.as_str());
        match load(&path) {
            Ok(_) if exempt => wrong.push(format!("{name} loads now, take it off the list")),
            Err(error) if exempt && needs_more_discovery(&error) => {}
            Err(error) => wrong.push(error.to_string()),
            Ok(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn bad_files_are_refused() {
    let Some(dir) = folder("config") else { return };
    let (mut accepted, mut for_discovery) = (Vec::new(), Vec::new());
    for (name, path) in files(&dir, |name| name.contains(".bad.")) {
        match load(&path) {
            Ok(_) => accepted.push(name),
            Err(error) if needs_more_discovery(&error) => for_discovery.push(name),
            Err(error) => println!("{error}"),
        }
    }
    println!(
        "{} exempt: {NEED_MORE_DISCOVERY_BAD}: {for_discovery:?}",
        for_discovery.len()
    );
    assert!(accepted.is_empty(), "accepted: {accepted:?}");
}

#[test]
fn refusals_have_the_words_of_prometheus() {
    let Some(dir) = folder("config") else { return };
    for (name, words) in [
        ("jobname.bad.yml", "job_name is empty"),
        (
            "jobname_dup.bad.yml",
            "found multiple scrape configs with job name \"prometheus\"",
        ),
        (
            "scrape_interval.bad.yml",
            "scrape timeout greater than scrape interval for scrape config with job name \"prometheus\"",
        ),
        ("rules.bad.yml", "invalid rule file path"),
        (
            "modulus_missing.bad.yml",
            "relabel configuration for hashmod requires non-zero modulus",
        ),
        (
            "target_label_missing.bad.yml",
            "relabel configuration for replace action requires 'target_label' value",
        ),
        (
            "labeldrop2.bad.yml",
            "labeldrop action requires only 'regex', and no other fields",
        ),
        ("empty_rw_config.bad.yml", "empty or null"),
        (
            "empty_target_relabel_config.bad.yml",
            "empty or null relabeling rule",
        ),
        (
            "remote_write_url_missing.bad.yml",
            "url for remote_write is empty",
        ),
        (
            "remote_write_dup.bad.yml",
            "found multiple remote write configs with job name \"queue1\"",
        ),
        (
            "remote_read_dup.bad.yml",
            "found multiple remote read configs with job name \"queue1\"",
        ),
        (
            "remote_write_header.bad.yml",
            "x-prometheus-remote-write-version is a reserved header. It must not be changed",
        ),
        (
            "remote_write_authorization_header.bad.yml",
            "authorization header must be changed via the basic_auth, authorization, oauth2, sigv4, azuread or google_iam parameter",
        ),
        (
            "bearertoken_basicauth.bad.yml",
            "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured",
        ),
        (
            "url_in_targetgroup.bad.yml",
            "\"http://bad\" is not a valid hostname",
        ),
        (
            "http_url_no_scheme.bad.yml",
            "URL scheme must be 'http' or 'https'",
        ),
        (
            "scrape_config_files_scrape_protocols.bad.yml",
            "unknown scrape protocol prometheusproto, supported: [",
        ),
        (
            "scrape_config_files_scrape_protocols2.bad.yml",
            "duplicated protocol in scrape_protocols",
        ),
        (
            "tracing_missing_endpoint.bad.yml",
            "tracing endpoint must be set",
        ),
        (
            "scrape_config_utf8_conflicting.bad.yml",
            "utf8 metric names requested but validation scheme is not set to UTF8",
        ),
        (
            "otlp_promote_all_resource_attributes.bad.yml",
            "'promote_all_resource_attributes' and 'promote_resource_attributes' cannot be configured simultaneously",
        ),
        (
            "unknown_attr.bad.yml",
            "line 19, column 5: unknown key \"consult_sd_configs\", did you mean \"consul_sd_configs\"?",
        ),
        (
            "unknown_global_attr.bad.yml",
            "line 2, column 3: unknown key \"nonexistent_field\"",
        ),
        (
            "section_key_dup.bad.yml",
            "line 4, column 1: the key \"scrape_configs\" is given twice",
        ),
        (
            "scrape_config_files_duplicate.bad.yml",
            "found multiple scrape configs with job name \"prometheus\"",
        ),
    ] {
        let error = load(&dir.join(name)).unwrap_err().to_string();
        assert!(error.contains(words), "{name}: {error}");
        assert!(error.contains(".yml: "), "no file in {error}");
    }
}

#[test]
fn other_files_do_what_their_names_say() {
    let Some(dir) = folder("config") else { return };
    let agent = |name: &str| {
        let options = Options {
            agent: true,
            ..Options::default()
        };
        Config::load(&dir.join(name), &options)
            .map(drop)
            .map_err(|error| error.message().to_owned())
    };
    assert_eq!(agent("agent_mode.good.yml"), Ok(()));
    for (name, words) in [
        (
            "agent_mode.with_alert_manager.yml",
            "field alerting is not allowed in agent mode",
        ),
        (
            "agent_mode.with_alert_relabels.yml",
            "field alerting is not allowed in agent mode",
        ),
        (
            "agent_mode.with_rule_files.yml",
            "field rule_files is not allowed in agent mode",
        ),
        (
            "agent_mode.with_remote_reads.yml",
            "field remote_read is not allowed in agent mode",
        ),
        (
            "agent_mode.without_remote_writes.yml",
            "at least one remote_write target must be specified in agent mode",
        ),
    ] {
        assert_eq!(agent(name).unwrap_err(), words);
    }
    for name in [
        "otlp_empty.yml",
        "scrape_config_default_validation_mode.yml",
    ] {
        load(&dir.join(name)).unwrap();
    }
    for name in [
        "otlp_allow_utf8.incompatible.yml",
        "otlp_no_translation.incompatible.yml",
    ] {
        let error = load(&dir.join(name)).unwrap_err().to_string();
        assert!(
            error.contains("is not allowed when UTF8 is disabled"),
            "{error}"
        );
    }
    assert!(load(&dir.join("config_with_deprecated_am_api_config.yml")).is_err());
}

#[test]
fn naming_schemes_are_inherited() {
    let Some(dir) = folder("config") else { return };
    use headwater_config::{Escaping, Validation};
    for (name, validation, escaping) in [
        (
            "scrape_config_default_validation_mode.yml",
            Validation::Utf8,
            Escaping::AllowUtf8,
        ),
        (
            "scrape_config_global_validation_mode.yml",
            Validation::Legacy,
            Escaping::Dots,
        ),
        (
            "scrape_config_local_validation_mode.yml",
            Validation::Legacy,
            Escaping::Values,
        ),
        (
            "scrape_config_local_global_validation_mode.yml",
            Validation::Utf8,
            Escaping::Dots,
        ),
        (
            "scrape_config_local_infer_escaping.yml",
            Validation::Legacy,
            Escaping::Underscores,
        ),
    ] {
        let config = load(&dir.join(name)).unwrap();
        let job = &config.scrape_configs[0];
        assert_eq!(
            job.metric_name_validation_scheme,
            Some(validation),
            "{name}"
        );
        assert_eq!(job.metric_name_escaping_scheme, Some(escaping), "{name}");
    }
}

#[test]
fn the_environment_reaches_external_labels() {
    let Some(dir) = folder("config") else { return };
    let labels = load(&dir.join("external_labels.good.yml"))
        .unwrap()
        .global
        .external_labels;
    let labels: Vec<_> = labels
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        labels,
        [
            ("bar", "foo"),
            ("baz", "fooTestValuebar"),
            ("foo", "TestValue"),
            ("qux", "foo${TEST}"),
            ("xyz", "foo$bar")
        ]
    );
}

#[test]
fn examples_load() {
    let Some(dir) = folder("examples") else {
        return;
    };
    for (name, path) in files(&dir, |name| {
        name.starts_with("prometheus") && name.ends_with(".yml")
    }) {
        match load(&path) {
            Err(error)
                if NEED_MORE_DISCOVERY.contains(&name.as_str()) && needs_more_discovery(&error) => {
            }
            outcome => drop(outcome.unwrap_or_else(|error| panic!("{error}"))),
        }
    }
    let web = WebConfig::load(&dir.join("web-config.yml")).unwrap();
    assert_eq!(web.basic_auth_users.len(), 2);
}

#[test]
fn rule_files_are_judged() {
    let Some(dir) = folder("rulefmt") else { return };
    for (name, path) in files(&dir, |name| name.ends_with(".yaml")) {
        let scheme = match name.starts_with("legacy") {
            true => NameScheme::Legacy,
            false => NameScheme::Utf8,
        };
        // Stands for the parser of queries, which this crate does not know.
        let expression = |text: &str| match text {
            "rate(hi)" => Err("expected type range vector".to_owned()),
            _ => Ok(()),
        };
        let checks = RuleChecks {
            scheme,
            expression: &expression,
            ..RuleChecks::default()
        };
        let outcome = RuleFile::load(&path, &checks);
        match outcome {
            Err(errors) if name.contains(".bad.") => println!("{}", errors[0]),
            Ok(_) if !name.contains(".bad.") => {}
            outcome => panic!("{name}: {outcome:?}"),
        }
    }
}

#[test]
fn rules_of_the_server_load() {
    let Some(dir) = folder("rules") else { return };
    for (name, path) in files(&dir, |name| name.ends_with(".yaml")) {
        let refused = match name.as_str() {
            "invalid_rules.yaml" => Some("unknown key \"unexpected_field\""),
            // Prometheus reads the first document and warns; a second one is a mistake here.
            "rules_multi_doc.yaml" => Some("multiple YAML documents"),
            _ => None,
        };
        match (RuleFile::load(&path, &RuleChecks::default()), refused) {
            (Ok(_), None) => {}
            (Err(errors), Some(words)) if errors[0].message().contains(words) => {}
            (outcome, _) => panic!("{name}: {outcome:?}"),
        }
    }
}
