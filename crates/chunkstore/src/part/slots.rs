//! The values of one slot in all rows of its template.
//!
//! Five encodings, told by their first byte. The writer takes the first that fits: what repeats goes
//! to a dictionary, numbers and identifiers become binary, the rest stays text.

use hashbrown::HashMap;

use super::PartError;
use super::bytes::{Input, put_bytes, put_uvarint};

const TEXT: u8 = 0;
const DICTIONARY: u8 = 1;
const NUMBERS: u8 = 2;
const HEX: u8 = 3;
const SIZED: u8 = 4;

/// Most values of a dictionary: a row has one byte for its number.
const MAX_DICTIONARY: usize = 256;
/// Fewer rows than this are not worth more than text.
const MIN_ROWS: usize = 8;
/// Longest value in bytes that is looked at for hexadecimal digits.
const MAX_HEX: usize = 64;
/// Most digits of a number.
const MAX_DIGITS: usize = 18;

/// What was done with a column: what its values hold is told to the filter once each.
pub(super) enum Encoded {
    /// The places of the distinct values.
    Dictionary(Vec<(u32, u32)>),
    /// Every row may have a value of its own.
    Other,
}

/// The values of a slot, as places in the text of the block.
#[derive(Clone, Copy)]
pub(super) struct Values<'a> {
    pub(super) text: &'a [u8],
    /// All slots of all rows of a template, row by row.
    pub(super) places: &'a [(u32, u32)],
    pub(super) slot: usize,
    pub(super) slots: usize,
}

impl<'a> Values<'a> {
    pub(super) fn places(&self) -> impl Iterator<Item = (u32, u32)> + Clone + 'a {
        self.places
            .iter()
            .skip(self.slot)
            .step_by(self.slots)
            .copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &'a [u8]> + Clone + 'a {
        let text = self.text;
        self.places()
            .map(move |(start, end)| &text[start as usize..end as usize])
    }

    fn rows(&self) -> usize {
        self.places.len() / self.slots
    }
}

/// Appends the column.
pub(super) fn encode(values: Values<'_>, out: &mut Vec<u8>) -> Encoded {
    if values.rows() >= MIN_ROWS {
        if let Some(places) = encode_dictionary(values, out) {
            return Encoded::Dictionary(places);
        }
        if encode_numbers(values, out) || encode_hex(values, out) {
            return Encoded::Other;
        }
    }
    if values
        .iter()
        .all(|value| memchr::memchr(b'\n', value).is_none())
    {
        out.push(TEXT);
        for value in values.iter() {
            out.extend_from_slice(value);
            out.push(b'\n');
        }
    } else {
        out.push(SIZED);
        for value in values.iter() {
            put_uvarint(out, value.len() as u64);
        }
        values.iter().for_each(|value| out.extend_from_slice(value));
    }
    Encoded::Other
}

fn encode_dictionary(values: Values<'_>, out: &mut Vec<u8>) -> Option<Vec<(u32, u32)>> {
    let most = MAX_DICTIONARY.min(values.rows() / 2);
    let mut dictionary = Dictionary::default();
    let mut codes = Vec::with_capacity(values.rows());
    for (start, end) in values.places() {
        codes.push(dictionary.code(values.text, (start, end), most)?);
    }
    let places = dictionary.places;
    out.push(DICTIONARY);
    put_uvarint(out, places.len() as u64);
    for (start, end) in &places {
        put_bytes(out, &values.text[*start as usize..*end as usize]);
    }
    // A slot that is always the same needs no numbers.
    if places.len() > 1 {
        out.extend_from_slice(&codes);
    }
    Some(places)
}

/// The distinct values of a slot, numbered as they come.
#[derive(Default)]
struct Dictionary<'a> {
    places: Vec<(u32, u32)>,
    /// Short values as numbers: comparing those takes no call.
    short: HashMap<u128, u8>,
    long: HashMap<&'a [u8], u8>,
    /// The last short value.
    last: Option<(u128, u8)>,
}

/// Bytes of a value that fit a number beside their length.
const SHORT: usize = 15;

