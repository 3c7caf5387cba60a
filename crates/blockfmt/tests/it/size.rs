//! How small chunks of floats are, on data that real servers scraped.

use headwater_blockfmt::{
    EncodeOptions, Encoding, Xor2Appender, XorAppender, chunk, encode_columns_with,
};
use headwater_model::{FloatColumn, STALE_NAN_BITS, SeriesColumns, TimeRange};

use crate::blocks::blocks;
use crate::corpora::data_directories;

/// The significant bits of a difference: leading zeros, as far as the format
/// counts them, and trailing ones.
fn window(difference: u64) -> (u32, u32) {
    (
        difference.leading_zeros().min(31),
        difference.trailing_zeros(),
    )
}

fn width((leading, trailing): (u32, u32)) -> u32 {
    64 - leading - trailing
}

fn holds(outer: (u32, u32), inner: (u32, u32)) -> bool {
    outer.0 <= inner.0 && outer.1 <= inner.1
}

/// Bits that an XOR2 writer chooses: the windows of values. Everything else is
/// fixed by the samples. Answers what the usual rule takes (go on with a window
/// that fits) and what no choice can be below.
fn window_bits(floats: &FloatColumn) -> (u32, u32) {
    let mut needed = Vec::new();
    let mut before = 0u64;
    let mut delta = 0;
    for (at, value) in floats
        .values
        .iter()
        .map(|value| value.to_bits())
        .enumerate()
    {
        let step = if at == 0 {
            0
        } else {
            floats.times[at] - floats.times[at - 1]
        };
        let even = at > 1 && step == delta;
        delta = step;
        if value == STALE_NAN_BITS {
            continue;
        }
        // Where time goes on evenly, one bit more says which window it is.
        if at > 0 && value != before {
            let (again, anew) = if even { (1, 1 + 11) } else { (2, 3 + 11) };
            needed.push((window(value ^ before), again, anew));
        }
        before = value;
    }
    (usual(&needed), least(&needed))
}

type Needed = ((u32, u32), u32, u32);

fn usual(needed: &[Needed]) -> u32 {
    let mut current = None;
    let mut bits = 0;
    for (inner, again, anew) in needed {
        match current {
            Some(outer) if holds(outer, *inner) => bits += again + width(outer),
            _ => {
                bits += anew + width(*inner);
                current = Some(*inner);
            }
        }
    }
    bits
}

/// The cheapest way through all windows that could be of use.
fn least(needed: &[Needed]) -> u32 {
    let mut leading: Vec<u32> = needed.iter().map(|n| n.0.0).collect();
    let mut trailing: Vec<u32> = needed.iter().map(|n| n.0.1).collect();
    for list in [&mut leading, &mut trailing] {
        list.sort_unstable();
        list.dedup();
    }
    let all = leading
        .iter()
        .flat_map(|l| trailing.iter().map(|t| (*l, *t)));
    let mut costs: Vec<((u32, u32), u32)> = all
        .filter(|(leading, trailing)| leading + trailing < 64)
        .map(|window| (window, u32::MAX / 2))
        .collect();
    let mut best = 0;
    for (inner, again, anew) in needed {
        let mut next = u32::MAX;
        for (outer, cost) in &mut costs {
            *cost = match holds(*outer, *inner) {
                true => (*cost + again).min(best + anew) + width(*outer),
                false => u32::MAX / 2,
            };
            next = next.min(*cost);
        }
        best = next;
    }
    best
}

#[test]
fn xor2_is_as_small_as_the_format_allows() {
    let (mut xor, mut growing, mut written, mut allowed) = (0, 0, 0, 0);
    for (_, path) in data_directories() {
        for block in blocks(&path) {
            let mut columns = SeriesColumns::default();
            block.series(|_, _, metas| {
                for meta in metas {
                    let raw = block.chunk(meta);
                    if !matches!(raw.encoding, Encoding::Xor | Encoding::Xor2) {
                        continue;
                    }
                    columns.clear();
                    chunk::decode(raw.encoding, raw.data, TimeRange::ALL, &mut columns).unwrap();
                    columns.floats.starts.clear();
                    let floats = &columns.floats;
                    if floats.len() > chunk::FLOATS_PER_CHUNK {
                        continue;
                    }
                    let (mut one, mut two) = (XorAppender::new(), Xor2Appender::new());
                    for (time, value) in floats.times.iter().zip(&floats.values) {
                        one.append(*time, *value);
                        two.append(*time, *value);
                    }
                    let (usual, least) = window_bits(floats);
                    let bits = two.to_bytes().len() * 8;
                    xor += one.to_bytes().len() * 8;
                    growing += bits;
                    allowed += bits - (usual - least) as usize;
                    let options = EncodeOptions::default().xor2(true);
                    let chunks = encode_columns_with(&columns, options);
                    written += chunks
                        .iter()
                        .map(|chunk| chunk.data.len() * 8)
                        .sum::<usize>();
                }
            });
        }
    }
    if xor == 0 {
        return;
    }
    let of_xor = |bits: usize| bits as f64 / xor as f64;
    let over = written as f64 / allowed as f64;
    println!(
        "of XOR, XOR2 takes {:.4} as it grows, {:.4} in blocks: {over:.4} of what is possible",
        of_xor(growing),
        of_xor(written),
    );
    assert!(of_xor(written) < 0.88, "{:.4} of XOR", of_xor(written));
    assert!(
        over < 1.01,
        "XOR2 takes {over:.4} of what the format allows"
    );
}
