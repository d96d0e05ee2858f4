//! Who keeps a conversation: weighted rendezvous hashing.
//!
//! Every deployment draws a number for the key, as if by chance, but the same one in every worker, replica and
//! architecture; the best number keeps the key. So there is no table that could grow, be lost or be shared: while a
//! deployment is left alone only its own keys move, each to its second best, and they come back when it does. A
//! deployment that is added takes its share from all others and moves no other key.
//!
//! ## The number
//!
//! `h` is the finalizer of splitmix64 over the key and the deployment's number, `u` are its upper bits as a fraction
//! between 0 and 1, and the lowest `-ln(u) / weight` wins: the first of several exponential clocks to ring, each at the
//! rate of its weight, which is each of them with the probability of its share.
//!
//! The logarithm is our own, made of `+ - * /` alone: IEEE 754 defines these to the bit, and leaves `ln` to each
//! platform's library.

/// How little `deployment` is suited to keep `key`: the lowest cost keeps it. `weight` is above zero.
pub(super) fn cost(key: u64, deployment: u64, weight: u64) -> f64 {
    minus_ln(mix(key ^ mix(deployment))) / weight as f64
}

/// The finalizer of splitmix64, which spreads every bit over all others; without a fixed point at zero.
///
/// Source: Guy L. Steele, Doug Lea, Christine H. Flood, "Fast Splittable Pseudorandom Number Generators", in the
/// constants of Sebastiano Vigna <https://prng.di.unimi.it/splitmix64.c>, read 2026-11-23.
const fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// `-ln(u)`, where `u` is the upper 53 bits of `hash` as a fraction, made odd so that it is neither 0 nor 1.
///
/// `u = m * 2^e` with `m` between the root of 1/2 and the root of 2, and `ln(m) = 2 artanh((m - 1) / (m + 1))`. Nine
/// terms of the series leave an error below 1e-15.
fn minus_ln(hash: u64) -> f64 {
    let u = ((hash >> 11) | 1) as f64 / (1u64 << 53) as f64;
    let bits = u.to_bits();
    let exponent = (bits >> 52) as i64 - 1023;
    let mantissa = f64::from_bits((bits & MANTISSA) | ONE);
    let (m, e) = if mantissa > std::f64::consts::SQRT_2 {
        (mantissa / 2.0, (exponent + 1) as f64)
    } else {
        (mantissa, exponent as f64)
    };
    let s = (m - 1.0) / (m + 1.0);
    let square = s * s;
    let series = [17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0].iter().fold(1.0 / 19.0, |sum, n| sum * square + 1.0 / n);
    -(e * std::f64::consts::LN_2 + 2.0 * s * (series * square + 1.0))
}

/// The mantissa's bits of an `f64`.
const MANTISSA: u64 = (1 << 52) - 1;
/// The bits of 1.0.
const ONE: u64 = 1023 << 52;

#[cfg(test)]
mod tests {
    use super::{cost, minus_ln, mix};
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn the_logarithm_is_one() {
        let mut hash = 1;
        for _ in 0..10_000 {
            hash = mix(hash);
            for hash in [hash, hash >> 40, hash | u64::MAX << 20] {
                let u = ((hash >> 11) | 1) as f64 / 9_007_199_254_740_992.0;
                let error = (minus_ln(hash) + u.ln()).abs();
                assert!(error <= 1e-14 * u.ln().abs().max(1e-2), "{hash:x}: {error:e}");
                assert!(minus_ln(hash) > 0.0, "{hash:x}");
            }
        }
    }

    /// To the bit: the sum was computed by a Python script, too.
    #[wasm_bindgen_test(unsupported = test)]
    fn the_cost_is_the_same_everywhere() {
        let sum = (0..1000u64).fold(0u64, |sum, i| sum.rotate_left(1) ^ cost(i, i ^ 77, 1 + i % 7).to_bits());
        assert_eq!(sum, 1_305_689_527_208_620_906);
    }
}
