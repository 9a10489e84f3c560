//! Percentiles of measured times.

/// The value that this share of the sorted ones does not exceed; of nothing there is none.
pub fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(place.saturating_sub(1)).copied()
}
