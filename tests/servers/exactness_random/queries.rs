//! Queries from a seed, of what both versions answer alike.

use super::data::{BASE, Numbers, SPAN};

/// What may stand in an expression.
#[derive(Clone, Copy)]
struct Room {
    depth: u32,
    /// Only values without rounding: what follows compares them or cuts them.
    exact: bool,
    /// Within a subquery, which has no other one inside: their steps would meet its ends.
    nested: bool,
}

impl Room {
    fn below(self) -> Self {
        Self {
            depth: self.depth - 1,
            ..self
        }
    }

    fn exact(self) -> Self {
        Self {
            exact: true,
            ..self.below()
        }
    }
}

/// A query: mostly a vector, sometimes a scalar.
pub(super) fn expression(numbers: &mut Numbers, depth: u32) -> String {
    let room = Room {
        depth,
        exact: false,
        nested: false,
    };
    if numbers.below(12) == 0 {
        scalar(numbers, room)
    } else {
        vector(numbers, room)
    }
}

/// A selector without modifiers.
pub(super) fn matchers_only(numbers: &mut Numbers) -> String {
    let name = numbers.pick(&[
        "requests_total",
        "latency_bucket",
        "temperature",
        "{__name__=~\"l.+\"}",
        "{__name__!=\"wild\",instance!=\"\"}",
        "{note!=\"\"}",
        "nothing",
    ]);
    if name.starts_with('{') {
        return name.to_owned();
    }
    format!("{name}{}", matchers(numbers))
}

fn matchers<'a>(numbers: &mut Numbers) -> &'a str {
    numbers.pick(&[
        "",
        "",
        "{instance=\"a:1\"}",
        "{instance!=\"a:1\"}",
        "{instance=~\"a.*|b:1\"}",
        "{instance!~\"(?i)A:.\"}",
        "{code=~\"[245]0.\",instance=~\".+\"}",
        "{code=\"\"}",
        "{room=~\"at.*|\"}",
    ])
}

fn name<'a>(numbers: &mut Numbers, finite: bool) -> &'a str {
    let names = [
        "requests_total",
        "requests_total",
        "temperature",
        "temperature",
        "latency_bucket",
        "latency_count",
        "build_info",
        "flapping",
        "late",
        "texts",
        "wild",
    ];
    numbers.pick(&names[..names.len() - usize::from(finite)])
}

fn modifiers(numbers: &mut Numbers) -> String {
    let at = BASE + numbers.below(SPAN);
    match numbers.below(10) {
        0 => format!(" offset {}", duration(numbers)),
        1 => format!(" offset -{}", duration(numbers)),
        2 => format!(" @ {at}.5"),
        3 => format!(" @ {at}.5 offset {}", duration(numbers)),
        4 => format!(" offset {} @ end()", duration(numbers)),
        5 => " @ start()".to_owned(),
        _ => String::new(),
    }
}

fn duration<'a>(numbers: &mut Numbers) -> &'a str {
    numbers.pick(&["20s", "47s", "1m", "2m30s", "5m", "11m"])
}

/// A range of a counter: rates of what falls below zero and comes back are cut otherwise by now.
fn counter_range(numbers: &mut Numbers) -> String {
    let name = numbers.pick(&["requests_total", "latency_bucket", "latency_count"]);
    let (matchers, window) = (matchers(numbers), duration(numbers));
    format!("{name}{matchers}[{window}]{}", modifiers(numbers))
}

/// `requests_total{...}` with the word between it and its modifiers.
fn selector(numbers: &mut Numbers, finite: bool, range: &str) -> String {
    let (name, matchers) = (name(numbers, finite), matchers(numbers));
    format!("{name}{matchers}{range}{}", modifiers(numbers))
}

fn range(numbers: &mut Numbers, room: Room, finite: bool) -> String {
    if room.depth > 0 && !room.nested && numbers.below(4) == 0 {
        // Always some steps: what is pinned has a value even where there are none.
        let window = numbers.pick(&["2m30s", "5m", "11m"]);
        let step = numbers.pick(&["", "10s", "23s", "1m"]);
        let inner = Room {
            nested: true,
            exact: true,
            ..room.below()
        };
        let inner = vector(numbers, inner);
        return format!("({inner})[{window}:{step}]{}", modifiers(numbers));
    }
    let window = duration(numbers);
    selector(numbers, finite, &format!("[{window}]"))
}

fn grouping<'a>(numbers: &mut Numbers) -> &'a str {
    numbers.pick(&[
        "",
        "",
        " by (instance)",
        " by (code, room)",
        " by (nothing, instance)",
        " by ()",
        " without (instance)",
        " without (code, le)",
        " without ()",
    ])
}

