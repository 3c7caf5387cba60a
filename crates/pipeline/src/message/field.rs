//! Dynamic fields: named, typed lists of values that follow the headers of a
//! message.

use bytes::Bytes;

use super::wire::{self, Walk, Wire, WireError};

/// The type a field declares for its values (`value_type` on the wire).
///
/// Kept as the number itself, because a number that no version of heka
/// defines must survive decoding and encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ValueType(pub i32);

impl ValueType {
    /// Text. Also what a field without a declared type holds.
    pub const STRING: ValueType = ValueType(0);
    /// Arbitrary bytes.
    pub const BYTES: ValueType = ValueType(1);
    /// Signed 64 bit integers.
    pub const INTEGER: ValueType = ValueType(2);
    /// 64 bit floats.
    pub const DOUBLE: ValueType = ValueType(3);
    /// Booleans.
    pub const BOOL: ValueType = ValueType(4);

    /// The field number under which values of this type travel, if the type
    /// is known.
    fn tag(self) -> Option<u32> {
        (0..=4).contains(&self.0).then_some(self.0 as u32 + 4)
    }

    /// The word heka's text views print for this type.
    pub fn name(self) -> &'static str {
        match self.0 {
            0 => "string",
            1 => "bytes",
            2 => "integer",
            3 => "double",
            4 => "bool",
            _ => "unknown",
        }
    }
}

/// One value of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Text; not checked to be UTF-8.
    String(&'a [u8]),
    /// Arbitrary bytes.
    Bytes(&'a [u8]),
    /// An integer.
    Integer(i64),
    /// A float.
    Double(f64),
    /// A boolean.
    Bool(bool),
}

/// A field that owns its values.
///
/// A well-formed field fills one list, the one its type names. All five are
/// kept because writers exist that fill another one, and what came in must
/// go out unchanged.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Field {
    /// Name of the field; the same name may occur several times.
    pub name: Option<Bytes>,
    /// Declared type; absent means string.
    pub value_type: Option<i32>,
    /// What the value means (`count`, `ms`, `ipv4`), free text.
    pub representation: Option<Bytes>,
    /// Values of a string field.
    pub strings: Vec<Bytes>,
    /// Values of a bytes field.
    pub bytes: Vec<Bytes>,
    /// Values of an integer field.
    pub integers: Vec<i64>,
    /// Values of a double field.
    pub doubles: Vec<f64>,
    /// Values of a bool field.
    pub bools: Vec<bool>,
    /// Unknown tags, as they came.
    pub unknown: Bytes,
}

impl Field {
    fn typed(name: impl Into<Bytes>, value_type: ValueType, representation: &str) -> Field {
        Field {
            name: Some(name.into()),
            value_type: Some(value_type.0),
            representation: Some(Bytes::copy_from_slice(representation.as_bytes())),
            ..Field::default()
        }
    }

    /// A string field with one value.
    pub fn string(name: impl Into<Bytes>, value: impl Into<Bytes>, representation: &str) -> Field {
        let mut field = Field::typed(name, ValueType::STRING, representation);
        field.strings.push(value.into());
        field
    }

    /// A bytes field with one value.
    pub fn bytes(name: impl Into<Bytes>, value: impl Into<Bytes>, representation: &str) -> Field {
        let mut field = Field::typed(name, ValueType::BYTES, representation);
        field.bytes.push(value.into());
        field
    }

    /// An integer field with one value.
    pub fn integer(name: impl Into<Bytes>, value: i64, representation: &str) -> Field {
        let mut field = Field::typed(name, ValueType::INTEGER, representation);
        field.integers.push(value);
        field
    }

    /// A double field with one value.
    pub fn double(name: impl Into<Bytes>, value: f64, representation: &str) -> Field {
        let mut field = Field::typed(name, ValueType::DOUBLE, representation);
        field.doubles.push(value);
        field
    }

    /// A bool field with one value.
    pub fn bool(name: impl Into<Bytes>, value: bool, representation: &str) -> Field {
        let mut field = Field::typed(name, ValueType::BOOL, representation);
        field.bools.push(value);
        field
    }

