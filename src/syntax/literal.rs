//! Durations and sizes as they are written, in expressions and in arguments alike.

use std::time::Duration;

/// `90s`, `10m`, `1h30m`, `500ms`, `2d`; None for anything else, a bare number among it.
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    let mut last = u64::MAX;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let millis = match unit {
            "d" => 86_400_000,
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1000,
            "ms" => 1,
            _ => return None,
        };
        // Each unit once, the larger first.
        if millis >= last {
            return None;
        }
        last = millis;
        let number: u64 = number.parse().ok()?;
        total = total.checked_add(Duration::from_millis(number.checked_mul(millis)?))?;
        rest = tail;
    }
    Some(total)
}

/// `512MiB`, `8GB` (which is 8 GiB), in bytes; None for anything else, a bare number among it.
pub fn size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let shift = match unit {
        "B" => 0,
        "KB" | "KiB" => 10,
        "MB" | "MiB" => 20,
        "GB" | "GiB" => 30,
        "TB" | "TiB" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let ms = |t| duration(t).map(|d| d.as_millis());
        assert_eq!(ms("1h30m"), Some(5_400_000));
        assert_eq!(ms("500ms"), Some(500));
        assert_eq!(ms("1d2h3m4s5ms"), Some(93_784_005));
        for wrong in ["", "10", "m", "10min", "30m1h", "1m1m", "1.5h", "99999999999999999999s", "99999999999999999d"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(size("8GB"), Some(8 << 30));
        assert_eq!(size("512MiB"), Some(512 << 20));
        assert_eq!(size("0B"), Some(0));
        for wrong in ["", "8", "GB", "8G", "8gb", "1.5GB", "99999999999TB"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }
}