impl<'a> Dictionary<'a> {
    /// The number of the value at a place; `None` if there are more values than `most`.
    fn code(&mut self, text: &'a [u8], place: (u32, u32), most: usize) -> Option<u8> {
        let (start, end) = (place.0 as usize, place.1 as usize);
        let next = self.places.len();
        if end - start > SHORT {
            let code = self.long.get(&text[start..end]).copied();
            return match code {
                Some(code) => Some(code),
                None if next == most => None,
                None => {
                    self.long.insert(&text[start..end], next as u8);
                    self.places.push(place);
                    Some(next as u8)
                }
            };
        }
        let key = short_key(text, start, end);
        if let Some((_, code)) = self.last.filter(|(last, _)| *last == key) {
            return Some(code);
        }
        let code = match self.short.get(&key) {
            Some(code) => *code,
            None if next == most => return None,
            None => {
                self.short.insert(key, next as u8);
                self.places.push(place);
                next as u8
            }
        };
        self.last = Some((key, code));
        Some(code)
    }
}

/// A value of at most [`SHORT`] bytes and its length as one number.
fn short_key(text: &[u8], start: usize, end: usize) -> u128 {
    let length = end - start;
    let bytes = match text[start..].first_chunk::<16>() {
        Some(chunk) => u128::from_le_bytes(*chunk) & ((1 << (8 * length)) - 1),
        None => {
            let mut chunk = [0; 16];
            chunk[..length].copy_from_slice(&text[start..end]);
            u128::from_le_bytes(chunk)
        }
    };
    bytes | (length as u128) << 120
}

/// How numbers are written: what stands before and behind, and the digits between.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Style<'a> {
    prefix: &'a [u8],
    suffix: &'a [u8],
    /// Digits behind a point; 0 if there is none.
    fraction: usize,
    /// Digits in front of the point, filled up with zeros; 0 for as many as needed.
    width: usize,
}

impl<'a> Style<'a> {
    /// Whether values are nothing but digits: most are, and those are read without comparing texts.
    const fn is_plain(&self) -> bool {
        self.prefix.is_empty() && self.suffix.is_empty() && self.fraction == 0 && self.width == 0
    }

    /// The style of the first value; whether zeros fill it up is told by the others.
    fn of(value: &'a [u8]) -> Option<Self> {
        let start = value.iter().position(u8::is_ascii_digit)?;
        let (_, fraction, length) = digits(&value[start..]);
        Some(Self {
            prefix: &value[..start],
            suffix: &value[start + length..],
            fraction,
            width: 0,
        })
    }

    /// The number in a value of this style, if it is one.
    fn read(&self, value: &[u8]) -> Option<u64> {
        if self.is_plain() {
            return plain_number(value);
        }
        let rest = value.strip_prefix(self.prefix)?;
        let (whole, fraction, length) = digits(rest);
        let zeros = whole > 1 && rest[0] == b'0';
        let fits = match self.width {
            0 => whole > 0 && !zeros,
            width => whole == width,
        };
        if !fits
            || fraction != self.fraction
            || whole + fraction > MAX_DIGITS
            || rest[length..] != *self.suffix
        {
            return None;
        }
        let digits = rest[..length].iter().filter(|byte| **byte != b'.');
        Some(digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
    }
}

/// A number that is nothing but its digits, as many as it needs.
fn plain_number(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > MAX_DIGITS || (value[0] == b'0' && value.len() > 1) {
        return None;
    }
    value.iter().try_fold(0u64, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then(|| number * 10 + u64::from(digit))
    })
}

/// How many digits a text begins with, how many follow behind a point, and bytes of all of it.
fn digits(text: &[u8]) -> (usize, usize, usize) {
    let run = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = run(text);
    match text.get(whole) {
        Some(b'.') if whole > 0 => match run(&text[whole + 1..]) {
            0 => (whole, 0, whole),
            fraction => (whole, fraction, whole + 1 + fraction),
        },
        _ => (whole, 0, whole),
    }
}

