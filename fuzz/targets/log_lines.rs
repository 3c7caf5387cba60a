//! Log lines through every stage of LogQL that reads them.
#![no_main]

use headwater_logql::Tail;
use headwater_model::Labels;
use libfuzzer_sys::fuzz_target;

const STAGES: [&str; 12] = [
    "| json",
    "| json a=\"x[0].y\", b=\"[1]\"",
    "| logfmt",
    "| logfmt --strict --keep-empty a, b=\"c\"",
    "| unpack | json",
    "| regexp \"(?P<a>.)(?P<b>.*)\"",
    "| pattern \"<a>=<b> <_>\"",
    "| decolorize | logfmt",
    "|= ip(\"10.0.0.0/8\") or ip(\"::/0\")",
    "|> \"<_>a<_>\" !~ \"(?i)b+\"",
    "| json | a > 5 or b = \"x\" | label_format c=a | drop b | keep c",
    "| line_format \"{{ __line__ | upper | trunc 5 | b64enc }} {{ fromJson __line__ }}\"",
];

fuzz_target!(|data: &[u8]| {
    let Some((choice, line)) = data.split_first() else { return };
    let stages = STAGES[*choice as usize % STAGES.len()];
    let stream = Labels::from_pairs([("app", "fuzz")]);
    let query = format!("{{app=\"fuzz\"}} {stages}");
    let mut tail = Tail::new(&query, choice % 2 == 0).expect("a log query");
    tail.process(&stream, 1, line, &Labels::empty());
});