    /// The declared type, string if none is declared.
    pub fn value_type(&self) -> ValueType {
        ValueType(self.value_type.unwrap_or(0))
    }

    /// A borrowed view, the form in which matcher and encoders see fields.
    pub fn view(&self) -> FieldView<'_> {
        FieldView(Source::Owned(self))
    }

    /// Decodes the field that lies in `shared[start..end]`; names and values
    /// are slices of `shared`, not copies.
    pub(crate) fn decode(shared: &Bytes, start: usize, end: usize) -> Result<Field, WireError> {
        let mut field = Field::default();
        let mut unknown = Vec::new();
        let mut walk = Walk::new(shared, start, end);
        while let Some(entry) = walk.next()? {
            match entry.field {
                1 => field.name = Some(slice(shared, entry.len()?)),
                2 => field.value_type = Some(entry.varint()? as i32),
                3 => field.representation = Some(slice(shared, entry.len()?)),
                4 => field.strings.push(slice(shared, entry.len()?)),
                5 => field.bytes.push(slice(shared, entry.len()?)),
                6..=8 => decode_numbers(&mut field, shared, &entry)?,
                _ => unknown.extend_from_slice(&shared[entry.start..entry.end]),
            }
        }
        field.unknown = unknown.into();
        Ok(field)
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        if let Some(name) = &self.name {
            wire::put_bytes(out, 1, name);
        }
        if let Some(value_type) = self.value_type {
            // heka writes a negative enum as the 32 bit pattern, like every int32.
            wire::put_number(out, 2, u64::from(value_type as u32));
        }
        if let Some(representation) = &self.representation {
            wire::put_bytes(out, 3, representation);
        }
        for value in &self.strings {
            wire::put_bytes(out, 4, value);
        }
        for value in &self.bytes {
            wire::put_bytes(out, 5, value);
        }
        self.encode_numbers(out);
        out.extend_from_slice(&self.unknown);
    }

    fn encode_numbers(&self, out: &mut Vec<u8>) {
        if !self.integers.is_empty() {
            let len = self.integers.iter().map(|v| wire::varint_len(*v as u64));
            wire::put_varint(out, 6 << 3 | 2);
            wire::put_varint(out, len.sum::<usize>() as u64);
            for value in &self.integers {
                wire::put_varint(out, *value as u64);
            }
        }
        if !self.doubles.is_empty() {
            wire::put_varint(out, 7 << 3 | 2);
            wire::put_varint(out, self.doubles.len() as u64 * 8);
            for value in &self.doubles {
                out.extend_from_slice(&value.to_bits().to_le_bytes());
            }
        }
        if !self.bools.is_empty() {
            wire::put_varint(out, 8 << 3 | 2);
            wire::put_varint(out, self.bools.len() as u64);
            out.extend(self.bools.iter().map(|v| u8::from(*v)));
        }
    }

    fn value(&self, index: usize) -> Option<Value<'_>> {
        match self.value_type().0 {
            0 => self.strings.get(index).map(|v| Value::String(v)),
            1 => self.bytes.get(index).map(|v| Value::Bytes(v)),
            2 => self.integers.get(index).map(|v| Value::Integer(*v)),
            3 => self.doubles.get(index).map(|v| Value::Double(*v)),
            4 => self.bools.get(index).map(|v| Value::Bool(*v)),
            _ => None,
        }
    }
}

fn slice(shared: &Bytes, (start, end): (usize, usize)) -> Bytes {
    shared.slice(start..end)
}

/// Writers may pack a run of numbers into one entry or send each on its own
/// (heka's Lua sandbox does); readers take both, even mixed.
fn decode_numbers(field: &mut Field, buf: &[u8], entry: &wire::Entry) -> Result<(), WireError> {
    let number = entry.field;
    each_number(buf, entry, &mut |bits| match number {
        6 => field.integers.push(bits as i64),
        7 => field.doubles.push(f64::from_bits(bits)),
        _ => field.bools.push(bits != 0),
    })
}

