//! The column of lines: plain, or taken apart into templates and slots.

use hashbrown::HashMap;

use super::PartError;
use super::bytes::{Input, put_bytes, put_uvarint};
use super::template::find_slots;

const PLAIN: u8 = 0;
const TEMPLATES: u8 = 1;

/// Most templates of a block; lines beyond go to template 0, whole.
const MAX_TEMPLATES: usize = 4096;
/// A block whose lines have fewer rows a template than this is written plain: it has no pattern.
const MIN_ROWS_PER_TEMPLATE: usize = 4;

/// Writes the lines of a block, given as positions in `text`.
pub(super) fn encode(text: &[u8], lines: &[(u32, u32)]) -> Vec<u8> {
    encode_templates(text, lines).unwrap_or_else(|| encode_plain(text, lines))
}

fn line_of<'a>(text: &'a [u8], (start, end): &(u32, u32)) -> &'a [u8] {
    &text[*start as usize..*end as usize]
}

fn encode_plain(text: &[u8], lines: &[(u32, u32)]) -> Vec<u8> {
    let mut out = vec![PLAIN];
    for (start, end) in lines {
        put_uvarint(&mut out, u64::from(end - start));
    }
    for line in lines {
        out.extend_from_slice(line_of(text, line));
    }
    out
}

/// The columns of one template while they are collected.
#[derive(Default)]
struct Collected {
    literals: Vec<Vec<u8>>,
    slots: Vec<Vec<u8>>,
}

impl Collected {
    fn whole_line() -> Self {
        Self {
            literals: vec![Vec::new(), Vec::new()],
            slots: vec![Vec::new()],
        }
    }

    fn of(line: &[u8], slots: &[(u32, u32)]) -> Self {
        let mut literals = Vec::with_capacity(slots.len() + 1);
        let mut from = 0;
        for (start, end) in slots {
            literals.push(line[from..*start as usize].to_vec());
            from = *end as usize;
        }
        literals.push(line[from..].to_vec());
        Self {
            literals,
            slots: vec![Vec::new(); slots.len()],
        }
    }

    fn add(&mut self, line: &[u8], slots: &[(u32, u32)]) {
        for (column, (start, end)) in self.slots.iter_mut().zip(slots) {
            column.extend_from_slice(&line[*start as usize..*end as usize]);
            column.push(b'\n');
        }
    }
}

/// `None` if a line holds a line feed, or if the lines have too little in common.
fn encode_templates(text: &[u8], lines: &[(u32, u32)]) -> Option<Vec<u8>> {
    let mut templates = vec![Collected::whole_line()];
    let mut by_pattern: HashMap<Vec<u8>, u16> = HashMap::new();
    let mut rows: Vec<u16> = Vec::with_capacity(lines.len());
    let (mut slots, mut pattern) = (Vec::new(), Vec::new());
    for position in lines {
        let line = line_of(text, position);
        if memchr::memchr(b'\n', line).is_some() {
            return None;
        }
        let taken_apart = find_slots(line, &mut slots);
        let known = if taken_apart {
            pattern_of(line, &slots, &mut pattern);
            by_pattern.get(pattern.as_slice()).copied()
        } else {
            Some(0)
        };
        let number = match known {
            Some(number) => number,
            None if templates.len() < MAX_TEMPLATES => {
                let number = templates.len() as u16;
                templates.push(Collected::of(line, &slots));
                by_pattern.insert(pattern.clone(), number);
                number
            }
            None => 0,
        };
        if number == 0 {
            templates[0].add(line, &[(0, line.len() as u32)]);
        } else {
            templates[usize::from(number)].add(line, &slots);
        }
        rows.push(number);
    }
    (templates.len() * MIN_ROWS_PER_TEMPLATE <= lines.len() + MIN_ROWS_PER_TEMPLATE * 2)
        .then(|| join(&templates, &rows))
}

