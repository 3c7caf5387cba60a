//! The column of lines: taken apart into templates and slots.

use hashbrown::HashMap;

use super::PartError;
use super::bytes::{Input, put_bytes, put_uvarint};
use super::filter::FilterBuilder;
use super::slots::{self, Encoded, Reader, Values};
use super::template::{Kind, Literal, Slot, find_slots, follow};

/// Most templates of a block; lines beyond go to template 0, whole.
const MAX_TEMPLATES: usize = 4096;
/// Patterns with fewer rows in a block than this are not worth a template: their lines are kept whole.
const MIN_ROWS: u32 = 4;
/// Most patterns that are remembered from block to block.
const MAX_PATTERNS: usize = 8192;
/// Patterns of the newest lines, which are tried first.
const RECENT: usize = 4;

/// A pattern of lines, remembered from block to block.
struct Pattern {
    literals: Vec<Literal>,
    kinds: Vec<Kind>,
    /// Places of the slots of its rows in the block at hand, row by row.
    places: Vec<(u32, u32)>,
    rows: u32,
    /// Its number in the block at hand.
    number: u16,
}

impl Pattern {
    fn of(line: &[u8], slots: &[Slot]) -> Self {
        let mut literals = Vec::with_capacity(slots.len() + 1);
        let mut from = 0;
        for slot in slots {
            literals.push(Literal::new(&line[from..slot.start as usize]));
            from = slot.end as usize;
        }
        literals.push(Literal::new(&line[from..]));
        Self {
            literals,
            kinds: slots.iter().map(|slot| slot.kind).collect(),
            places: Vec::new(),
            rows: 0,
            number: 0,
        }
    }
}

/// Takes the lines of one block after the other apart.
pub(super) struct LineEncoder {
    patterns: Vec<Pattern>,
    by_literals: HashMap<Box<[u8]>, u32>,
    recent: [u32; RECENT],
    /// The pattern of each row of the block.
    rows: Vec<u32>,
    slots: Vec<Slot>,
    key: Vec<u8>,
}

/// The number of the pattern whose one slot is the whole line.
const WHOLE: u32 = 0;

impl LineEncoder {
    pub(super) fn new() -> Self {
        let whole = Slot {
            start: 0,
            end: 0,
            kind: Kind::Joined,
        };
        Self {
            patterns: vec![Pattern::of(b"", &[whole])],
            by_literals: HashMap::new(),
            recent: [WHOLE; RECENT],
            rows: Vec::new(),
            slots: Vec::new(),
            key: Vec::new(),
        }
    }

    /// Writes the lines of a block, given as places in `text`, and tells the filter what they hold.
    pub(super) fn encode(
        &mut self,
        text: &[u8],
        lines: &[(u32, u32)],
        filter: &mut FilterBuilder,
        out: &mut Vec<u8>,
    ) {
        self.start_block();
        for (start, end) in lines {
            let pattern = self.find(&text[*start as usize..*end as usize]);
            self.patterns[pattern as usize].rows += 1;
            self.rows.push(pattern);
            let places = self
                .slots
                .iter()
                .map(|slot| (start + slot.start, start + slot.end));
            self.patterns[pattern as usize].places.extend(places);
        }
        self.drop_rare(lines);
        self.write(text, filter, out);
    }

    fn start_block(&mut self) {
        if self.patterns.len() > MAX_PATTERNS {
            *self = Self::new();
        }
        self.rows.clear();
        for pattern in &mut self.patterns {
            pattern.places.clear();
            pattern.rows = 0;
        }
    }

    /// The pattern of a line; its slots are in `self.slots` afterwards.
    fn find(&mut self, line: &[u8]) -> u32 {
        for at in 0..RECENT {
            let number = self.recent[at];
            let pattern = &self.patterns[number as usize];
            if number != WHOLE && follow(&pattern.literals, &pattern.kinds, line, &mut self.slots) {
                self.recent[..=at].rotate_right(1);
                return number;
            }
        }
        if !find_slots(line, &mut self.slots) {
            return self.keep_whole(line);
        }
        key_of(line, &self.slots, &mut self.key);
        let number = match self.by_literals.get(self.key.as_slice()) {
            Some(number) => *number,
            None if self.patterns.len() > 2 * MAX_PATTERNS => return self.keep_whole(line),
            None => {
                let number = self.patterns.len() as u32;
                self.patterns.push(Pattern::of(line, &self.slots));
                self.by_literals.insert(self.key.as_slice().into(), number);
                number
            }
        };
        self.recent.rotate_right(1);
        self.recent[0] = number;
        number
    }

