//! The distance of fuzzy search: how many characters have to be put in, left out, replaced or swapped with their
//! neighbour to make one word of another, each counted as one and no character touched twice
//! (optimal string alignment).

/// Whether `a` and `b` are at most `most` edits apart, counted in code points.
pub fn within(a: &str, b: &str, most: u8) -> bool {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let most = usize::from(most);
    if a.len().abs_diff(b.len()) > most {
        return false;
    }
    let mut before_last = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut row = vec![0; b.len() + 1];
    for i in 1..=a.len() {
        row[0] = i;
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        if row.iter().min().is_some_and(|&least| least > most) {
            return false;
        }
        std::mem::swap(&mut before_last, &mut last);
        std::mem::swap(&mut last, &mut row);
    }
    last[b.len()] <= most
}

#[cfg(test)]
mod tests {
    use super::within;

    #[test]
    fn each_edit_counts_one() {
        for (a, b) in [
            ("cat", "cart"),
            ("cart", "cat"),
            ("cat", "cut"),
            ("cat", "act"),
            ("żal", "zal"),
        ] {
            assert!(within(a, b, 1), "{a} {b}");
            assert!(!within(a, b, 0), "{a} {b}");
        }
        assert!(within("kitten", "sittin", 2) && !within("kitten", "sitting", 2));
        assert!(within("", "ab", 2) && !within("", "abc", 2));
        assert!(
            !within("ca", "abc", 2),
            "a swapped pair is not touched again"
        );
    }
}