/// What makes two lines have one template: their literals, told apart by a byte that no line holds.
fn pattern_of(line: &[u8], slots: &[(u32, u32)], pattern: &mut Vec<u8>) {
    pattern.clear();
    let mut from = 0;
    for (start, end) in slots {
        pattern.extend_from_slice(&line[from..*start as usize]);
        pattern.push(b'\n');
        from = *end as usize;
    }
    pattern.extend_from_slice(&line[from..]);
}

fn join(templates: &[Collected], rows: &[u16]) -> Vec<u8> {
    let mut out = vec![TEMPLATES];
    put_uvarint(&mut out, templates.len() as u64);
    for template in templates {
        put_uvarint(&mut out, template.literals.len() as u64);
        for literal in &template.literals {
            put_bytes(&mut out, literal);
        }
    }
    if templates.len() <= 256 {
        out.extend(rows.iter().map(|number| *number as u8));
    } else {
        out.extend(rows.iter().flat_map(|number| number.to_le_bytes()));
    }
    for column in templates.iter().flat_map(|template| &template.slots) {
        out.extend_from_slice(column);
    }
    out
}

/// Puts the lines together again: `text` gets their bytes one after the other, `ends` where each
/// ends. `bytes` is what the footer says of their sum, and bounds what damage can make us allocate.
pub(super) fn decode(
    column: &[u8],
    rows: usize,
    bytes: usize,
    text: &mut Vec<u8>,
    ends: &mut Vec<u32>,
) -> Result<(), PartError> {
    text.clear();
    ends.clear();
    text.reserve(bytes);
    ends.reserve(rows);
    let mut input = Input::new(column, "lines");
    match input.take(1)?[0] {
        PLAIN => decode_plain(&mut input, rows, text, ends)?,
        TEMPLATES => decode_templates(&mut input, rows, bytes, text, ends)?,
        _ => return Err(input.damaged()),
    }
    if text.len() == bytes && ends.len() == rows {
        Ok(())
    } else {
        Err(input.damaged())
    }
}

fn decode_plain(
    input: &mut Input<'_>,
    rows: usize,
    text: &mut Vec<u8>,
    ends: &mut Vec<u32>,
) -> Result<(), PartError> {
    let mut end = 0u64;
    for _ in 0..rows {
        end = end.saturating_add(input.uvarint()?);
        ends.push(u32::try_from(end).map_err(|_| input.damaged())?);
    }
    if end != input.rest().len() as u64 {
        return Err(input.damaged());
    }
    text.extend_from_slice(input.rest());
    Ok(())
}

/// A template with what is left of its slots.
struct Template<'a> {
    literals: Vec<&'a [u8]>,
    slots: Vec<&'a [u8]>,
    rows: usize,
}

fn decode_templates(
    input: &mut Input<'_>,
    rows: usize,
    bytes: usize,
    text: &mut Vec<u8>,
    ends: &mut Vec<u32>,
) -> Result<(), PartError> {
    let mut templates = read_templates(input)?;
    let wide = templates.len() > 256;
    let numbers = input.take(if wide { rows * 2 } else { rows })?;
    let number_at = |row: usize| match wide {
        true => usize::from(u16::from_le_bytes([numbers[2 * row], numbers[2 * row + 1]])),
        false => usize::from(numbers[row]),
    };
    for row in 0..rows {
        templates
            .get_mut(number_at(row))
            .ok_or_else(|| input.damaged())?
            .rows += 1;
    }
    give_slots(input, &mut templates)?;
    for row in 0..rows {
        let template = &mut templates[number_at(row)];
        for (at, literal) in template.literals.iter().enumerate() {
            text.extend_from_slice(literal);
            if let Some(slot) = template.slots.get_mut(at) {
                let end = memchr::memchr(b'\n', slot).ok_or_else(|| input.damaged())?;
                text.extend_from_slice(&slot[..end]);
                *slot = &slot[end + 1..];
            }
        }
        if text.len() > bytes {
            return Err(input.damaged());
        }
        ends.push(text.len() as u32);
    }
    Ok(())
}

