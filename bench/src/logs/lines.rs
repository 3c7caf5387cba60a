//! What the programs print: JSON, logfmt and access logs, the same on every run.
//!
//! Twenty hosts run ten programs each, which makes 200 streams. A line depends only on host, program
//! and position, so every server gets the same bytes, and what a question must find is known.

use std::fmt::Write;

/// Hosts; each sends the lines of its own programs.
pub(crate) const HOSTS: usize = 20;
/// Programs of a host: name and how it writes.
pub(crate) const PROGRAMS: [(&str, Form); 10] = [
    ("checkout", Form::Json),
    ("catalog", Form::Json),
    ("accounts", Form::Json),
    ("search", Form::Json),
    ("scheduler", Form::Logfmt),
    ("billing", Form::Logfmt),
    ("mailer", Form::Logfmt),
    ("indexer", Form::Logfmt),
    ("frontend", Form::Access),
    ("assets", Form::Access),
];

/// How a program writes its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Logfmt,
    Access,
}

impl Form {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Logfmt => "logfmt",
            Self::Access => "access",
        }
    }
}

/// A word that [`RARE_HITS`] lines of the whole workload hold: the id of a request.
pub(crate) const RARE_WORD: &str = "7d1f9a03c5e24b68";
/// Lines with the rare word.
pub(crate) const RARE_HITS: usize = 20;
/// Part of an id that no line holds.
pub(crate) const ABSENT: &str = "c0ffee5a9d42";
/// What the regular expression of the questions finds.
pub(crate) const REFUSED: &str = "payment [0-9]+ refused: card (expired|stolen)";
/// Lines that [`REFUSED`] finds.
pub(crate) const REFUSED_HITS: usize = 22;

/// What is special about a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Special {
    None,
    RareWord,
    Refused,
}

/// Repeatable numbers.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Splitmix64.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Small numbers are frequent, large ones rare.
    fn skewed(&mut self, limit: u64) -> u64 {
        self.below(limit).min(self.below(limit))
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.skewed(choices.len() as u64) as usize]
    }
}

const LEVELS: [&str; 4] = ["info", "debug", "warn", "error"];
const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];
const STATUSES: [u16; 8] = [200, 204, 201, 304, 404, 400, 503, 500];
const PATHS: [&str; 6] = [
    "orders", "products", "users", "carts", "sessions", "reviews",
];
const MESSAGES: [&str; 7] = [
    "request completed",
    "cache miss, asking the store",
    "retrying after a timeout",
    "upstream answered late",
    "validated the order of the customer",
    "connection returned to the pool",
    "error while reading the answer of the payment provider",
];
const COMPONENTS: [&str; 8] = [
    "queue", "worker", "lease", "store", "gateway", "planner", "cron", "metrics",
];
const TASKS: [&str; 8] = [
    "task finished",
    "task started",
    "lease renewed",
    "batch written to the store",
    "slow consumer, waiting for room",
    "error: deadline exceeded, giving up",
    "nothing to do, sleeping",
    "offsets committed",
];
const AGENTS: [&str; 6] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
    "curl/8.5.0",
    "kube-probe/1.30",
    "Mozilla/5.0 (compatible; Bot/2.1; +http://www.example.com/bot.html)",
];

/// Writes the line of a program at `time` (nanoseconds), without a line feed.
pub(crate) fn write_line(
    out: &mut String,
    form: Form,
    time: i64,
    dice: &mut Dice,
    special: Special,
) {
    let written = match form {
        Form::Json => json(out, time, dice, special),
        Form::Logfmt => logfmt(out, time, dice, special),
        Form::Access => access(out, time, dice),
    };
    written.expect("a String takes every write");
}

/// `2026-01-01T13:07:09.042` for a time on that day.
fn clock(out: &mut String, time: i64, separator: char) -> std::fmt::Result {
    let millis = time.div_euclid(1_000_000).rem_euclid(86_400_000);
    let (seconds, millis) = (millis / 1000, millis % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match separator {
        ':' => write!(out, "01/Jan/2026:{hour:02}:{minute:02}:{second:02} +0000"),
        _ => write!(
            out,
            "2026-01-01T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"
        ),
    }
}

fn json(out: &mut String, time: i64, dice: &mut Dice, special: Special) -> std::fmt::Result {
    out.push_str("{\"ts\":\"");
    clock(out, time, 'T')?;
    let (level, message) = (dice.of(&LEVELS), dice.of(&MESSAGES));
    write!(
        out,
        "\",\"level\":\"{level}\",\"msg\":\"{message}\",\"method\":\"{}\"",
        dice.of(&METHODS)
    )?;
    write!(
        out,
        ",\"path\":\"/api/v1/{}/{}\"",
        dice.of(&PATHS),
        dice.below(1_000_000)
    )?;
    write!(
        out,
        ",\"status\":{},\"duration\":{}.{}",
        STATUSES[dice.skewed(8) as usize],
        dice.below(2000),
        dice.below(10)
    )?;
    write!(
        out,
        ",\"bytes\":{},\"user\":\"u{}\"",
        dice.below(100_000),
        dice.below(100_000)
    )?;
    match special {
        Special::RareWord => write!(out, ",\"trace_id\":\"{RARE_WORD}\"")?,
        _ => write!(out, ",\"trace_id\":\"{:016x}\"", dice.next())?,
    }
    write!(out, ",\"span_id\":\"{:016x}\"}}", dice.next())
}

fn logfmt(out: &mut String, time: i64, dice: &mut Dice, special: Special) -> std::fmt::Result {
    out.push_str("ts=");
    clock(out, time, 'T')?;
    let (level, component) = (dice.of(&LEVELS), dice.of(&COMPONENTS));
    write!(
        out,
        " level={level} component={component} caller={component}.go:{}",
        20 + 7 * dice.skewed(40)
    )?;
    match special {
        Special::Refused => {
            let why = if dice.below(2) == 0 {
                "expired"
            } else {
                "stolen"
            };
            write!(
                out,
                " msg=\"payment {} refused: card {why}\"",
                dice.below(100_000)
            )?;
        }
        _ => write!(out, " msg=\"{}\"", dice.of(&TASKS))?,
    }
    write!(
        out,
        " task=task-{} duration={}.{}ms",
        dice.below(1_000_000),
        dice.skewed(900),
        dice.below(100)
    )?;
    write!(
        out,
        " attempt={} queue=q{} pending={} id={:012x}",
        1 + dice.skewed(4),
        dice.skewed(12),
        dice.skewed(500),
        dice.next() >> 16
    )
}

fn access(out: &mut String, time: i64, dice: &mut Dice) -> std::fmt::Result {
    let network = dice.skewed(250);
    write!(
        out,
        "10.{}.{}.{} - - [",
        network,
        dice.skewed(250),
        dice.below(250)
    )?;
    clock(out, time, ':')?;
    write!(
        out,
        "] \"{} /{}/{}",
        dice.of(&METHODS),
        dice.of(&PATHS),
        dice.below(1_000_000)
    )?;
    write!(
        out,
        " HTTP/1.1\" {} {}",
        STATUSES[dice.skewed(8) as usize],
        dice.below(100_000)
    )?;
    write!(
        out,
        " \"https://shop.example.com/{}\" \"{}\"",
        dice.of(&PATHS),
        dice.of(&AGENTS)
    )?;
    write!(out, " {}.{:03}", dice.skewed(4), dice.below(1000))
}
