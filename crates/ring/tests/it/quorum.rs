//! Runs `tests/data/quorum.txt`.

use headwater_ring::{Desc, Instance, Operation, Ring, RingConfig, State};

const CASES: &str = include_str!("../data/quorum.txt");
const NOW: i64 = 10_000;

fn instance(words: &[&str]) -> Instance {
    let [state, zone, rest @ ..] = words else {
        panic!("a member needs state, zone and tokens: {words:?}");
    };
    let dead = rest.last() == Some(&"dead");
    let tokens = rest.iter().filter_map(|word| word.parse().ok());
    Instance {
        address: String::new(),
        zone: zone.trim_matches('-').to_owned(),
        state: State::from_name(state).expect("a state"),
        tokens: tokens.collect(),
        heartbeat: if dead { NOW - 1000 } else { NOW },
        ..Instance::default()
    }
}

fn ask(ring: &Ring, question: &str) -> String {
    let words: Vec<&str> = question.split_whitespace().collect();
    let set = match words[..] {
        ["all"] => ring.all(Operation::Read, NOW),
        [op, key] => {
            let op = match op {
                "write" => Operation::Write,
                "write-no-extend" => Operation::WriteNoExtend,
                "read" => Operation::Read,
                "reporting" => Operation::Reporting,
                other => panic!("unknown operation {other}"),
            };
            ring.get(key.parse().expect("a key"), op, NOW)
        }
        _ => panic!("bad question {question}"),
    };
    match set {
        Ok(set) => {
            let names: Vec<&str> = set.instances.iter().map(|(id, _)| id.as_str()).collect();
            format!("{} / {}", names.join(" "), set.needed())
        }
        Err(e) => e.to_string(),
    }
}

#[test]
fn cases() {
    let mut asked = 0;
    for case in CASES.split("\ncase ").skip(1) {
        let mut lines = case.lines();
        let name = lines.next().unwrap_or_default();
        let mut config = RingConfig::default();
        let mut desc = Desc::new();
        for line in lines.filter(|l| !l.trim().is_empty() && !l.starts_with('#')) {
            if let Some((question, want)) = line.split_once(" -> ") {
                let ring = Ring::new(&desc, config.clone());
                assert_eq!(ask(&ring, question), want, "{name}: {question}");
                asked += 1;
                continue;
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["rf", copies] => {
                    let copies = copies.parse().expect("a number");
                    config = config.with_replication_factor(copies);
                }
                ["zones"] => config = config.with_zone_awareness(true),
                [id, ref rest @ ..] => {
                    let mut member = instance(rest);
                    member.address = id.to_owned();
                    desc.instances.insert(id.to_owned(), member);
                }
                [] => {}
            }
        }
    }
    assert!(asked > 25, "only {asked} questions");
}

#[test]
fn ownership_adds_up() {
    let mut desc = Desc::new();
    for (id, tokens) in [("a", vec![0]), ("b", vec![1 << 30]), ("c", vec![1 << 31])] {
        let member = Instance {
            tokens,
            ..Instance::default()
        };
        desc.instances.insert(id.to_owned(), member);
    }
    let ring = Ring::new(&desc, RingConfig::default());
    assert_eq!(ring.ownership(), [0.5, 0.25, 0.25]);
}
