//! What clients send: the lines of one host, about 1 MiB at once, as Loki's protobuf in snappy.

use super::lines::{Dice, Form, HOSTS, PROGRAMS, RARE_HITS, REFUSED_HITS, Special, write_line};

/// Bytes of lines in one push.
const BATCH_BYTES: usize = 1 << 20;
/// 2026-01-01T12:00:00Z: the same on every run, so that lines and parts are the same too.
pub(crate) const START: i64 = 1_767_268_800 * SECOND;
/// Nanoseconds.
pub(crate) const SECOND: i64 = 1_000_000_000;
/// All lines lie in one hour.
pub(crate) const SPAN: i64 = 3600 * SECOND;
/// More lines than a push ever has: times within a round are spread over so many places.
const MOST_LINES: i64 = 8000;

/// How much there is: every host pushes once a round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) rounds: usize,
}

impl Plan {
    /// As many rounds as make about so many megabytes of lines.
    pub(crate) fn of_megabytes(megabytes: usize) -> Self {
        let rounds = (megabytes * 1_000_000).div_ceil(HOSTS * BATCH_BYTES);
        // Two rounds have room for every special line.
        Self {
            rounds: rounds.max(2),
        }
    }

    pub(crate) const fn batches(&self) -> usize {
        self.rounds * HOSTS
    }

    /// What is special in a batch: programs of JSON and logfmt each have one line for it.
    fn special(&self, batch: usize, program: usize) -> Special {
        let hit = |hits: usize| (0..hits).any(|at| at * self.batches() / hits == batch);
        match program {
            2 if hit(RARE_HITS) => Special::RareWord,
            5 if hit(REFUSED_HITS) => Special::Refused,
            _ => Special::None,
        }
    }

    /// The lines of push number `batch`: that of host `batch % HOSTS` in round `batch / HOSTS`.
    pub(crate) fn batch(&self, batch: usize) -> Batch {
        let (host, round) = (batch % HOSTS, batch / HOSTS);
        let round_span = SPAN / self.rounds as i64;
        let start = START + round as i64 * round_span;
        let mut dice = Dice::new((batch as u64) << 32);
        let mut programs: Vec<Vec<(i64, String)>> = vec![Vec::new(); PROGRAMS.len()];
        let (mut bytes, mut number) = (0, 0);
        while bytes < BATCH_BYTES {
            let program = number % PROGRAMS.len();
            let special = match number / PROGRAMS.len() {
                1 => self.special(batch, program),
                _ => Special::None,
            };
            let jitter = (dice.next() % 10_000) as i64;
            let time = start + number as i64 * (round_span / MOST_LINES) + jitter;
            let mut line = String::with_capacity(280);
            write_line(&mut line, PROGRAMS[program].1, time, &mut dice, special);
            bytes += line.len();
            programs[program].push((time, line));
            number += 1;
        }
        Batch { host, programs }
    }
}

/// One push: the lines of each program of a host.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Batch {
    host: usize,
    pub(crate) programs: Vec<Vec<(i64, String)>>,
}

impl Batch {
    /// All lines.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &(i64, String)> {
        self.programs.iter().flatten()
    }

    /// Bytes of all lines.
    pub(crate) fn bytes(&self) -> usize {
        self.lines().map(|(_, line)| line.len()).sum()
    }

    /// The body of a push: `logproto.PushRequest` in a block of snappy.
    pub(crate) fn body(&self) -> Vec<u8> {
        let (mut request, mut stream, mut entry) = (Vec::new(), Vec::new(), Vec::new());
        for (program, lines) in self.programs.iter().enumerate() {
            stream.clear();
            put_bytes(&mut stream, 1, labels(self.host, program).as_bytes());
            for (time, line) in lines {
                entry.clear();
                let mut timestamp = Vec::new();
                put_number(&mut timestamp, 1, (time / SECOND) as u64);
                put_number(&mut timestamp, 2, (time % SECOND) as u64);
                put_bytes(&mut entry, 1, &timestamp);
                put_bytes(&mut entry, 2, line.as_bytes());
                put_bytes(&mut stream, 2, &entry);
            }
            put_bytes(&mut request, 1, &stream);
        }
        snap::raw::Encoder::new()
            .compress_vec(&request)
            .expect("snappy takes bodies of 1 MiB")
    }
}

fn labels(host: usize, program: usize) -> String {
    let (name, form): (&str, Form) = PROGRAMS[program];
    format!(
        "{{app=\"{name}\", env=\"prod\", format=\"{}\", host=\"host-{host:02}\"}}",
        form.name()
    )
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_number(out: &mut Vec<u8>, field: u64, value: u64) {
    put_varint(out, field << 3);
    put_varint(out, value);
}

fn put_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_varint(out, field << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::super::lines::{ABSENT, RARE_WORD};
    use super::*;

    #[test]
    fn lines_are_the_same_on_every_run_and_hold_what_the_questions_ask_for() {
        let plan = Plan::of_megabytes(40);
        assert_eq!(plan.batch(7), plan.batch(7));
        let (mut rare, mut refused, mut lines, mut bytes) = (0, 0, 0, 0);
        for number in 0..plan.batches() {
            let batch = plan.batch(number);
            for program in &batch.programs {
                assert!(
                    program.is_sorted_by_key(|(time, _)| *time),
                    "batch {number}"
                );
            }
            let end = START + (number / HOSTS + 1) as i64 * (SPAN / plan.rounds as i64);
            assert!(
                batch.lines().all(|(time, _)| *time < end),
                "batch {number} ends in its round"
            );
            lines += batch.lines().count();
            bytes += batch.bytes();
            rare += batch
                .lines()
                .filter(|(_, line)| line.contains(RARE_WORD))
                .count();
            refused += batch
                .lines()
                .filter(|(_, line)| line.contains(" refused: card "))
                .count();
            assert!(batch.lines().all(|(_, line)| !line.contains(ABSENT)));
        }
        assert_eq!((rare, refused), (RARE_HITS, REFUSED_HITS));
        assert!(
            (190..230).contains(&(bytes / lines)),
            "{} bytes a line",
            bytes / lines
        );
    }
}