fn vector(numbers: &mut Numbers, room: Room) -> String {
    if room.depth == 0 {
        let finite = room.exact || numbers.below(4) > 0;
        return selector(numbers, finite, "");
    }
    match numbers.below(20) {
        0..5 => over_time(numbers, room),
        5..9 => aggregation(numbers, room),
        9 | 10 => with_number(numbers, room),
        11..14 => binary(numbers, room),
        14 | 15 => elementwise(numbers, room),
        16 => relabelled(numbers, room),
        17 => absent(numbers, room),
        18 if !room.exact => histogram(numbers, room),
        _ => format!("vector({})", scalar(numbers, room.below())),
    }
}

fn over_time(numbers: &mut Numbers, room: Room) -> String {
    let exact = [
        "idelta",
        "changes",
        "resets",
        "sum_over_time",
        "min_over_time",
        "max_over_time",
        "count_over_time",
        "last_over_time",
        "present_over_time",
    ];
    let rounded = ["irate", "delta", "deriv", "avg_over_time"];
    if room.exact || numbers.below(2) == 0 {
        let function = numbers.pick(&exact);
        return format!("{function}({})", range(numbers, room, room.exact));
    }
    match numbers.below(11) {
        0 => {
            let quantile = numbers.pick(&["0", "0.3", "0.5", "1", "-1", "2", "NaN"]);
            let range = range(numbers, room, true);
            format!("quantile_over_time({quantile}, {range})")
        }
        // A pinned range loses its samples from step to step in the old version.
        1 => {
            let (name, matchers) = (name(numbers, true), matchers(numbers));
            let (window, ahead) = (duration(numbers), numbers.below(600));
            format!("predict_linear({name}{matchers}[{window}], {ahead})")
        }
        2 => {
            let function = numbers.pick(&["stddev_over_time", "stdvar_over_time"]);
            format!("{function}({})", range(numbers, room, true))
        }
        3..6 => {
            let function = numbers.pick(&["rate", "increase"]);
            format!("{function}({})", counter_range(numbers))
        }
        _ => {
            let function = numbers.pick(&rounded);
            format!("{function}({})", range(numbers, room, true))
        }
    }
}

fn aggregation(numbers: &mut Numbers, room: Room) -> String {
    let by = grouping(numbers);
    let exact = vector(numbers, room.exact());
    match numbers.below(if room.exact { 5 } else { 9 }) {
        0 => format!("count_values{by} (\"value\", {exact})"),
        1 => {
            // Which of equal ones are taken is nobody's business; how much they are is.
            let operator = numbers.pick(&["topk", "bottomk"]);
            let count = numbers.below(4);
            let inner = Room {
                depth: 0,
                exact: true,
                ..room
            };
            let inner = vector(numbers, inner);
            format!("sum ({operator}{by} ({count}, {inner}))")
        }
        2..5 => {
            let operator = numbers.pick(&["sum", "min", "max", "count", "group"]);
            format!("{operator}{by} ({exact})")
        }
        5 => {
            let quantile = numbers.pick(&["0", "0.25", "0.5", "1", "-0.5", "1.5", "NaN"]);
            format!("quantile{by} ({quantile}, {exact})")
        }
        6 => {
            // Of finite values only.
            let operator = numbers.pick(&["stddev", "stdvar"]);
            format!("{operator}{by} ({})", selector(numbers, true, ""))
        }
        _ => {
            let operator = numbers.pick(&["sum", "avg", "min", "max", "count", "group"]);
            format!("{operator}{by} ({})", vector(numbers, room.below()))
        }
    }
}

fn with_number(numbers: &mut Numbers, room: Room) -> String {
    let exact = vector(numbers, room.exact());
    let scalar = scalar(numbers, room.exact());
    let operator = match room.exact {
        true => numbers.pick(&["+", "-", ">", "<= bool", "==", "!=", ">= bool", "<"]),
        false => numbers.pick(&["*", "/", "%", "^", "+", "-", ">", "== bool", "<"]),
    };
    match numbers.below(2) {
        0 => format!("({exact} {operator} {scalar})"),
        _ => format!("({scalar} {operator} {exact})"),
    }
}

