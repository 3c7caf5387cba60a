//! Everything in a store, as text.

use std::collections::BTreeMap;

use headwater_model::number::format_float_go;
use headwater_model::{Labels, SeriesColumns, TimeRange, is_stale_nan};
use headwater_storage::{Select, SelectRequest, block_on};

use super::Outcome;
use crate::Db;

/// Where FNV-1a with 64 bits begins.
const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// The samples of every series: time and value, in order.
pub(super) type Samples = BTreeMap<Labels, Vec<(i64, String)>>;

/// What recordings say of a series.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) floats: u64,
    pub(super) histograms: u64,
    pub(super) float_histograms: u64,
    pub(super) stale_markers: u64,
    pub(super) min_time: i64,
    pub(super) max_time: i64,
    /// Over times and values of the floats.
    pub(super) floats_hash: u64,
    /// Over times and start timestamps of samples that have one.
    pub(super) starts_hash: u64,
}

/// Reads every series of a store; answers its warnings.
pub(super) fn walk(db: &Db, mut visit: impl FnMut(Labels, &SeriesColumns)) -> Outcome<Vec<String>> {
    let request = SelectRequest::new(Vec::new(), TimeRange::ALL);
    let mut cursor = block_on(db.select(request)).map_err(|e| e.to_string())?;
    let mut columns = SeriesColumns::default();
    while let Some(labels) = cursor.advance().map_err(|e| e.to_string())? {
        cursor.read(&mut columns).map_err(|e| e.to_string())?;
        if !columns.is_empty() {
            visit(labels, &columns);
        }
    }
    Ok(cursor.take_warnings())
}

/// All samples of a store, and its warnings.
pub(super) fn all(db: &Db) -> Outcome<(Samples, Vec<String>)> {
    let mut out = Samples::new();
    let warnings = walk(db, |labels, columns| {
        out.insert(labels, texts(columns));
    })?;
    Ok((out, warnings))
}

pub(super) fn count(samples: &Samples) -> usize {
    samples.values().map(Vec::len).sum()
}

/// Samples as `promtool tsdb dump` prints them, in the order of their times.
fn texts(columns: &SeriesColumns) -> Vec<(i64, String)> {
    let floats = columns.floats.times.iter().zip(&columns.floats.values);
    let mut out: Vec<(i64, String)> = floats
        .map(|(time, value)| (*time, format_float_go(*value)))
        .collect();
    let histograms = &columns.histograms;
    for (at, time) in histograms.times().iter().enumerate() {
        out.push((*time, histograms.get(at).to_float().to_string()));
    }
    out.sort_by_key(|(time, _)| *time);
    out
}

impl Facts {
    pub(super) fn of(columns: &SeriesColumns) -> Facts {
        let (floats, histograms) = (&columns.floats, &columns.histograms);
        let each = || (0..histograms.len()).map(|at| histograms.get(at));
        let stale_floats = floats.values.iter().filter(|v| is_stale_nan(**v)).count();
        let stale_histograms = each().filter(|h| h.is_stale()).count();
        let integers = each()
            .filter(|h| matches!(h, headwater_model::HistogramRef::Integer(_)))
            .count();
        let times = || floats.times.iter().chain(histograms.times()).copied();
        Facts {
            floats: floats.len() as u64,
            histograms: integers as u64,
            float_histograms: (histograms.len() - integers) as u64,
            stale_markers: (stale_floats + stale_histograms) as u64,
            min_time: times().min().unwrap_or(i64::MAX),
            max_time: times().max().unwrap_or(i64::MIN),
            floats_hash: floats_hash(columns),
            starts_hash: starts_hash(columns),
        }
    }

    pub(super) fn recorded(series: &serde_json::Value) -> Outcome<Facts> {
        let number = |name: &str| {
            series[name]
                .as_u64()
                .ok_or_else(|| format!("{name} is no number in {series}"))
        };
        let time = |name: &str| {
            series[name]
                .as_i64()
                .ok_or_else(|| format!("{name} is no time in {series}"))
        };
        let hash = |name: &str| match series[name].as_str() {
            Some(hash) => u64::from_str_radix(hash, 16).map_err(|e| format!("{name}: {e}")),
            None => Ok(FNV_START),
        };
        Ok(Facts {
            floats: number("floats")?,
            histograms: number("histograms")?,
            float_histograms: number("float_histograms")?,
            stale_markers: number("stale_markers")?,
            min_time: time("min_time")?,
            max_time: time("max_time")?,
            floats_hash: hash("float_fnv1a64")?,
            starts_hash: hash("start_timestamp_fnv1a64")?,
        })
    }
}

fn fnv(hash: u64, bytes: [u8; 8]) -> u64 {
    bytes.into_iter().fold(hash, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

fn floats_hash(columns: &SeriesColumns) -> u64 {
    let floats = &columns.floats;
    let samples = floats.times.iter().zip(&floats.values);
    samples.fold(FNV_START, |hash, (time, value)| {
        fnv(fnv(hash, time.to_le_bytes()), value.to_bits().to_le_bytes())
    })
}

fn starts_hash(columns: &SeriesColumns) -> u64 {
    let (floats, histograms) = (&columns.floats, &columns.histograms);
    let of_floats = floats.times.iter().zip(&floats.starts);
    let of_histograms =
        (0..histograms.len()).map(|at| (histograms.times()[at], histograms.start(at)));
    let mut starts: Vec<(i64, i64)> = of_floats
        .map(|(time, start)| (*time, *start))
        .chain(of_histograms)
        .filter(|(_, start)| *start != 0)
        .collect();
    starts.sort_unstable();
    starts.iter().fold(FNV_START, |hash, (time, start)| {
        fnv(fnv(hash, time.to_le_bytes()), start.to_le_bytes())
    })
}
