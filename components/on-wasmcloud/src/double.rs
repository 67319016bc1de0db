//! Doubles as `wasmcloud:postgres` carries them: mantissa, exponent and sign, whose product the host takes.

/// `hashable-f64`: mantissa, exponent, sign.
pub type Parts = (u64, i16, i8);

/// The exponent of the smallest double, which is 2 to the power of it.
const SMALLEST: i16 = -1074;
/// The exponent of the implicit digit's place in the largest doubles; the next stands for infinity and what is no number.
const INFINITE: i16 = 972;
const IMPLICIT: u64 = 1 << 52;

/// The parts of which the host makes `value` again.
///
/// It computes `sign * mantissa * 2^exponent` in doubles. So a subnormal's exponent is that of the smallest double, not one
/// less, as 2 to the power of that would be 0; and what is no number is 0 times infinity.
pub fn parts(value: f64) -> Parts {
    let bits = value.to_bits();
    let sign = if value.is_sign_negative() { -1 } else { 1 };
    let mantissa = bits & (IMPLICIT - 1);
    match (bits >> 52) & 0x7ff {
        _ if value.is_nan() => (0, 1024, 1),
        0 => (mantissa, SMALLEST, sign),
        exponent => (mantissa | IMPLICIT, i16::try_from(exponent).unwrap_or(0) - 1075, sign),
    }
}

/// The double of which the host made `parts`: mantissa, exponent and sign of its IEEE 754 representation, a subnormal's
/// mantissa doubled.
pub fn double(parts: Parts) -> f64 {
    let (mantissa, exponent, sign) = parts;
    let size = if exponent < SMALLEST {
        f64::from_bits((mantissa >> 1) & (IMPLICIT - 1))
    } else if mantissa < IMPLICIT {
        // Ours, should the host give them back as they came.
        if exponent >= 1024 { f64::NAN } else { f64::from_bits(mantissa) }
    } else if exponent >= INFINITE {
        if mantissa == IMPLICIT { f64::INFINITY } else { f64::NAN }
    } else {
        let biased = u64::try_from(i32::from(exponent) + 1075).unwrap_or(0);
        f64::from_bits((mantissa & (IMPLICIT - 1)) | (biased << 52))
    };
    if sign < 0 { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::{Parts, double, parts};

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

    /// What the host makes of parts.
    fn product((mantissa, exponent, sign): Parts) -> f64 {
        f64::from(sign) * (mantissa as f64) * 2_f64.powf(f64::from(exponent))
    }

    /// What the host makes of a double: its mantissa with the implicit digit, or doubled where there is none.
    fn decoded(value: f64) -> Parts {
        let bits = value.to_bits();
        let exponent = ((bits >> 52) & 0x7ff) as i16;
        let mantissa = if exponent == 0 {
            (bits & 0xf_ffff_ffff_ffff) << 1
        } else {
            (bits & 0xf_ffff_ffff_ffff) | 0x10_0000_0000_0000
        };
        (mantissa, exponent - 1075, if bits >> 63 == 0 { 1 } else { -1 })
    }

    fn many() -> impl Iterator<Item = f64> {
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
    fn the_host_makes_the_same_double() {
        for value in many() {
            assert_eq!(product(parts(value)).to_bits(), value.to_bits(), "{value:e}");
        }
        assert!(product(parts(f64::NAN)).is_nan());
    }

    #[test]
    fn the_hosts_parts_are_the_same_double() {
        for value in many() {
            assert_eq!(double(decoded(value)).to_bits(), value.to_bits(), "{value:e}");
            assert_eq!(double(parts(value)).to_bits(), value.to_bits(), "{value:e}");
        }
        assert!(double(decoded(f64::NAN)).is_nan() && double(parts(f64::NAN)).is_nan());
    }
}
