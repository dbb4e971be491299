//! Which of many names was meant.

/// The candidate nearest to `name`, if one is near enough to be what was meant.
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mine: Vec<char> = name.to_lowercase().chars().collect();
    let mut theirs: Vec<char> = Vec::new();
    let mut rows = Rows::default();
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        theirs.clear();
        theirs.extend(candidate.chars().flat_map(char::to_lowercase));
        // A third of the letters may differ, but never all of them: `x` is no slip for `b`.
        let Some(fewer) = mine.len().min(theirs.len()).checked_sub(1) else { continue };
        let most = (mine.len().max(theirs.len()) / 3).max(1).min(fewer);
        let most = best.map_or(most, |(distance, _)| most.min(distance));
        if let Some(distance) = rows.distance(&mine, &theirs, most)
            && best.is_none_or(|best| (distance, candidate) < best)
        {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// The last rows of the table of distances, kept between names.
#[derive(Default)]
struct Rows {
    two_above: Vec<usize>,
    above: Vec<usize>,
    row: Vec<usize>,
}

impl Rows {
    /// How many letters are to be inserted, taken out, replaced or swapped with their neighbour to make one name of
    /// the other; None if more than `most`. Only what lies within `most` of the diagonal can come to so little.
    #[allow(clippy::indexing_slicing, reason = "a row has a place before the first and for each letter of `b`")]
    fn distance(&mut self, a: &[char], b: &[char], most: usize) -> Option<usize> {
        if a.len().abs_diff(b.len()) > most {
            return None;
        }
        let far = most + 1;
        for row in [&mut self.two_above, &mut self.above, &mut self.row] {
            row.clear();
            row.resize(b.len() + 1, far);
        }
        for (at, place) in self.above.iter_mut().enumerate().take(far) {
            *place = at;
        }
        for i in 1..=a.len() {
            self.row.fill(far);
            if i <= most {
                self.row[0] = i;
            }
            let mut least = self.row[0];
            for j in i.saturating_sub(most).max(1)..=(i + most).min(b.len()) {
                let changed = self.above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut distance = changed.min(self.above[j] + 1).min(self.row[j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    distance = distance.min(self.two_above[j - 2] + 1);
                }
                self.row[j] = distance.min(far);
                least = least.min(distance);
            }
            if least > most {
                return None;
            }
            std::mem::swap(&mut self.two_above, &mut self.above);
            std::mem::swap(&mut self.above, &mut self.row);
        }
        self.above.get(b.len()).copied().filter(|distance| *distance <= most)
    }
}

#[cfg(test)]
mod tests {
    use super::{Rows, did_you_mean};

    #[test]
    fn the_nearest_name_is_found() {
        let names = ["install", "instance", "in", "Package", "b"];
        for (name, meant) in [
            ("instal", Some("install")),
            ("isntall", Some("install")),
            ("instanec", Some("instance")),
            ("pakcage", Some("Package")),
            ("PACKAGES", Some("Package")),
            ("x", None),
            ("", None),
            ("nothing", None),
        ] {
            assert_eq!(did_you_mean(name, names), meant, "{name}");
        }
        // Of two as near, the first by name, in whatever order they stand.
        assert_eq!(did_you_mean("value3", ["value2", "value1"]), Some("value1"));
        assert_eq!(did_you_mean("value3", ["value1", "value2"]), Some("value1"));
    }

    proptest::proptest! {
        #[test]
        fn distances_are_what_they_are_called(a in "[abcd]{0,9}", b in "[abcd]{0,9}", most in 0usize..6) {
            let (x, y): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            let wanted = Some(strsim::osa_distance(&a, &b)).filter(|distance| *distance <= most);
            let mut rows = Rows::default();
            proptest::prop_assert_eq!(rows.distance(&x, &y, most), wanted);
            // What an earlier name has left doesn't count.
            proptest::prop_assert_eq!(rows.distance(&y, &x, most), wanted);
        }
    }
}