fn each_number(
    buf: &[u8],
    entry: &wire::Entry,
    found: &mut dyn FnMut(u64),
) -> Result<(), WireError> {
    match (entry.field, entry.wire) {
        (7, Wire::Fixed64(bits)) => found(bits),
        (6 | 8, Wire::Varint(bits)) => found(bits),
        (7, Wire::Len(start, end)) => {
            let (runs, rest) = buf[start..end].as_chunks::<8>();
            if !rest.is_empty() {
                return Err(WireError::UnexpectedEof { offset: start });
            }
            for run in runs {
                found(u64::from_le_bytes(*run));
            }
        }
        (6 | 8, Wire::Len(start, end)) => {
            let mut pos = start;
            while pos < end {
                found(wire::read_varint(&buf[..end], &mut pos)?);
            }
        }
        _ => return Err(entry.mismatched()),
    }
    Ok(())
}

/// Checks that `buf[start..end]` decodes as a field, without building it.
pub(crate) fn check_field(buf: &[u8], start: usize, end: usize) -> Result<(), WireError> {
    match check_common(&buf[start..end]) {
        None => Ok(()),
        Some(odd) => check_rest(buf, start + odd, end),
    }
}

/// Checks entries of the usual kind: known tags, lengths below 128. The place
/// of the first that is not, if there is one.
fn check_common(field: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < field.len() {
        let next = match field[at] {
            0x0a | 0x1a | 0x22 | 0x2a => text_end(field, at),
            0x10 | 0x30 | 0x40 => field.get(at + 1).filter(|b| **b < 0x80).map(|_| at + 2),
            0x3a => text_end(field, at).filter(|end| (end - at - 2) % 8 == 0),
            0x32 | 0x42 => text_end(field, at).filter(|end| is_short_run(&field[at + 2..*end])),
            _ => None,
        };
        match next {
            Some(next) => at = next,
            None => return Some(at),
        }
    }
    None
}

/// Whether packed varints are sure to be whole: none can be longer than ten
/// bytes, and the last one ends.
fn is_short_run(varints: &[u8]) -> bool {
    varints.len() <= 10 && varints.last().is_none_or(|last| *last < 0x80)
}

/// Where an entry of bytes ends, if its length takes one byte and it is
/// whole.
fn text_end(field: &[u8], at: usize) -> Option<usize> {
    let length = *field.get(at + 1)?;
    let end = at + 2 + usize::from(length);
    (length < 0x80 && end <= field.len()).then_some(end)
}

fn check_rest(buf: &[u8], start: usize, end: usize) -> Result<(), WireError> {
    let mut walk = Walk::new(buf, start, end);
    while let Some(entry) = walk.next()? {
        match entry.field {
            1 | 3 | 4 | 5 => {
                entry.len()?;
            }
            2 => {
                entry.varint()?;
            }
            6..=8 => each_number(buf, &entry, &mut |_| {})?,
            _ => {}
        }
    }
    Ok(())
}

/// A field as a reader sees it, whether it is decoded or still lies in the
/// bytes of a frame.
#[derive(Debug, Clone, Copy)]
pub struct FieldView<'a>(Source<'a>);

#[derive(Debug, Clone, Copy)]
enum Source<'a> {
    Owned(&'a Field),
    /// The encoded field, already checked by [`check_field`].
    Raw(&'a [u8]),
}

impl<'a> FieldView<'a> {
    pub(crate) fn raw(encoded: &'a [u8]) -> FieldView<'a> {
        FieldView(Source::Raw(encoded))
    }

    /// Name of the field, empty if it has none.
    pub fn name(self) -> &'a [u8] {
        match self.0 {
            Source::Owned(field) => field.name.as_deref().unwrap_or_default(),
            Source::Raw(bytes) => last_bytes(bytes, 1),
        }
    }

    /// Declared type of the values.
    pub fn value_type(self) -> ValueType {
        match self.0 {
            Source::Owned(field) => field.value_type(),
            Source::Raw(bytes) => ValueType(last_number(bytes, 2).unwrap_or(0) as i32),
        }
    }

    /// What the values mean, empty if not said.
    pub fn representation(self) -> &'a [u8] {
        match self.0 {
            Source::Owned(field) => field.representation.as_deref().unwrap_or_default(),
            Source::Raw(bytes) => last_bytes(bytes, 3),
        }
    }

    /// The value at `index`, if there is one of the declared type.
    pub fn value(self, index: usize) -> Option<Value<'a>> {
        match self.0 {
            Source::Owned(field) => field.value(index),
            Source::Raw(bytes) => raw_value(bytes, self.value_type(), index),
        }
    }

    /// All values of the declared type.
    pub fn values(self) -> Vec<Value<'a>> {
        (0..).map_while(|index| self.value(index)).collect()
    }
}

