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
        F::Log2 => binary_logarithm(value),
        F::Log10 => natural_logarithm(value) * std::f64::consts::LOG10_E,
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

/// As Go has it on x86-64, to the last bit, for the comparisons and the rounding that follow: with
/// m between sqrt(1/2) and sqrt(2), f = m - 1 and s = f / (2 + f), ln(m) = f - f^2/2 + s (f^2/2 + R(s^2)).
/// Source: `e_log.c` of FreeBSD's msun. The exponent of the tiniest numbers is read as it is
/// stored, so that they all come out near the smallest normal one.
fn natural_logarithm(value: f64) -> f64 {
    const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    const ODD: [f64; 4] = [
        6.666_666_666_666_735e-1,
        2.857_142_874_366_239e-1,
        1.818_357_216_161_805e-1,
        1.479_819_860_511_658_6e-1,
    ];
    const EVEN: [f64; 3] = [
        3.999_999_999_940_942e-1,
        2.222_219_843_214_978_4e-1,
        1.531_383_769_920_937_3e-1,
    ];
    if value.is_nan() || value <= 0.0 || value == f64::INFINITY {
        return value.ln();
    }
    let bits = value.to_bits();
    let mut exponent = (bits >> 52) as f64 - 1022.0;
    let mut mantissa = f64::from_bits(bits & ((1 << 52) - 1) | 0.5f64.to_bits());
    if mantissa <= std::f64::consts::FRAC_1_SQRT_2 {
        mantissa *= 2.0;
        exponent -= 1.0;
    }
    let f = mantissa - 1.0;
    let s = f / (2.0 + f);
    let s2 = s * s;
    let s4 = s2 * s2;
    let odd = s2 * (ODD[0] + s4 * (ODD[1] + s4 * (ODD[2] + s4 * ODD[3])));
    let even = s4 * (EVEN[0] + s4 * (EVEN[1] + s4 * EVEN[2]));
    let half_square = 0.5 * f * f;
    let rest = s * (half_square + (odd + even)) + exponent * LN_2_LOW;
    exponent * LN_2_HIGH - ((half_square - rest) - f)
}

/// Exact for powers of two; the exponent is counted apart.
fn binary_logarithm(value: f64) -> f64 {
    if !value.is_finite() || value <= 0.0 {
        return value.log2();
    }
    // 2^54 lifts what is too small for a stored exponent of its own.
    let (scaled, lift) = match value.is_subnormal() {
        true => (value * 18_014_398_509_481_984.0, 54.0),
        false => (value, 0.0),
    };
    let bits = scaled.to_bits();
    let exponent = (bits >> 52) as f64 - 1022.0 - lift;
    let fraction = f64::from_bits(bits & ((1 << 52) - 1) | 0.5f64.to_bits());
    if fraction == 0.5 {
        return exponent - 1.0;
    }
    natural_logarithm(fraction) * std::f64::consts::LOG2_E + exponent
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
    fn logarithms_are_those_of_go() {
        for (value, ln, log2, log10) in [
            (1.0, 0.0, 0.0, 0.0),
            (
                3.0,
                1.098_612_288_668_109_6,
                1.584_962_500_721_156_3,
                0.477_121_254_719_662_4,
            ),
            (
                0.1,
                -2.302_585_092_994_045_5,
                -std::f64::consts::LOG2_10,
                -0.999_999_999_999_999_9,
            ),
            (
                1e15,
                34.538_776_394_910_684,
                49.828_921_423_310_43,
                14.999_999_999_999_998,
            ),
            (
                5e-324,
                -709.089_565_712_824_1,
                -1074.0,
                -307.953_685_564_252_8,
            ),
        ] {
            assert_eq!(natural_logarithm(value), ln, "ln {value}");
            assert_eq!(binary_logarithm(value), log2, "log2 {value}");
            assert_eq!(
                apply(FunctionId::Log10, value, [0.0; 2]),
                log10,
                "log10 {value}"
            );
        }
        assert_eq!(natural_logarithm(0.0), f64::NEG_INFINITY);
        assert_eq!(natural_logarithm(f64::INFINITY), f64::INFINITY);
        assert!(binary_logarithm(-1.0).is_nan() && natural_logarithm(-1.0).is_nan());
    }

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
