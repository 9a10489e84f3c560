//! The buckets that request times are counted in.

/// The upper bounds of the buckets in nanoseconds: 1, 2, 5, 10 and so on from 1 µs to 20 s, then one minute.
/// One more bucket has the times above.
pub const BOUNDS: [u64; 24] = {
    let mut bounds = [0; 24];
    let (mut at, mut decade) = (0, 1000);
    while at < bounds.len() {
        bounds[at] = [1, 2, 5][at % 3] * decade;
        at += 1;
        if at % 3 == 0 {
            decade *= 10;
        }
    }
    bounds[23] = 60_000_000_000;
    bounds
};

/// The number of buckets, with the one above all bounds.
pub const BUCKETS: usize = BOUNDS.len() + 1;

/// The first bucket for a time of this many binary digits.
const FIRST_BUCKET: [u8; 65] = {
    let mut first = [0; 65];
    let mut digits = 1;
    while digits <= 64 {
        let least = 1u64 << (digits - 1);
        let mut bucket = 0;
        while bucket < BOUNDS.len() && BOUNDS[bucket] < least {
            bucket += 1;
        }
        first[digits] = bucket as u8;
        digits += 1;
    }
    first
};

/// The bucket of a time in nanoseconds; a bound belongs to the bucket below it.
pub(super) fn bucket(nanoseconds: u64) -> usize {
    let digits = 64 - nanoseconds.leading_zeros() as usize;
    let mut bucket = usize::from(FIRST_BUCKET[digits]);
    while bucket < BOUNDS.len() && nanoseconds > BOUNDS[bucket] {
        bucket += 1;
    }
    bucket
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_falls_into_the_bucket_of_the_least_bound_that_is_not_below_it() {
        assert_eq!(BOUNDS[..5], [1000, 2000, 5000, 10_000, 20_000]);
        assert_eq!(BOUNDS[21..], [10_000_000_000, 20_000_000_000, 60_000_000_000]);
        let expected = |time| BOUNDS.iter().position(|&bound| time <= bound).unwrap_or(BOUNDS.len());
        let near = BOUNDS.iter().flat_map(|&bound| [bound - 1, bound, bound + 1]);
        let powers = (0..64).flat_map(|digit| [(1 << digit) - 1, 1 << digit, (1 << digit) + 1]);
        for time in near.chain(powers).chain([0, u64::MAX]) {
            assert_eq!(bucket(time), expected(time), "{time}");
        }
    }
}
