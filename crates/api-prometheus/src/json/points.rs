//! Points of series, of which answers can have millions.
//!
//! The series of an answer mostly have points at the same times, so the text before the value of each
//! point is made for the first series and copied for the others.

use headwater_model::Timestamp;

use super::text::{push_time, push_value};

/// As many times as a range query has steps at most; later ones are written anew for each series.
const MOST_TIMES: usize = 11_001;

/// What stands before the values of points, by the number of the point.
#[derive(Debug, Default)]
pub(crate) struct PointWriter {
    openings: Vec<Opening>,
    scratch: Vec<u8>,
}

/// `,[1795144602.500,`
#[derive(Clone, Copy, Debug)]
struct Opening {
    time: Timestamp,
    text: [u8; Opening::ROOM],
    len: u8,
}

impl Opening {
    /// Comma and bracket, sign, sixteen digits, point, three decimals, comma; up to a round number.
    const ROOM: usize = 31;

    /// `scratch` is memory that is used again.
    fn new(time: Timestamp, scratch: &mut Vec<u8>) -> Self {
        scratch.clear();
        scratch.extend_from_slice(b",[");
        push_time(scratch, time);
        scratch.push(b',');
        let mut text = [0; Self::ROOM];
        let len = scratch.len().min(Self::ROOM);
        text[..len].copy_from_slice(&scratch[..len]);
        Self {
            time,
            text,
            len: len as u8,
        }
    }

    /// All bytes are copied and those beyond the text given up again: a copy of known length is a
    /// few moves.
    #[inline]
    fn push(&self, out: &mut Vec<u8>) {
        let end = out.len() + usize::from(self.len);
        out.extend_from_slice(&self.text);
        out.truncate(end);
    }
}

impl PointWriter {
    /// Appends `,[1795144602.500,"1.25"]`, the point of a series with this number.
    #[inline]
    pub(crate) fn push(&mut self, out: &mut Vec<u8>, number: usize, time: Timestamp, value: f64) {
        match self.openings.get(number) {
            Some(opening) if opening.time == time => opening.push(out),
            _ => self.push_new(out, number, time),
        }
        push_value(out, value);
        out.push(b']');
    }

    #[cold]
    fn push_new(&mut self, out: &mut Vec<u8>, number: usize, time: Timestamp) {
        let opening = Opening::new(time, &mut self.scratch);
        opening.push(out);
        if let Some(known) = self.openings.get_mut(number) {
            *known = opening;
        } else if number == self.openings.len() && number < MOST_TIMES {
            self.openings.push(opening);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_the_same_whatever_was_written_before() {
        let mut writer = PointWriter::default();
        let series: [&[(i64, f64)]; 4] = [
            &[(1000, 1.0), (2500, 0.5), (4000, -3.0)],
            &[(1000, 2.0), (2500, 1e21), (4000, f64::NAN)],
            &[(2500, 2.0), (i64::MIN, 0.25)],
            &[(1000, 7.0)],
        ];
        let texts = series.map(|points| {
            let mut out = Vec::new();
            for (number, (time, value)) in points.iter().enumerate() {
                writer.push(&mut out, number, *time, *value);
            }
            String::from_utf8(out).unwrap()
        });
        assert_eq!(
            texts,
            [
                r#",[1,"1"],[2.500,"0.5"],[4,"-3"]"#,
                r#",[1,"2"],[2.500,"1e+21"],[4,"NaN"]"#,
                r#",[2.500,"2"],[-9223372036854775.808,"0.25"]"#,
                r#",[1,"7"]"#,
            ]
        );
    }
}