    fn keep_whole(&mut self, line: &[u8]) -> u32 {
        self.slots.clear();
        self.slots.push(Slot {
            start: 0,
            end: line.len() as u32,
            kind: Kind::Joined,
        });
        WHOLE
    }

    /// Gives the rows of rare patterns to the whole lines, and numbers the others.
    fn drop_rare(&mut self, lines: &[(u32, u32)]) {
        let mut next = 1;
        for pattern in &mut self.patterns[1..] {
            let rare = pattern.rows < MIN_ROWS || usize::from(next) >= MAX_TEMPLATES;
            pattern.number = if rare { 0 } else { next };
            next += u16::from(!rare);
        }
        let patterns = &mut self.patterns;
        // Rows of whole lines must stand in the order of the block.
        patterns[0].places.clear();
        for (row, pattern) in self.rows.iter().enumerate() {
            if patterns[*pattern as usize].number == 0 {
                patterns[0].places.push(lines[row]);
            }
        }
    }

    fn write(&mut self, text: &[u8], filter: &mut FilterBuilder, out: &mut Vec<u8>) {
        let used = || {
            let others = self.patterns[1..]
                .iter()
                .filter(|pattern| pattern.number > 0);
            self.patterns[..1].iter().chain(others)
        };
        put_uvarint(out, used().count() as u64);
        for pattern in used() {
            put_uvarint(out, pattern.literals.len() as u64);
            for literal in &pattern.literals {
                put_bytes(out, &literal.bytes);
                filter.add(&literal.bytes);
            }
        }
        let numbers = self
            .rows
            .iter()
            .map(|pattern| self.patterns[*pattern as usize].number);
        if used().count() <= 256 {
            out.extend(numbers.map(|number| number as u8));
        } else {
            out.extend(numbers.flat_map(u16::to_le_bytes));
        }
        for pattern in used() {
            let slots = pattern.literals.len() - 1;
            for slot in 0..slots {
                let values = Values {
                    text,
                    places: &pattern.places,
                    slot,
                    slots,
                };
                match slots::encode(values, out) {
                    Encoded::Dictionary(places) => places
                        .iter()
                        .for_each(|(start, end)| filter.add(&text[*start as usize..*end as usize])),
                    Encoded::Other => values.iter().for_each(|value| filter.add(value)),
                }
            }
        }
    }
}

/// What makes two lines have one pattern: their literals, told apart by a byte that no such line holds.
fn key_of(line: &[u8], slots: &[Slot], key: &mut Vec<u8>) {
    key.clear();
    let mut from = 0;
    for slot in slots {
        key.extend_from_slice(&line[from..slot.start as usize]);
        key.push(b'\n');
        from = slot.end as usize;
    }
    key.extend_from_slice(&line[from..]);
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
    let mut templates = read_templates(&mut input)?;
    let wide = templates.len() > 256;
    let numbers = input.take(if wide { rows * 2 } else { rows })?;
    let number_at = |row: usize| match wide {
        true => usize::from(u16::from_le_bytes([numbers[2 * row], numbers[2 * row + 1]])),
        false => usize::from(numbers[row]),
    };
    for row in 0..rows {
        let template = templates.get_mut(number_at(row));
        template.ok_or_else(|| input.damaged())?.rows += 1;
    }
    for template in &mut templates {
        for _ in 1..template.literals.len() {
            let reader = Reader::take(&mut input, template.rows)?;
            template.slots.push(reader);
        }
    }
    for row in 0..rows {
        let template = &mut templates[number_at(row)];
        let Some((last, literals)) = template.literals.split_last() else {
            return Err(input.damaged());
        };
        for (literal, slot) in literals.iter().zip(&mut template.slots) {
            text.extend_from_slice(literal);
            slot.next(text);
            if text.len() > bytes {
                return Err(input.damaged());
            }
        }
        text.extend_from_slice(last);
        ends.push(text.len() as u32);
    }
    if text.len() == bytes && input.rest().is_empty() {
        Ok(())
    } else {
        Err(input.damaged())
    }
}