fn read_templates<'a>(input: &mut Input<'a>) -> Result<Vec<Template<'a>>, PartError> {
    let count = input.count(1)?;
    if count > MAX_TEMPLATES {
        return Err(input.damaged());
    }
    let mut templates = Vec::with_capacity(count);
    for _ in 0..count {
        let literals = (0..input.count(1)?)
            .map(|_| input.bytes())
            .collect::<Result<Vec<_>, _>>()?;
        if literals.is_empty() {
            return Err(input.damaged());
        }
        templates.push(Template {
            literals,
            slots: Vec::new(),
            rows: 0,
        });
    }
    Ok(templates)
}

/// Each slot has a value a row: its column reaches to the line feed of the last.
fn give_slots<'a>(input: &mut Input<'a>, templates: &mut [Template<'a>]) -> Result<(), PartError> {
    for template in templates {
        for _ in 1..template.literals.len() {
            let length = match template.rows {
                0 => 0,
                rows => {
                    1 + memchr::memchr_iter(b'\n', input.rest())
                        .nth(rows - 1)
                        .ok_or_else(|| input.damaged())?
                }
            };
            template.slots.push(input.take(length)?);
        }
    }
    if input.rest().is_empty() {
        Ok(())
    } else {
        Err(input.damaged())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn positions(lines: &[Vec<u8>]) -> (Vec<u8>, Vec<(u32, u32)>) {
        let (mut text, mut out) = (Vec::new(), Vec::new());
        for line in lines {
            let start = text.len() as u32;
            text.extend_from_slice(line);
            out.push((start, text.len() as u32));
        }
        (text, out)
    }

    fn round_trip(lines: &[Vec<u8>]) -> u8 {
        let (text, places) = positions(lines);
        let column = encode(&text, &places);
        let (mut back, mut ends) = (Vec::new(), Vec::new());
        decode(&column, lines.len(), text.len(), &mut back, &mut ends).unwrap();
        assert_eq!(back, text);
        assert_eq!(ends, places.iter().map(|(_, end)| *end).collect::<Vec<_>>());
        column[0]
    }

    #[test]
    fn patterns_are_taken_apart_and_the_rest_is_not() {
        let access: Vec<Vec<u8>> = (0..100)
            .map(|at| format!("GET /item/{at} took={at}ms ok").into_bytes())
            .collect();
        assert_eq!(round_trip(&access), TEMPLATES);
        let words: Vec<Vec<u8>> = (0..100u8)
            .map(|at| vec![b'a' + at % 26, b' ', b'a' + at / 26, b'x'])
            .collect();
        assert_eq!(round_trip(&words), PLAIN);
        assert_eq!(round_trip(&[b"two\nlines".to_vec()]), PLAIN);
    }

    proptest! {
        #[test]
        fn whatever_goes_in_comes_out(lines in proptest::collection::vec("[a-c0-9=\": {}\\\\,\n]{0,24}", 1..40)) {
            let lines: Vec<Vec<u8>> = lines.into_iter().map(String::into_bytes).collect();
            round_trip(&lines);
        }

        #[test]
        fn bytes_that_are_no_text_come_out_too(lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..40)) {
            round_trip(&lines);
        }

        #[test]
        fn damage_is_an_error_or_other_lines_but_no_panic(at: prop::sample::Index, byte: u8) {
            let lines: Vec<Vec<u8>> = (0..50).map(|at| format!("n={at} GET /{at}").into_bytes()).collect();
            let (text, places) = positions(&lines);
            let mut column = encode(&text, &places);
            let place = at.index(column.len());
            column[place] = byte;
            let _ = decode(&column, lines.len(), text.len(), &mut Vec::new(), &mut Vec::new());
        }
    }
}
