//! How numbers are spread, as bars.

/// Numbers in ranges of equal width.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Spread {
    least: u64,
    mean: u64,
    most: u64,
    start: u64,
    step: u64,
    /// How many numbers each range has.
    counts: Vec<u64>,
}

impl Spread {
    /// Ten ranges or so; their width is a power of ten.
    pub(super) fn of(numbers: Vec<u64>) -> Option<Spread> {
        let (least, most) = (*numbers.iter().min()?, *numbers.iter().max()?);
        let mut step = 10;
        while step < (most - least) / 10 && step <= 10_000 {
            step *= 10;
        }
        let start = least - least % step;
        let end = most - most % step + step;
        let mut counts = vec![0; ((end - start) / step + 1) as usize];
        for number in &numbers {
            counts[((number - start) / step) as usize] += 1;
        }
        let mean = numbers.iter().sum::<u64>() / numbers.len() as u64;
        Some(Spread {
            least,
            mean,
            most,
            start,
            step,
            counts,
        })
    }

    /// Bars are percents of `total`.
    pub(super) fn print(&self, what: &str, total: u64) {
        println!(
            "{what} (min/avg/max): {}/{}/{}",
            self.least, self.mean, self.most
        );
        for line in self.lines(total) {
            println!("{line}");
        }
        println!();
    }

    fn lines(&self, total: u64) -> Vec<String> {
        let digits = |number: u64| number.to_string().len();
        let end = self.start + (self.counts.len() as u64 - 1) * self.step;
        let (left, right) = (digits(end), digits(end + self.step));
        let most = self.counts.iter().copied().max().map_or(1, digits);
        let line = |(at, count): (usize, &u64)| {
            let from = self.start + at as u64 * self.step;
            let bar = "#".repeat((100 * count / total.max(1)) as usize);
            let (first, last) = (from + 1, from + self.step);
            format!("[{first:left$}, {last:right$}]: {count:most$} {bar}")
        };
        self.counts.iter().enumerate().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_as_wide_as_needed() {
        let mut numbers = vec![14; 7];
        let few = Spread::of(numbers.clone()).expect("there are numbers");
        assert_eq!(
            (few.start, few.step, few.counts.clone()),
            (10, 10, vec![7, 0])
        );
        assert_eq!(few.lines(82), ["[11, 20]: 7 ########", "[21, 30]: 0 "]);
        numbers.push(8008);
        let wide = Spread::of(numbers).expect("there are numbers");
        assert_eq!((wide.start, wide.step, wide.counts.len()), (0, 1000, 10));
        assert_eq!(wide.lines(8)[8], "[8001,  9000]: 1 ############");
        assert_eq!(Spread::of(Vec::new()), None);
    }
}
