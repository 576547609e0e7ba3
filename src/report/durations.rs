//! Durations and their percentiles, in bounded memory.
//!
//! In: milliseconds. Out: mean, smallest, largest (exact) and percentiles. Promises: percentiles are those of the
//! nearest rank, exact up to [`EXACT_MAX`] values; beyond that they are at most [`ERROR_PERCENT`] % too small. On
//! failure: nothing can fail; what is no number is not added.

use super::tally::Merge;

/// As many values are kept as they are.
const EXACT_MAX: usize = 1 << 12;
/// Buckets for each power of two.
const PARTS: u64 = 256;
/// 1 / [`PARTS`] in percent.
#[cfg(test)]
const ERROR_PERCENT: f64 = 0.4;

/// Many durations.
#[derive(Clone, Debug, Default)]
pub struct Durations {
    count: u64,
    sum_ms: f64,
    least_ms: f64,
    most_ms: f64,
    exact: Vec<f64>,
    /// Nanoseconds in log-linear buckets: each power of two in [`PARTS`] equal ones.
    buckets: Vec<u64>,
}

impl Durations {
    /// Adds one.
    pub fn add(&mut self, ms: f64) {
        if !ms.is_finite() || ms < 0.0 {
            return;
        }
        self.most_ms = self.most_ms.max(ms);
        self.least_ms = if self.count == 0 { ms } else { self.least_ms.min(ms) };
        self.count += 1;
        self.sum_ms += ms;
        self.keep(ms);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their mean; 0 without any.
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum_ms / self.count as f64 }
    }

    /// The smallest and the largest one.
    pub fn bounds(&self) -> (f64, f64) {
        (self.least_ms, self.most_ms)
    }

    /// The values below which these percentages of all lie (nearest rank); 0 without any.
    pub fn percentiles<const N: usize>(&self, percent: [u64; N]) -> [f64; N] {
        let rank = |p: u64| (self.count * p).div_ceil(100).max(1);
        if self.count == 0 {
            return [0.0; N];
        }
        if self.buckets.is_empty() {
            let mut sorted = self.exact.clone();
            sorted.sort_by(f64::total_cmp);
            return percent.map(|p| sorted[rank(p) as usize - 1]);
        }
        percent.map(|p| self.bucketed(rank(p)))
    }

    fn keep(&mut self, ms: f64) {
        if self.buckets.is_empty() {
            if self.exact.len() < EXACT_MAX {
                return self.exact.push(ms);
            }
            self.pour();
        }
        self.count_in_bucket(ms);
    }

    /// Into buckets.
    fn pour(&mut self) {
        self.buckets.resize(1, 0);
        for ms in std::mem::take(&mut self.exact) {
            self.count_in_bucket(ms);
        }
    }

    fn count_in_bucket(&mut self, ms: f64) {
        let bucket = bucket_of((ms * 1e6) as u64);
        if bucket >= self.buckets.len() {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += 1;
    }

    fn bucketed(&self, rank: u64) -> f64 {
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return (least_of(bucket) as f64 / 1e6).clamp(self.least_ms, self.most_ms);
            }
        }
        self.most_ms
    }
}

impl Merge for Durations {
    fn merge(&mut self, mut other: Durations) {
        if other.count == 0 {
            return;
        }
        self.least_ms =
            if self.count == 0 { other.least_ms } else { self.least_ms.min(other.least_ms) };
        self.most_ms = self.most_ms.max(other.most_ms);
        self.count += other.count;
        self.sum_ms += other.sum_ms;
        if !other.buckets.is_empty() && self.buckets.is_empty() {
            self.pour();
        }
        for ms in std::mem::take(&mut other.exact) {
            self.keep(ms);
        }
        if self.buckets.len() < other.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        for (own, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *own += theirs;
        }
    }

    fn count(&self) -> u64 {
        self.count
    }
}

fn bucket_of(ns: u64) -> usize {
    if ns < PARTS {
        return ns as usize;
    }
    let power = u64::from(ns.ilog2() - PARTS.ilog2());
    ((power + 1) * PARTS + ((ns >> power) - PARTS)) as usize
}

/// The smallest value of a bucket.
fn least_of(bucket: usize) -> u64 {
    let (power, part) = (bucket as u64 / PARTS, bucket as u64 % PARTS);
    if power == 0 { part } else { (PARTS + part) << (power - 1) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::float_cmp, reason = "the figures are exact")]
    use super::*;

    fn of(values: impl IntoIterator<Item = f64>) -> Durations {
        let mut all = Durations::default();
        values.into_iter().for_each(|v| all.add(v));
        all
    }

    #[test]
    fn few_are_exact() {
        let all = of([4.0, 1.0, 3.0, 2.0, f64::NAN, -1.0, f64::INFINITY]);
        assert_eq!((all.count(), all.mean(), all.bounds()), (4, 2.5, (1.0, 4.0)));
        assert_eq!(all.percentiles([0, 25, 50, 75, 76, 100]), [1.0, 1.0, 2.0, 3.0, 4.0, 4.0]);
        assert_eq!(Durations::default().percentiles([50]), [0.0]);
    }

    #[test]
    fn many_are_nearly_exact_and_threads_add_up() {
        for count in [EXACT_MAX, EXACT_MAX + 1, 100_000] {
            let mut parts: Vec<Durations> =
                (0..3).map(|n| of((0..count).skip(n).step_by(3).map(|v| v as f64 / 7.0))).collect();
            let mut all = Durations::default();
            parts.drain(..).for_each(|part| all.merge(part));
            assert_eq!(all.count(), count as u64);
            for percent in [1_u64, 50, 95, 99, 100] {
                let exact = ((count as u64 * percent).div_ceil(100).max(1) - 1) as f64 / 7.0;
                let [found] = all.percentiles([percent]);
                let wrong = (exact - found) / exact.max(1e-9) * 100.0;
                assert!(
                    (-1e-6..=ERROR_PERCENT).contains(&wrong),
                    "{count} {percent}: {exact} {found}"
                );
            }
        }
    }

    #[test]
    fn each_value_is_in_the_bucket_that_begins_below_it() {
        for ns in (0..5000).chain([u64::from(u32::MAX), u64::MAX / 3, u64::MAX]) {
            let bucket = bucket_of(ns);
            assert!(least_of(bucket) <= ns, "{ns}");
            assert!(bucket_of(ns) < 60 * PARTS as usize, "{ns}: bounded");
            assert!(
                ns == u64::MAX || least_of(bucket + 1) > ns || bucket_of(ns + 1) == bucket,
                "{ns}"
            );
        }
    }
}
