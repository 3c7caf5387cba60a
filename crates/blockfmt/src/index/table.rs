//! The postings table: where the postings of each label pair lie.

use super::{PART, VERSION_1, section};
use crate::error::DecodeError;
use crate::input::Input;

/// Every so many values of a name, the entry's offset is kept in memory.
/// Source: Prometheus does the same.
const STRIDE: usize = 32;

/// What is kept of the table in memory; names and values stay in the file.
#[derive(Clone, Debug)]
pub(super) struct PostingsTable {
    start: usize,
    end: usize,
    /// One a name, ascending.
    names: Vec<Name>,
    stride: usize,
}

#[derive(Clone, Debug)]
struct Name {
    /// Offsets of entries in the section's body: every [`STRIDE`]th in version 2, where values
    /// ascend in the file; every one in version 1, sorted by value.
    entries: Vec<u32>,
    values: u32,
}

/// What an entry is found by.
#[derive(Clone, Copy, Debug)]
struct Entry<'a> {
    name: &'a str,
    value: &'a str,
}

/// One entry of a name that is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'a> {
    pub(super) value: &'a str,
    pub(super) postings: u64,
}

impl PostingsTable {
    /// Reads the whole table once, so that later reads cannot fail on it.
    pub(super) fn read(file: &[u8], offset: u64, version: u8) -> Result<Self, DecodeError> {
        let (body, start) = section(file, offset)?;
        let read = if version == VERSION_1 {
            read_unordered(body)
        } else {
            read_ordered(body)
        };
        let names = read.map_err(|error| error.at_base(start))?;
        let stride = if version == VERSION_1 { 1 } else { STRIDE };
        Ok(Self {
            start,
            end: start + body.len(),
            names,
            stride,
        })
    }

    fn body<'a>(&self, file: &'a [u8]) -> &'a [u8] {
        &file[self.start..self.end]
    }

    pub(super) fn names<'a>(&'a self, file: &'a [u8]) -> impl Iterator<Item = &'a str> {
        self.names
            .iter()
            .filter_map(move |name| Some(entry_at(self.body(file), *name.entries.first()?)?.name))
    }

    fn find_name(&self, file: &[u8], name: &str) -> Option<&Name> {
        let body = self.body(file);
        let of = |it: &Name| {
            it.entries
                .first()
                .and_then(|&offset| entry_at(body, offset))
                .map_or("", |it| it.name)
        };
        let at = self.names.binary_search_by(|it| of(it).cmp(name)).ok()?;
        Some(&self.names[at])
    }

    /// The number of values of a name.
    pub(super) fn value_count(&self, file: &[u8], name: &str) -> usize {
        self.find_name(file, name)
            .map_or(0, |it| it.values as usize)
    }

    /// The postings of a pair.
    pub(super) fn find(&self, file: &[u8], name: &str, value: &str) -> Option<u64> {
        let entries = self.seek(file, name, value);
        entries
            .take_while(|it| it.value <= value)
            .find(|it| it.value == value)
            .map(|it| it.postings)
    }

    /// The entries of a name, from somewhere not behind `value` on, ascending.
    pub(super) fn seek<'a>(&'a self, file: &'a [u8], name: &str, value: &str) -> Entries<'a> {
        let body = self.body(file);
        let Some(found) = self.find_name(file, name) else {
            return Entries {
                body,
                name: None,
                at: 0,
                input: Input::new(PART, &[]),
                stride: 1,
            };
        };
        let of = |offset: &u32| entry_at(body, *offset).map_or("", |it| it.value);
        let block = found
            .entries
            .partition_point(|offset| of(offset) <= value)
            .saturating_sub(1);
        Entries {
            body,
            name: Some(found),
            at: block * self.stride,
            input: Input::new(PART, &body[found.entries[block] as usize..]),
            stride: self.stride,
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let entries: usize = self.names.iter().map(|name| name.entries.capacity()).sum();
        entries * size_of::<u32>() + self.names.capacity() * size_of::<Name>()
    }
}

