//! Arithmetic of template functions on decimals: `addf 0.1 0.2` is 0.3.

/// A number as `digits * 10^exponent`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decimal {
    digits: i128,
    exponent: i32,
}

/// What is done with two numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Operation {
    Add,
    Sub,
    Mul,
    Div,
}

impl Decimal {
    fn new(value: f64) -> Option<Self> {
        let text = format!("{value:e}");
        let (mantissa, exponent) = text.split_once('e')?;
        let decimals = mantissa.split_once('.').map_or(0, |(_, d)| d.len() as i32);
        Some(Self {
            digits: mantissa.replace('.', "").parse().ok()?,
            exponent: exponent.parse::<i32>().ok()? - decimals,
        })
    }

    fn value(self) -> Option<f64> {
        format!("{}e{}", self.digits, self.exponent).parse().ok()
    }

    /// The digits at a smaller exponent.
    fn digits_at(self, exponent: i32) -> Option<i128> {
        let shift = u32::try_from(self.exponent - exponent).ok()?;
        self.digits.checked_mul(10i128.checked_pow(shift)?)
    }

    fn sum(self, other: Self, sign: i128) -> Option<Self> {
        let exponent = self.exponent.min(other.exponent);
        let digits = self
            .digits_at(exponent)?
            .checked_add(other.digits_at(exponent)?.checked_mul(sign)?)?;
        Some(Self { digits, exponent })
    }

    /// The result, exact where the digits allow it.
    pub(crate) fn apply(op: Operation, a: f64, b: f64) -> f64 {
        let exact = || {
            let (x, y) = (Self::new(a)?, Self::new(b)?);
            match op {
                Operation::Add => x.sum(y, 1)?.value(),
                Operation::Sub => x.sum(y, -1)?.value(),
                Operation::Mul => Self {
                    digits: x.digits.checked_mul(y.digits)?,
                    exponent: x.exponent + y.exponent,
                }
                .value(),
                // Sixteen places behind the point, as the original divides.
                Operation::Div => format!("{:.16}", a / b).parse().ok(),
            }
        };
        exact().unwrap_or(match op {
            Operation::Add => a + b,
            Operation::Sub => a - b,
            Operation::Mul => a * b,
            Operation::Div => a / b,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_on_paper() {
        assert_eq!(Decimal::apply(Operation::Add, 0.1, 0.2), 0.3);
        assert_eq!(Decimal::apply(Operation::Sub, 0.3, 0.1), 0.2);
        assert_eq!(Decimal::apply(Operation::Mul, 168.9, 2.0), 337.8);
        assert_eq!(Decimal::apply(Operation::Div, 1.0, 4.0), 0.25);
        assert_eq!(Decimal::apply(Operation::Add, 1e300, 1e-300), 1e300);
    }
}
