//! Small charts of letters.
//!
//! In: numbers. Out: bars. Promises: the largest fills the width; what is not nothing shows at least a sliver.
//! On failure: nothing can fail.

/// A bar, eighths of a letter exact.
pub(super) fn bar(value: f64, most: f64, width: usize) -> String {
    const PARTS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];
    if value <= 0.0 || most <= 0.0 {
        return String::new();
    }
    let eighths = ((value / most).min(1.0) * (width * 8) as f64).round().max(1.0) as usize;
    let mut bar = "█".repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        bar.push(PARTS[eighths % 8 - 1]);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_they_mean() {
        let bars = [0.0, 0.001, 1.0, 5.0, 10.0, 20.0].map(|v| bar(v, 10.0, 10));
        assert_eq!(bars, ["", "▏", "█", "█████", "██████████", "██████████"]);
        assert_eq!(bar(1.0, 0.0, 10), "");
    }
}