/// A template with what is left of its slots.
struct Template<'a> {
    literals: Vec<&'a [u8]>,
    slots: Vec<Reader<'a>>,
    rows: usize,
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn places(lines: &[Vec<u8>]) -> (Vec<u8>, Vec<(u32, u32)>) {
        let (mut text, mut out) = (Vec::new(), Vec::new());
        for line in lines {
            let start = text.len() as u32;
            text.extend_from_slice(line);
            out.push((start, text.len() as u32));
        }
        (text, out)
    }

    fn column(encoder: &mut LineEncoder, lines: &[Vec<u8>]) -> Vec<u8> {
        let ((text, places), mut out) = (places(lines), Vec::new());
        encoder.encode(&text, &places, &mut FilterBuilder::default(), &mut out);
        out
    }

    /// Encodes several blocks one after the other and reads them back; answers the templates of the last.
    fn round_trip(blocks: &[&[Vec<u8>]]) -> u8 {
        let (mut encoder, mut templates) = (LineEncoder::new(), 0);
        for lines in blocks {
            let column = column(&mut encoder, lines);
            let (text, places) = places(lines);
            let (mut back, mut ends) = (Vec::new(), Vec::new());
            decode(&column, lines.len(), text.len(), &mut back, &mut ends).unwrap();
            assert_eq!(back, text);
            assert_eq!(ends, places.iter().map(|(_, end)| *end).collect::<Vec<_>>());
            templates = column[0];
        }
        templates
    }

    #[test]
    fn patterns_are_taken_apart_and_the_rest_is_not() {
        let access: Vec<Vec<u8>> = (0..100)
            .map(|at| format!("GET /item/{at} took={at}ms ok").into_bytes())
            .collect();
        assert_eq!(round_trip(&[&access]), 2);
        let words: Vec<Vec<u8>> = (0..100u8)
            .map(|at| vec![b'a' + at % 26, b' ', b'a' + at / 26, b'x'])
            .collect();
        assert_eq!(round_trip(&[&words]), 1);
        assert_eq!(round_trip(&[&[b"two\nlines".to_vec()]]), 1);
        assert_eq!(round_trip(&[&access, &words, &access]), 2);
        let mixed: Vec<Vec<u8>> = access
            .iter()
            .chain(&words)
            .chain(&access)
            .cloned()
            .collect();
        assert_eq!(round_trip(&[&mixed, &[]]), 1);
    }

    #[test]
    fn more_templates_than_a_byte_can_number() {
        let letter = |at: usize| (b'a' + at as u8) as char;
        let lines: Vec<Vec<u8>> = (0..2000)
            .map(|at| format!("{}{} n={at}", letter(at % 19), letter(at / 19 % 21)).into_bytes())
            .collect();
        assert!(round_trip(&[&lines]) > 128, "two bytes of LEB128");
    }

    proptest! {
        #[test]
        fn whatever_goes_in_comes_out(lines in proptest::collection::vec("[a-c0-9=\": {}\\\\,.\n]{0,24}", 1..40)) {
            let lines: Vec<Vec<u8>> = lines.into_iter().map(String::into_bytes).collect();
            round_trip(&[&lines, &lines[1..]]);
        }

        #[test]
        fn bytes_that_are_no_text_come_out_too(lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..40)) {
            round_trip(&[&lines]);
        }

        #[test]
        fn damage_is_an_error_or_other_lines_but_no_panic(at: prop::sample::Index, byte: u8) {
            let lines: Vec<Vec<u8>> = (0..50).map(|at| format!("n={at} GET /{at} id={:08x} {}", at * 77_777, ["a", "b"][at % 2]).into_bytes()).collect();
            let (text, _) = places(&lines);
            let mut column = column(&mut LineEncoder::new(), &lines);
            let place = at.index(column.len());
            column[place] = byte;
            let _ = decode(&column, lines.len(), text.len(), &mut Vec::new(), &mut Vec::new());
        }
    }
}