fn entries(bytes: &[u8]) -> impl Iterator<Item = wire::Entry> {
    let mut walk = Walk::new(bytes, 0, bytes.len());
    // The bytes were checked when the message was indexed, so an error can
    // only mean the end.
    std::iter::from_fn(move || walk.next().ok().flatten())
}

fn last_bytes(bytes: &[u8], number: u32) -> &[u8] {
    let found = entries(bytes).filter(|entry| entry.field == number).last();
    match found.map(|entry| entry.wire) {
        Some(Wire::Len(start, end)) => &bytes[start..end],
        _ => &[],
    }
}

fn last_number(bytes: &[u8], number: u32) -> Option<u64> {
    let found = entries(bytes).filter(|entry| entry.field == number).last();
    match found?.wire {
        Wire::Varint(value) => Some(value),
        _ => None,
    }
}

fn raw_value(bytes: &[u8], value_type: ValueType, index: usize) -> Option<Value<'_>> {
    let tag = value_type.tag()?;
    let mut left = index;
    for entry in entries(bytes).filter(|entry| entry.field == tag) {
        if let (4 | 5, Wire::Len(start, end)) = (tag, entry.wire) {
            if left == 0 {
                let text = &bytes[start..end];
                return Some(if tag == 4 {
                    Value::String(text)
                } else {
                    Value::Bytes(text)
                });
            }
            left -= 1;
            continue;
        }
        let mut hit = None;
        let walked = each_number(bytes, &entry, &mut |bits| {
            if left == 0 && hit.is_none() {
                hit = Some(bits);
            } else if hit.is_none() {
                left -= 1;
            }
        });
        if walked.is_err() {
            return None;
        }
        if let Some(bits) = hit {
            return Some(match tag {
                6 => Value::Integer(bits as i64),
                7 => Value::Double(f64::from_bits(bits)),
                _ => Value::Bool(bits != 0),
            });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(field: &Field) -> Bytes {
        let mut out = Vec::new();
        field.encode(&mut out);
        out.into()
    }

    #[test]
    fn raw_and_owned_views_agree() {
        let mut field = Field::integer("n", 7, "count");
        field.integers.extend([-1, 300]);
        let bytes = encoded(&field);
        let raw = FieldView::raw(&bytes);
        assert_eq!(raw.name(), b"n");
        assert_eq!(raw.representation(), b"count");
        assert_eq!(raw.values(), field.view().values());
        assert_eq!(raw.value(3), None);
        assert_eq!(Field::decode(&bytes, 0, bytes.len()), Ok(field));
    }

    #[test]
    fn unpacked_numbers_are_read() {
        // name "f", type integer, value 1 packed with 2, then 3 alone.
        let bytes = [0x0a, 1, b'f', 0x10, 2, 0x32, 2, 1, 2, 0x30, 3];
        assert_eq!(check_field(&bytes, 0, bytes.len()), Ok(()));
        let raw = FieldView::raw(&bytes);
        assert_eq!(raw.value(2), Some(Value::Integer(3)));
        assert_eq!(raw.values().len(), 3);
    }

    #[test]
    fn a_value_of_another_type_than_declared_is_no_value() {
        let bytes = [0x0a, 1, b'f', 0x10, 2, 0x22, 1, b's'];
        assert_eq!(FieldView::raw(&bytes).value(0), None);
    }

    #[test]
    fn a_packed_double_run_must_be_whole() {
        let bytes = [0x3a, 7, 0, 0, 0, 0, 0, 0, 0];
        assert!(check_field(&bytes, 0, bytes.len()).is_err());
    }
}