fn encode_numbers(values: Values<'_>, out: &mut Vec<u8>) -> bool {
    let Some(mut style) = values.iter().next().and_then(Style::of) else {
        return false;
    };
    let read_all = |style: &Style<'_>| {
        values
            .iter()
            .map(|value| style.read(value))
            .collect::<Option<Vec<u64>>>()
    };
    let numbers = match read_all(&style) {
        Some(numbers) => numbers,
        None => {
            // Perhaps zeros fill them up.
            let first = values.iter().next().unwrap_or_default();
            style.width = digits(&first[style.prefix.len()..]).0;
            match read_all(&style) {
                Some(numbers) => numbers,
                None => return false,
            }
        }
    };
    let least = numbers.iter().copied().min().unwrap_or(0);
    let greatest = numbers.iter().copied().max().unwrap_or(0);
    let planes = (64 - (greatest - least).leading_zeros()).div_ceil(8) as usize;
    out.push(NUMBERS);
    put_bytes(out, style.prefix);
    put_bytes(out, style.suffix);
    out.push(style.width as u8);
    out.push(style.fraction as u8);
    put_uvarint(out, least);
    out.push(planes as u8);
    for plane in 0..planes {
        out.extend(
            numbers
                .iter()
                .map(|number| ((number - least) >> (8 * plane)) as u8),
        );
    }
    true
}

fn encode_hex(values: Values<'_>, out: &mut Vec<u8>) -> bool {
    let Some(first) = values
        .iter()
        .next()
        .filter(|first| (8..=MAX_HEX).contains(&first.len()))
    else {
        return false;
    };
    let shape: Vec<u8> = first
        .iter()
        .map(|byte| if nibble(*byte).is_some() { b'x' } else { *byte })
        .collect();
    let count = shape.iter().filter(|byte| **byte == b'x').count();
    // A shape holds no x of its own: there `x` means a digit.
    if count % 2 == 1 || count < 8 || first.contains(&b'x') {
        return false;
    }
    let start = out.len();
    out.push(HEX);
    put_bytes(out, &shape);
    let digits_only = count == shape.len();
    for value in values.iter() {
        let packed = value.len() == shape.len()
            && match digits_only {
                true => pack_digits(value, out),
                false => pack(value, &shape, out),
            };
        if !packed {
            out.truncate(start);
            return false;
        }
    }
    true
}

/// The values of hexadecimal digits; 255 for other bytes.
static NIBBLES: [u8; 256] = {
    let mut nibbles = [255; 256];
    let mut at = 0;
    while at < 256 {
        if let Some(value) = nibble(at as u8) {
            nibbles[at] = value;
        }
        at += 1;
    }
    nibbles
};

/// Appends a value that is nothing but digits; false if it is not.
fn pack_digits(value: &[u8], out: &mut Vec<u8>) -> bool {
    let mut seen = 0;
    out.extend(value.as_chunks::<2>().0.iter().map(|[high, low]| {
        let (high, low) = (NIBBLES[usize::from(*high)], NIBBLES[usize::from(*low)]);
        seen |= high | low;
        high << 4 | low & 15
    }));
    seen < 16
}

/// Appends the digits of a value, two a byte; false if it is of another shape.
fn pack(value: &[u8], shape: &[u8], out: &mut Vec<u8>) -> bool {
    let mut high = None;
    for (byte, wanted) in value.iter().zip(shape) {
        if *wanted != b'x' {
            if byte != wanted {
                return false;
            }
            continue;
        }
        let Some(digit) = nibble(*byte) else {
            return false;
        };
        match high.take() {
            None => high = Some(digit),
            Some(high) => out.push(high << 4 | digit),
        }
    }
    true
}

