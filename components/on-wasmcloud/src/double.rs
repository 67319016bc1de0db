//! Doubles in the format of `wasmcloud:postgres`: mantissa, exponent and sign, which the host multiplies.

/// The WIT type `hashable-f64`: mantissa, exponent, sign.
pub type DoubleParts = (u64, i16, i8);

/// The exponent of the smallest subnormal double, which is 2 to this power.
const MIN_EXPONENT: i16 = -1074;
/// The exponent of the implicit digit in the largest doubles, plus 1: the exponent of infinity and NaN.
const INFINITY_EXPONENT: i16 = 972;
const IMPLICIT_BIT: u64 = 1 << 52;

/// Returns the parts from which the host computes `value`.
///
/// The host computes `sign * mantissa * 2^exponent` in doubles. So the exponent of a subnormal is that of the
/// smallest double, not one less, because 2 to that power would be 0; and NaN is encoded as 0 times infinity.
pub fn to_parts(value: f64) -> DoubleParts {
    let bits = value.to_bits();
    let sign = if value.is_sign_negative() { -1 } else { 1 };
    let mantissa = bits & (IMPLICIT_BIT - 1);
    match (bits >> 52) & 0x7ff {
        _ if value.is_nan() => (0, 1024, 1),
        0 => (mantissa, MIN_EXPONENT, sign),
        exponent => (mantissa | IMPLICIT_BIT, i16::try_from(exponent).unwrap_or(0) - 1075, sign),
    }
}

/// Returns the double of the parts that the host sends: mantissa, exponent and sign of its IEEE 754 representation,
/// with the mantissa of a subnormal doubled.
pub fn from_parts(parts: DoubleParts) -> f64 {
    let (mantissa, exponent, sign) = parts;
    let magnitude = if exponent < MIN_EXPONENT {
        f64::from_bits((mantissa >> 1) & (IMPLICIT_BIT - 1))
    } else if mantissa < IMPLICIT_BIT {
        // The format of `to_parts`, in case the host returns the parts unchanged.
        if exponent >= 1024 { f64::NAN } else { f64::from_bits(mantissa) }
    } else if exponent >= INFINITY_EXPONENT {
        if mantissa == IMPLICIT_BIT { f64::INFINITY } else { f64::NAN }
    } else {
        let biased = u64::try_from(i32::from(exponent) + 1075).unwrap_or(0);
        f64::from_bits((mantissa & (IMPLICIT_BIT - 1)) | (biased << 52))
    };
    if sign < 0 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::{DoubleParts, from_parts, to_parts};

    const EDGES: [f64; 14] = [
        0.0,
        -0.0,
        1.0,
        -1.5,
        0.1,
        1e-300,
        f64::MIN_POSITIVE,
        f64::MAX,
        f64::MIN,
        5e-324,
        -2.225_073_858_507_201e-308,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::EPSILON,
    ];

    /// Computes what the host makes of the parts.
    fn host_double((mantissa, exponent, sign): DoubleParts) -> f64 {
        f64::from(sign) * (mantissa as f64) * 2_f64.powf(f64::from(exponent))
    }

    /// Returns the parts that the host makes of a double: the mantissa has the implicit digit, or is doubled if there
    /// is none.
    fn host_parts(value: f64) -> DoubleParts {
        let bits = value.to_bits();
        let exponent = ((bits >> 52) & 0x7ff) as i16;
        let mantissa = if exponent == 0 {
            (bits & 0xf_ffff_ffff_ffff) << 1
        } else {
            (bits & 0xf_ffff_ffff_ffff) | 0x10_0000_0000_0000
        };
        (mantissa, exponent - 1075, if bits >> 63 == 0 { 1 } else { -1 })
    }

    fn test_values() -> impl Iterator<Item = f64> {
        let mut seed = 88_172_645_463_325_252_u64;
        let random = std::iter::repeat_with(move || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            f64::from_bits(seed)
        });
        EDGES.into_iter().chain(random.filter(|value| !value.is_nan()).take(100_000))
    }

    #[test]
    fn the_host_computes_the_same_double() {
        for value in test_values() {
            assert_eq!(host_double(to_parts(value)).to_bits(), value.to_bits(), "{value:e}");
        }
        assert!(host_double(to_parts(f64::NAN)).is_nan());
    }

    #[test]
    fn the_parts_of_the_host_are_the_same_double() {
        for value in test_values() {
            assert_eq!(from_parts(host_parts(value)).to_bits(), value.to_bits(), "{value:e}");
            assert_eq!(from_parts(to_parts(value)).to_bits(), value.to_bits(), "{value:e}");
        }
        assert!(from_parts(host_parts(f64::NAN)).is_nan() && from_parts(to_parts(f64::NAN)).is_nan());
    }
}
