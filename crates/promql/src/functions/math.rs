//! Functions of one number: mathematics, trigonometry, dates.

use super::FunctionId;
use super::date;

/// The function of a float, with its scalar arguments filled in.
pub(crate) fn apply(function: FunctionId, value: f64, params: [f64; 2]) -> f64 {
    use FunctionId as F;
    match function {
        F::Abs => value.abs(),
        F::Ceil => value.ceil(),
        F::Floor => value.floor(),
        F::Exp => value.exp(),
        F::Sqrt => value.sqrt(),
        F::Ln => natural_logarithm(value),
        F::Log2 => value.log2(),
        F::Log10 => value.log10(),
        F::Sin => value.sin(),
        F::Cos => value.cos(),
        F::Tan => value.tan(),
        F::Asin => value.asin(),
        F::Acos => value.acos(),
        F::Atan => value.atan(),
        F::Sinh => value.sinh(),
        F::Cosh => value.cosh(),
        F::Tanh => value.tanh(),
        F::Asinh => value.asinh(),
        F::Acosh => value.acosh(),
        F::Atanh => value.atanh(),
        F::Rad => value * std::f64::consts::PI / 180.0,
        F::Deg => value * 180.0 / std::f64::consts::PI,
        F::Sgn => sign(value),
        F::Round => round(value, params[0]),
        F::Clamp => clamp(value, params[0], params[1]),
        F::ClampMin => clamp(value, params[0], f64::INFINITY),
        F::ClampMax => clamp(value, f64::NEG_INFINITY, params[0]),
        F::DayOfMonth
        | F::DayOfWeek
        | F::DayOfYear
        | F::DaysInMonth
        | F::Hour
        | F::Minute
        | F::Month
        | F::Year => date::part(function, value),
        _ => f64::NAN,
    }
}

/// As Go has it on x86-64: the exponent of the tiniest numbers is read as it is stored, so that they
/// all come out near the smallest normal one.
fn natural_logarithm(value: f64) -> f64 {
    if !value.is_subnormal() || value < 0.0 {
        return value.ln();
    }
    let fraction = f64::from_bits(value.to_bits() | 0.5f64.to_bits());
    fraction.ln() - 1022.0 * std::f64::consts::LN_2
}

fn sign(value: f64) -> f64 {
    match value {
        v if v < 0.0 => -1.0,
        v if v > 0.0 => 1.0,
        v => v,
    }
}

/// To the nearest multiple; halves go up. Dividing by the inverse loses less.
fn round(value: f64, nearest: f64) -> f64 {
    let inverse = 1.0 / nearest;
    (value * inverse + 0.5).floor() / inverse
}

fn clamp(value: f64, min: f64, max: f64) -> f64 {
    larger(min, smaller(max, value))
}

/// Go's `math.Max`: infinity before NaN before numbers, and 0 is more than -0.
pub(crate) fn larger(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        return f64::INFINITY;
    }
    match (a.is_nan() || b.is_nan(), a == 0.0 && b == 0.0) {
        (true, _) => f64::NAN,
        (false, true) => a + b,
        (false, false) => a.max(b),
    }
}

/// Go's `math.Min`, as [`larger`].
pub(crate) fn smaller(a: f64, b: f64) -> f64 {
    -larger(-a, -b)
}

/// The remainder as Go's `math.Mod` gives it: with the sign of the dividend.
pub(crate) fn modulo(value: f64, by: f64) -> f64 {
    value % by
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_and_clamping() {
        assert_eq!(round(2.5, 1.0), 3.0);
        assert_eq!(round(-2.5, 1.0), -2.0);
        assert_eq!(round(52.0, 5.0), 50.0);
        assert_eq!(clamp(7.0, 0.0, 5.0), 5.0);
        assert!(clamp(7.0, f64::NAN, 5.0).is_nan());
        assert_eq!(clamp(f64::NAN, f64::INFINITY, f64::INFINITY), f64::INFINITY);
        assert!(larger(-0.0, 0.0).is_sign_positive() && smaller(0.0, -0.0).is_sign_negative());
    }
}