const fn nibble(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

/// A column being read, row by row.
pub(super) enum Reader<'a> {
    Text(&'a [u8]),
    Sized(Input<'a>, &'a [u8]),
    Dictionary(Vec<&'a [u8]>, &'a [u8]),
    Numbers(Numbers<'a>),
    Hex(&'a [u8], &'a [u8]),
}

pub(super) struct Numbers<'a> {
    style: Style<'a>,
    least: u64,
    planes: &'a [u8],
    count: usize,
    rows: usize,
    at: usize,
}

impl<'a> Reader<'a> {
    /// Takes the column of `rows` values from the front of the input.
    pub(super) fn take(input: &mut Input<'a>, rows: usize) -> Result<Self, PartError> {
        Ok(match input.take(1)?[0] {
            TEXT => Self::Text(input.take(text_length(input, rows)?)?),
            SIZED => {
                let lengths = input.clone();
                let mut sum = 0usize;
                for _ in 0..rows {
                    let length = usize::try_from(input.uvarint()?).map_err(|_| input.damaged())?;
                    sum = sum.checked_add(length).ok_or_else(|| input.damaged())?;
                }
                Self::Sized(lengths, input.take(sum)?)
            }
            DICTIONARY => {
                let count = input.count(1)?;
                if count == 0 || count > MAX_DICTIONARY {
                    return Err(input.damaged());
                }
                let values = (0..count)
                    .map(|_| input.bytes())
                    .collect::<Result<Vec<_>, _>>()?;
                let codes = input.take(if count > 1 { rows } else { 0 })?;
                if codes.iter().any(|code| usize::from(*code) >= count) {
                    return Err(input.damaged());
                }
                Self::Dictionary(values, codes)
            }
            NUMBERS => Self::Numbers(Numbers::take(input, rows)?),
            HEX => {
                let shape = input.bytes()?;
                let count = shape.iter().filter(|byte| **byte == b'x').count();
                let size = rows.checked_mul(count / 2).ok_or_else(|| input.damaged())?;
                if count == 0 || count % 2 == 1 || shape.len() > MAX_HEX {
                    return Err(input.damaged());
                }
                Self::Hex(shape, input.take(size)?)
            }
            _ => return Err(input.damaged()),
        })
    }

    /// Appends the value of the next row. The caller asks for no more rows than there are.
    #[inline]
    pub(super) fn next(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::Text(rest) => {
                let end = line_end(rest);
                out.extend_from_slice(&rest[..end]);
                *rest = rest.get(end + 1..).unwrap_or_default();
            }
            Self::Sized(lengths, rest) => {
                let length = lengths.uvarint().unwrap_or(0) as usize;
                let (value, after) = rest.split_at(length.min(rest.len()));
                out.extend_from_slice(value);
                *rest = after;
            }
            Self::Dictionary(values, codes) => match codes.split_first() {
                Some((code, after)) => {
                    out.extend_from_slice(values[usize::from(*code)]);
                    *codes = after;
                }
                None => out.extend_from_slice(values[0]),
            },
            Self::Numbers(numbers) => numbers.next(out),
            Self::Hex(shape, rest) => unpack(shape, rest, out),
        }
    }
}

/// Values are mostly short: looking byte by byte beats setting up a vector search.
#[inline]
fn line_end(text: &[u8]) -> usize {
    let near = text.len().min(16);
    match text[..near].iter().position(|byte| *byte == b'\n') {
        Some(end) => end,
        None => memchr::memchr(b'\n', text).unwrap_or(text.len()),
    }
}

/// Bytes up to the line feed of the last row.
fn text_length(input: &Input<'_>, rows: usize) -> Result<usize, PartError> {
    let Some(last) = rows.checked_sub(1) else {
        return Ok(0);
    };
    let end = memchr::memchr_iter(b'\n', input.rest()).nth(last);
    Ok(1 + end.ok_or_else(|| input.damaged())?)
}

fn unpack(shape: &[u8], rest: &mut &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let (mut low, mut used) = (None, 0);
    for byte in shape {
        if *byte != b'x' {
            out.push(*byte);
            continue;
        }
        match low.take() {
            Some(digit) => out.push(digit),
            None => {
                let pair = rest[used];
                used += 1;
                out.push(DIGITS[usize::from(pair >> 4)]);
                low = Some(DIGITS[usize::from(pair & 15)]);
            }
        }
    }
    *rest = &rest[used..];
}

impl<'a> Numbers<'a> {
    fn take(input: &mut Input<'a>, rows: usize) -> Result<Self, PartError> {
        let (prefix, suffix) = (input.bytes()?, input.bytes()?);
        let [width, fraction] = [input.take(1)?[0], input.take(1)?[0]].map(usize::from);
        let least = input.uvarint()?;
        let planes = usize::from(input.take(1)?[0]);
        if width + fraction > MAX_DIGITS || planes > 8 {
            return Err(input.damaged());
        }
        let size = rows.checked_mul(planes).ok_or_else(|| input.damaged())?;
        let style = Style {
            prefix,
            suffix,
            fraction,
            width,
        };
        Ok(Self {
            style,
            least,
            planes: input.take(size)?,
            count: planes,
            rows,
            at: 0,
        })
    }

    fn next(&mut self, out: &mut Vec<u8>) {
        let mut number = 0u64;
        for plane in 0..self.count {
            number |= u64::from(self.planes[plane * self.rows + self.at]) << (8 * plane);
        }
        self.at += 1;
        out.extend_from_slice(self.style.prefix);
        write_number(number.wrapping_add(self.least), &self.style, out);
        out.extend_from_slice(self.style.suffix);
    }
}

