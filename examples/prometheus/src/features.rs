//! What this server can do, as `/api/v1/features` lists it for clients that adapt to it.

use std::collections::BTreeMap;

use headwater_api_prometheus::Features;
use headwater_promql::FUNCTIONS;

/// Operators and aggregations of the stable language.
const OPERATORS: &str = "!= !~ % * + - / < </ <= == =~ > >/ >= @ ^ and atan2 avg bottomk count count_values group max min or quantile \
     stddev stdvar sum topk unless";
/// Parts of the stable language.
const LANGUAGE: &str = "at_modifier bool by duration_expr group_left group_right ignoring negative_offset offset on \
     per_query_lookback_delta subqueries without";
/// Mechanisms of discovery that are built in.
const DISCOVERY: &str = "dns file http static";

/// All groups, given the features that were switched on.
pub(crate) fn features(switched_on: &[String]) -> Features {
    let on = |name: &str| switched_on.iter().any(|feature| feature == name);
    let experimental = on("promql-experimental-functions");
    let functions = FUNCTIONS
        .iter()
        .map(|function| {
            (
                function.name.to_owned(),
                experimental || !function.experimental,
            )
        })
        .collect();
    let operators = group(
        OPERATORS,
        &[("limitk", experimental), ("limit_ratio", experimental)],
    );
    let fills = on("promql-binop-fill-modifiers");
    let ranges = on("promql-extended-range-selectors");
    let language = [
        ("anchored", ranges),
        ("delayed_name_removal", on("promql-delayed-name-removal")),
        ("fill", fills),
        ("fill_left", fills),
        ("fill_right", fills),
        ("per_step_stats", on("promql-per-step-stats")),
        ("smoothed", ranges),
        ("type_and_unit_labels", on("type-and-unit-labels")),
    ];
    let scrape = [
        ("extra_scrape_metrics", true),
        ("start_timestamp_zero_ingestion", false),
        ("type_and_unit_labels", false),
    ];
    let tsdb = [
        ("delayed_compaction", false),
        ("exemplar_storage", on("exemplar-storage")),
        ("histograms_st_encoding", on("histograms-st-encoding")),
        ("isolation", true),
        ("native_histograms", true),
        ("st_storage", on("st-storage")),
        ("use_uncached_io", false),
        ("xor2_encoding", true),
    ];
    let server = [
        ("agent_mode", false),
        ("auto_reload_config", on("auto-reload-config")),
        ("server_mode", true),
    ];
    let groups = [
        ("promql_functions", functions),
        ("promql_operators", operators),
        ("promql", group(LANGUAGE, &language)),
        ("scrape", group("", &scrape)),
        ("service_discovery_providers", group(DISCOVERY, &[])),
        ("tsdb", group("", &tsdb)),
        ("prometheus", group("", &server)),
    ];
    groups
        .into_iter()
        .map(|(name, features)| (name.to_owned(), features))
        .collect()
}

/// Names that are always on, and others with whether they are.
fn group(always: &str, switches: &[(&str, bool)]) -> BTreeMap<String, bool> {
    let always = always.split_whitespace().map(|name| (name, true));
    always
        .chain(switches.iter().copied())
        .map(|(name, on)| (name.to_owned(), on))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::features;

    #[test]
    fn switches_show() {
        let plain = features(&[]);
        let experimental = features(&["promql-experimental-functions".to_owned()]);
        assert_eq!(
            (
                plain["promql_functions"]["info"],
                experimental["promql_functions"]["info"]
            ),
            (false, true)
        );
        assert_eq!(
            (
                plain["promql_operators"]["limitk"],
                experimental["promql_operators"]["limitk"]
            ),
            (false, true)
        );
        assert!(plain["promql_functions"]["rate"] && plain["service_discovery_providers"]["file"]);
    }
}
