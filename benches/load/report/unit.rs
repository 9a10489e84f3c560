//! Numbers for people: three digits that count, with a unit that fits.

/// What there is nothing to say about.
const NOTHING: &str = "–";

/// A plain number.
pub fn count(value: f64) -> String {
    if value >= 1000.0 { thousands(value.round()) } else { digits(value) }
}

/// Microseconds, as whatever unit fits.
pub fn time(microseconds: Option<f64>) -> String {
    match microseconds {
        None => NOTHING.to_owned(),
        Some(us) if us >= 999_500.0 => format!("{} s", digits(us / 1e6)),
        Some(us) if us >= 999.5 => format!("{} ms", digits(us / 1e3)),
        Some(us) => format!("{} µs", digits(us)),
    }
}

/// Bytes, as whatever unit of 1000 fits.
pub fn bytes(bytes: f64) -> String {
    match bytes.abs() {
        size if size >= 999.5e6 => format!("{} GB", digits(bytes / 1e9)),
        size if size >= 999.5e3 => format!("{} MB", digits(bytes / 1e6)),
        size if size >= 999.5 => format!("{} kB", digits(bytes / 1e3)),
        _ => format!("{} B", digits(bytes)),
    }
}

/// A multiple.
pub fn times(ratio: Option<f64>) -> String {
    ratio.map_or(NOTHING.to_owned(), |ratio| format!("{ratio:.2}"))
}

/// A share, in percent.
pub fn percent(share: Option<f64>) -> String {
    share.map_or(NOTHING.to_owned(), |share| format!("{:.0} %", share * 100.0))
}

/// Three digits that count.
fn digits(value: f64) -> String {
    match value.abs() {
        size if size >= 99.95 || size == 0.0 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
