//! The workload over remote write.

use headwater_tests::process::Server;
use headwater_tests::remote::{PROTOBUF, agent, post};
use headwater_wire::snappy;

use super::workload::{SERIES, STEP, exposed, target_labels, value};

/// Series with their labels as they go over the wire, so that the sender costs little.
pub(super) struct Series {
    target: usize,
    series: usize,
    labels: Vec<u8>,
}

/// The series of so many targets.
pub(super) fn series(targets: usize) -> Vec<Series> {
    let of_target = |target: usize| {
        (0..SERIES).map(move |series| Series {
            target,
            series,
            labels: encoded_labels(target, series),
        })
    };
    (0..targets).flat_map(of_target).collect()
}

fn encoded_labels(target: usize, series: usize) -> Vec<u8> {
    let (name, own) = exposed(series);
    let mut labels = vec![("__name__", name.to_owned())];
    labels.extend(own);
    labels.extend(target_labels(target));
    labels.sort();
    let mut out = Vec::new();
    for (name, value) in labels {
        let mut label = Vec::new();
        put_block(&mut label, 1, name.as_bytes());
        put_block(&mut label, 2, value.as_bytes());
        put_block(&mut out, 1, &label);
    }
    out
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_block(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push(field << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_sample(out: &mut Vec<u8>, time: i64, value: f64) {
    let mut sample = vec![0x09];
    sample.extend_from_slice(&value.to_le_bytes());
    sample.push(0x10);
    put_varint(&mut sample, time as u64);
    put_block(out, 2, &sample);
}

/// How a workload is cut into requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// Milliseconds of the first sample.
    pub(super) base: i64,
    /// Samples of every series.
    pub(super) samples: usize,
    /// Samples of a series in one request.
    pub(super) run: usize,
    /// Series in one request.
    pub(super) series: usize,
}

impl Plan {
    /// The end of the data.
    pub(super) fn end(&self) -> i64 {
        self.base + (self.samples as i64 - 1) * STEP
    }
}

/// Sends the workload, one request after the other.
pub(super) fn send(server: &Server, series: &[Series], plan: Plan) {
    let (url, client) = (format!("{}/api/v1/write", server.url), agent());
    let mut body = Vec::new();
    for first in (0..plan.samples).step_by(plan.run) {
        let positions = first..plan.samples.min(first + plan.run);
        for group in series.chunks(plan.series) {
            body.clear();
            for one in group {
                let mut message = one.labels.clone();
                for at in positions.clone() {
                    let time = plan.base + at as i64 * STEP;
                    put_sample(&mut message, time, value(one.target, one.series, at));
                }
                put_block(&mut body, 1, &message);
            }
            let answer = post(&client, &url, PROTOBUF, &snappy::compress(&body));
            assert!(
                answer.status / 100 == 2,
                "{}: {}",
                answer.status,
                answer.text()
            );
        }
    }
}