/// Writes a number with its point and its zeros.
fn write_number(mut number: u64, style: &Style<'_>, out: &mut Vec<u8>) {
    let mut digits = [0u8; 24];
    let (mut at, mut written) = (digits.len(), 0);
    let least = style.fraction + style.width.max(1);
    while number > 0 || written < least {
        if written == style.fraction && written > 0 {
            at -= 1;
            digits[at] = b'.';
        }
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        written += 1;
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Encodes and reads back; answers the encoding.
    fn round_trip(values: &[&[u8]]) -> u8 {
        let (mut text, mut places) = (Vec::new(), Vec::new());
        for value in values {
            let start = text.len() as u32;
            text.extend_from_slice(value);
            places.push((start, text.len() as u32));
        }
        let column = Values {
            text: &text,
            places: &places,
            slot: 0,
            slots: 1,
        };
        let mut out = Vec::new();
        encode(column, &mut out);
        let mut input = Input::new(&out, "test");
        let mut reader = Reader::take(&mut input, values.len()).unwrap();
        assert!(input.rest().is_empty());
        for value in values {
            let mut back = Vec::new();
            reader.next(&mut back);
            assert_eq!(
                String::from_utf8_lossy(&back),
                String::from_utf8_lossy(value)
            );
        }
        out[0]
    }

    /// Makes a thousand different values.
    fn many(value: impl Fn(u64) -> String) -> u8 {
        let values: Vec<String> = (0..1000).map(value).collect();
        round_trip(&values.iter().map(String::as_bytes).collect::<Vec<_>>())
    }

    #[test]
    fn values_find_their_encoding() {
        assert_eq!(
            many(|at| ["info", "warn"][at as usize % 2].into()),
            DICTIONARY
        );
        assert_eq!(many(|_| "same".into()), DICTIONARY);
        assert_eq!(many(|at| (at * 77).to_string()), NUMBERS);
        assert_eq!(many(|at| format!("u{at}")), NUMBERS);
        assert_eq!(many(|at| format!("{:03}Z", at)), NUMBERS);
        assert_eq!(
            many(|at| format!("task-{}.{:02}ms", at % 70, at % 100)),
            NUMBERS
        );
        assert_eq!(
            many(|at| format!("{}", 1_767_268_800_000_000_000 - at)),
            TEXT
        );
        assert_eq!(
            many(|at| format!("{}", 999_999_999_999_999_999 - at)),
            NUMBERS
        );
        assert_eq!(
            many(|at| format!("{:016x}", at.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 10)),
            HEX
        );
        assert_eq!(
            many(|at| format!(
                "{:08x}-{:04x}",
                at.wrapping_mul(0x9e37_79b9) as u32,
                at | 0xa000
            )),
            HEX
        );
        assert_eq!(many(|at| format!("{at}ab{at}")), TEXT);
        assert_eq!(many(|at| format!("{at}\nab{at}")), SIZED);
        assert_eq!(round_trip(&[b"1", b"2"]), TEXT);
        assert_eq!(round_trip(&[]), TEXT);
    }

    proptest! {
        #[test]
        fn whatever_goes_in_comes_out(values in proptest::collection::vec("[a-f0-9.-]{0,10}|0{0,3}[0-9]{1,4}|[0-9]{1,3}[.][0-9]{2}s|[ -~\n]{0,5}", 0..60)) {
            round_trip(&values.iter().map(String::as_bytes).collect::<Vec<_>>());
        }

        #[test]
        fn numbers_of_one_form_come_back(numbers in proptest::collection::vec(0u64..2000, 8..60), width in 1usize..6) {
            let values: Vec<String> = numbers.iter().map(|n| format!("<{n:0width$}.{:02}>", n % 100)).collect();
            round_trip(&values.iter().map(String::as_bytes).collect::<Vec<_>>());
        }

        #[test]
        fn damage_is_no_panic(bytes: Vec<u8>, kind in 0u8..6, rows in 0usize..20) {
            let column: Vec<u8> = std::iter::once(kind).chain(bytes).collect();
            let mut input = Input::new(&column, "test");
            if let Ok(mut reader) = Reader::take(&mut input, rows) {
                let mut out = Vec::new();
                (0..rows).for_each(|_| reader.next(&mut out));
            }
        }
    }
}
