//! Index files: every name, value, posting and series is read. The input has the bodies of the
//! sections; lengths and checksums are put around them, which no fuzzer would guess.
#![no_main]

use headwater_blockfmt::Index;
use libfuzzer_sys::fuzz_target;

/// Length, body, checksum.
fn section(file: &mut Vec<u8>, body: &[u8]) -> u64 {
    let offset = file.len() as u64;
    file.extend((body.len() as u32).to_be_bytes());
    file.extend(body);
    file.extend(crc32c::crc32c(body).to_be_bytes());
    offset
}

fn file(data: &[u8]) -> Option<Vec<u8>> {
    let (&[version, symbols, table, series], rest) = data.split_first_chunk::<4>()?;
    let (symbols, rest) = rest.split_at_checked(symbols.into())?;
    let (table, rest) = rest.split_at_checked(table.into())?;
    let (series, postings) = rest.split_at_checked(usize::from(series & 0x7f))?;
    let mut file = vec![0xba, 0xaa, 0xd7, 0, version % 4];
    // A series first, where a small reference finds it.
    file.resize(16, 0);
    file.push(series.len() as u8);
    file.extend(series);
    file.extend(crc32c::crc32c(series).to_be_bytes());
    let postings = section(&mut file, postings);
    let symbols = section(&mut file, symbols);
    let table = section(&mut file, table);
    let contents: Vec<u8> = [symbols, 16, 0, 0, postings, table].into_iter().flat_map(u64::to_be_bytes).collect();
    file.extend(&contents);
    file.extend(crc32c::crc32c(&contents).to_be_bytes());
    Some(file)
}

fuzz_target!(|data: &[u8]| {
    let Some(file) = file(data) else { return };
    let Ok(index) = Index::open(&file[..]) else { return };
    let (mut labels, mut pairs, mut chunks) = (Vec::new(), Vec::new(), Vec::new());
    for symbol in index.symbols() {
        let _ = index.find_symbol(symbol);
    }
    for name in index.label_names() {
        for value in index.label_values(name) {
            let postings = index.postings(name, value).unwrap_or_default();
            postings.seek(postings.len() / 2, 7);
            drop(index.label_values_from(name, value).next_postings());
        }
    }
    let all = index.all_postings().unwrap_or_default();
    for reference in all.iter().chain([0, 1, 16, u32::MAX]) {
        if let Ok(series) = index.series(reference) {
            let _ = series.read_into(&mut labels, &mut chunks);
            let _ = series.symbols_into(&mut pairs);
        }
    }
});