/// Iterates over the entries of one name, ascending by value.
#[derive(Clone, Debug)]
pub(super) struct Entries<'a> {
    body: &'a [u8],
    name: Option<&'a Name>,
    at: usize,
    input: Input<'a>,
    stride: usize,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        let name = self.name?;
        if self.at >= name.values as usize {
            return None;
        }
        if self.at.is_multiple_of(self.stride) {
            self.input = Input::new(
                PART,
                &self.body[name.entries[self.at / self.stride] as usize..],
            );
        }
        self.at += 1;
        // The table was verified when the index was opened.
        read_value(&mut self.input).ok()
    }
}

/// Every name and value with the place of its postings, in the order of the file.
pub(super) fn all_pairs(file: &[u8], offset: u64) -> Result<Vec<(&str, &str, u64)>, DecodeError> {
    let (body, start) = section(file, offset)?;
    let mut input = Input::new(PART, body);
    let mut read = || {
        let count = input.be32()?;
        // An entry takes four bytes at least.
        let mut out = Vec::with_capacity(input.remaining().min(count as usize * 4) / 4);
        for _ in 0..count {
            let entry = input;
            if input.byte()? != 2 {
                return Err(entry.invalid("a postings entry without two texts"));
            }
            out.push((input.text()?, input.text()?, input.uvarint()?));
        }
        Ok(out)
    };
    read().map_err(|error: DecodeError| error.at_base(start))
}

fn entry_at(body: &[u8], offset: u32) -> Option<Entry<'_>> {
    read_entry(&mut Input::new(PART, &body[offset as usize..])).ok()
}

fn read_entry<'a>(input: &mut Input<'a>) -> Result<Entry<'a>, DecodeError> {
    let before = *input;
    if input.byte()? != 2 {
        return Err(before.invalid("a postings entry without two texts"));
    }
    let (name, value) = (input.text()?, input.text()?);
    let _postings = input.uvarint()?;
    Ok(Entry { name, value })
}

/// The same without a look at the name.
fn read_value<'a>(input: &mut Input<'a>) -> Result<Value<'a>, DecodeError> {
    input.byte()?;
    input.len_bytes()?;
    Ok(Value {
        value: input.text()?,
        postings: input.uvarint()?,
    })
}

/// The entries with their offsets.
fn entries(
    body: &[u8],
) -> Result<impl Iterator<Item = Result<(u32, Entry<'_>), DecodeError>>, DecodeError> {
    let mut input = Input::new(PART, body);
    let mut left = input.be32()?;
    Ok(std::iter::from_fn(move || {
        left = left.checked_sub(1)?;
        let offset = input.offset() as u32;
        Some(read_entry(&mut input).map(|entry| (offset, entry)))
    }))
}

fn read_ordered(body: &[u8]) -> Result<Vec<Name>, DecodeError> {
    let mut names: Vec<Name> = Vec::new();
    let mut before: Option<Entry<'_>> = None;
    for entry in entries(body)? {
        let (offset, entry) = entry?;
        let ascends =
            before.is_none_or(|before| (before.name, before.value) < (entry.name, entry.value));
        if !ascends {
            return Err(DecodeError::invalid(
                PART,
                offset as usize,
                "postings entries do not ascend",
            ));
        }
        match names
            .last_mut()
            .filter(|_| before.is_some_and(|before| before.name == entry.name))
        {
            Some(name) => {
                if (name.values as usize).is_multiple_of(STRIDE) {
                    name.entries.push(offset);
                }
                name.values += 1;
            }
            None => names.push(Name {
                entries: vec![offset],
                values: 1,
            }),
        }
        before = Some(entry);
    }
    names
        .iter_mut()
        .for_each(|name| name.entries.shrink_to_fit());
    Ok(names)
}

fn read_unordered(body: &[u8]) -> Result<Vec<Name>, DecodeError> {
    let mut all = entries(body)?.collect::<Result<Vec<_>, _>>()?;
    all.sort_unstable_by(|(_, a), (_, b)| (a.name, a.value).cmp(&(b.name, b.value)));
    let same_name = |a: &(u32, Entry<'_>), b: &(u32, Entry<'_>)| a.1.name == b.1.name;
    let name = |entries: &[(u32, Entry<'_>)]| Name {
        entries: entries.iter().map(|(offset, _)| *offset).collect(),
        values: entries.len() as u32,
    };
    Ok(all.chunk_by(same_name).map(name).collect())
}
