//! What can be saved of a damaged index. The input is a list of damages to a sound index of some
//! series, or, if its first byte says so, the file itself.
#![no_main]

use std::sync::LazyLock;

use headwater_blockfmt::IndexWriter;
use headwater_blockfmt::index::{ChunkMeta, salvage};
use headwater_model::Labels;
use libfuzzer_sys::fuzz_target;

struct Sound {
    file: Vec<u8>,
    series: Vec<Labels>,
}

static SOUND: LazyLock<Sound> = LazyLock::new(|| {
    let mut series: Vec<Labels> = (0..40)
        .map(|n| Labels::from_pairs([("__name__", format!("m{}", n % 4)), ("n", format!("{n}"))]))
        .collect();
    series.sort();
    let texts = series.iter().flatten().flat_map(|(name, value)| [name, value]);
    let symbols: std::collections::BTreeSet<&str> = texts.collect();
    let mut writer = IndexWriter::new(symbols).unwrap();
    for (at, labels) in series.iter().enumerate() {
        let chunk = ChunkMeta { min_time: 0, max_time: 10, reference: 8 + at as u64 * 20 };
        writer.add_series(labels, &[chunk]).unwrap();
    }
    Sound { file: writer.finish().unwrap(), series }
});

fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first() else { return };
    if choice % 2 == 1 {
        let _ = salvage(rest);
        return;
    }
    let mut file = SOUND.file.clone();
    for damage in rest.chunks_exact(3).take(4) {
        let at = usize::from(u16::from_be_bytes([damage[0], damage[1]])) % file.len();
        file[at] ^= damage[2];
    }
    let saved = salvage(&file);
    // Checksums keep everything out that was not there.
    for series in &saved.series {
        assert!(SOUND.series.contains(&series.labels), "{} is invented", series.labels);
    }
    if rest.len() < 6 {
        assert_eq!(saved.series.len(), SOUND.series.len(), "one damage costs no series");
    }
});