fn binary(numbers: &mut Numbers, room: Room) -> String {
    let (lhs, rhs) = (vector(numbers, room.exact()), vector(numbers, room.exact()));
    let matching = numbers.pick(&[
        "",
        "",
        "on (instance)",
        "on ()",
        "ignoring (code)",
        "ignoring (code, room, le, version)",
        "on (instance, code)",
    ]);
    let group = match matching {
        "" => "",
        _ => numbers.pick(&[
            "",
            "group_left ()",
            "group_right ()",
            "group_left (version)",
            "group_right (code, nothing)",
        ]),
    };
    if numbers.below(3) == 0 {
        let operator = numbers.pick(&["and", "or", "unless"]);
        return format!("({lhs} {operator} {matching} {rhs})");
    }
    let operator = match room.exact {
        true => numbers.pick(&["+", "-", "> bool", "==", "!= bool", "<"]),
        false => numbers.pick(&["+", "-", "*", "/", "%", "^", ">", "<= bool", "=="]),
    };
    format!("({lhs} {operator} {matching} {group} {rhs})")
}

fn elementwise(numbers: &mut Numbers, room: Room) -> String {
    let cutting = [
        "abs",
        "ceil",
        "floor",
        "round",
        "sgn",
        "hour",
        "day_of_week",
        "minute",
        "month",
        "year",
        "days_in_month",
        "-",
        "+",
        "sort",
        "sort_desc",
    ];
    let smooth = [
        "exp", "ln", "log2", "log10", "sqrt", "sin", "cos", "atan", "tanh", "asinh", "deg", "rad",
    ];
    if room.exact || numbers.below(2) == 0 {
        let inner = vector(numbers, room.exact());
        return match numbers.below(6) {
            0 => format!("clamp({inner}, -8, {})", scalar(numbers, room.exact())),
            1 => format!("clamp_min({inner}, {})", numbers.below(1000)),
            // Of a pinned selector, the original forgets the offset.
            5 if !room.exact => {
                let (name, matchers) = (name(numbers, false), matchers(numbers));
                format!("timestamp({name}{matchers} offset {})", duration(numbers))
            }
            2 => format!("round({inner}, {})", numbers.pick(&["0.5", "10", "-3"])),
            _ => format!("{}({inner})", numbers.pick(&cutting)),
        };
    }
    let function = numbers.pick(&smooth);
    format!("{function}({})", vector(numbers, room.exact()))
}

fn relabelled(numbers: &mut Numbers, room: Room) -> String {
    let inner = vector(numbers, room.below());
    let target = numbers.pick(&["code", "new", "instance", "__name__"]);
    let source = numbers.pick(&["instance", "code", "nothing", "__name__"]);
    match numbers.below(2) {
        0 => format!("label_join({inner}, \"{target}\", \"-\", \"{source}\", \"room\")"),
        _ => {
            let replacement = numbers.pick(&["$1", "x$1", "", "${1}$2", "a"]);
            let pattern = numbers.pick(&["(.*)", "(a).*", "([^:]*):(.*)", "", "(.+)"]);
            format!(
                "label_replace({inner}, \"{target}\", \"{replacement}\", \"{source}\", \"{pattern}\")"
            )
        }
    }
}

fn absent(numbers: &mut Numbers, room: Room) -> String {
    match numbers.below(2) {
        0 => format!("absent({})", vector(numbers, room.below())),
        _ => format!("absent_over_time({})", range(numbers, room, false)),
    }
}

fn histogram(numbers: &mut Numbers, room: Room) -> String {
    let quantile = numbers.pick(&["0", "0.1", "0.5", "0.99", "1", "-1", "2", "NaN"]);
    let window = numbers.pick(&["1m", "5m"]);
    let when = modifiers(numbers);
    let buckets = match numbers.below(3) {
        0 => format!("sum by (le) (rate(latency_bucket[{window}]{when}))"),
        1 => format!("increase(latency_bucket[{window}]{when})"),
        _ => vector(numbers, Room { depth: 0, ..room }),
    };
    format!("histogram_quantile({quantile}, {buckets})")
}

fn scalar(numbers: &mut Numbers, room: Room) -> String {
    match numbers.below(if room.depth == 0 { 4 } else { 7 }) {
        0 => numbers.below(500).to_string(),
        1 => numbers
            .pick(&["-3", "0.5", "1e3", "0x1F", "Inf", "-Inf", "NaN", "-0"])
            .to_owned(),
        2 => format!("{}.25", numbers.below(9)),
        3 => "time()".to_owned(),
        4 => format!("scalar({})", vector(numbers, room.exact())),
        5 => {
            let operator = numbers.pick(&["+", "-", "*", "> bool", "== bool", "<= bool"]);
            let (lhs, rhs) = (scalar(numbers, room.below()), scalar(numbers, room.below()));
            format!("({lhs} {operator} {rhs})")
        }
        _ => format!("-{}", scalar(numbers, room.below())),
    }
}
