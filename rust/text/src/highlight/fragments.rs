//! The pieces of a text that show most of what was looked for.

use super::Mark;

/// How much of a text is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentOptions {
    /// At most so many pieces.
    pub count: usize,
    /// About so long, in characters.
    pub length: usize,
}

impl Default for FragmentOptions {
    fn default() -> FragmentOptions {
        FragmentOptions {
            count: 3,
            length: 160,
        }
    }
}

/// A piece of a text. All offsets are in characters (code points), as Python counts them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// The piece.
    pub text: String,
    /// Where it begins in the whole text.
    pub start: usize,
    /// Beginnings and ends of what to mark in `text`.
    pub marks: Vec<(usize, usize)>,
}

/// Marks that fit into one piece, and what they are worth.
#[derive(Clone, Copy)]
struct Window {
    first: usize,
    last: usize,
    terms: usize,
}

pub(super) fn cut(text: &str, marks: &[Mark], options: &FragmentOptions) -> Vec<Fragment> {
    if marks.is_empty() || options.count == 0 {
        return Vec::new();
    }
    let length = options.length.max(1);
    let mut windows = best_windows(text, marks, length);
    windows.sort_by_key(|window| {
        (
            usize::MAX - window.terms,
            usize::MAX - (window.last - window.first),
            window.first,
        )
    });
    let mut chosen: Vec<Window> = Vec::new();
    for window in windows {
        if chosen.len() == options.count {
            break;
        }
        if chosen
            .iter()
            .all(|it| window.last < it.first || it.last < window.first)
        {
            chosen.push(window);
        }
    }
    chosen.sort_by_key(|window| window.first);
    let mut from = 0;
    let mut counted = Counter::new(text);
    let mut fragments = Vec::new();
    for (at, window) in chosen.iter().enumerate() {
        let to = chosen
            .get(at + 1)
            .map_or(text.len(), |next| marks[next.first].start);
        let (start, end) = bounds(text, marks, *window, length, from, to);
        fragments.push(Fragment {
            text: text[start..end].to_owned(),
            start: counted.to(start),
            marks: marks[window.first..=window.last]
                .iter()
                .map(|mark| (counted.to(mark.start), counted.to(mark.end)))
                .collect(),
        });
        from = end;
    }
    for fragment in &mut fragments {
        for mark in &mut fragment.marks {
            *mark = (mark.0 - fragment.start, mark.1 - fragment.start);
        }
    }
    fragments
}

/// For each mark, the most marks after it that fit into a piece that begins with it.
fn best_windows(text: &str, marks: &[Mark], length: usize) -> Vec<Window> {
    let mut counter = Counter::new(text);
    let places: Vec<(usize, usize)> = marks
        .iter()
        .map(|mark| (counter.to(mark.start), counter.to(mark.end)))
        .collect();
    let mut windows: Vec<Window> = Vec::with_capacity(marks.len());
    let mut seen: Vec<usize> = Vec::new();
    let mut last = 0;
    for first in 0..marks.len() {
        last = last.max(first);
        while last + 1 < marks.len() && places[last + 1].1 - places[first].0 <= length {
            last += 1;
        }
        // What the window before shows already is no new window.
        if windows.last().is_some_and(|before| before.last == last) {
            continue;
        }
        seen.clear();
        seen.extend(marks[first..=last].iter().map(|mark| mark.term));
        seen.sort_unstable();
        seen.dedup();
        windows.push(Window {
            first,
            last,
            terms: seen.len(),
        });
    }
    windows
}

/// Where a piece begins and ends: its marks in the middle, whole words, nothing of its neighbours.
fn bounds(
    text: &str,
    marks: &[Mark],
    window: Window,
    length: usize,
    from: usize,
    to: usize,
) -> (usize, usize) {
    let (first, last) = (marks[window.first].start, marks[window.last].end);
    let spare = length.saturating_sub(text[first..last].chars().count());
    let before: usize = text[from..first]
        .chars()
        .rev()
        .take(spare / 2)
        .map(char::len_utf8)
        .sum();
    let used = text[first - before..first].chars().count();
    let after: usize = text[last..to.max(last)]
        .chars()
        .take(spare - used)
        .map(char::len_utf8)
        .sum();
    let used = used + text[last..last + after].chars().count();
    // What the end of the text leaves over is given to the beginning.
    let more: usize = text[from..first - before]
        .chars()
        .rev()
        .take(spare - used.min(spare))
        .map(char::len_utf8)
        .sum();
    let mut start = first - before - more;
    let mut end = last + after;
    if start > from
        && let Some(space) = text[start..first].find(char::is_whitespace)
    {
        start += space;
    }
    if end < text.len()
        && let Some(space) = text[last..end].rfind(char::is_whitespace)
    {
        end = last + space;
    }
    start += text[start..first].len() - text[start..first].trim_start().len();
    end -= text[last..end].len() - text[last..end].trim_end().len();
    (start, end)
}

/// Bytes to characters, for places that mostly ascend.
struct Counter<'a> {
    text: &'a str,
    byte: usize,
    character: usize,
}

impl<'a> Counter<'a> {
    fn new(text: &'a str) -> Counter<'a> {
        Counter {
            text,
            byte: 0,
            character: 0,
        }
    }

    fn to(&mut self, byte: usize) -> usize {
        if byte < self.byte {
            self.character -= self.text[byte..self.byte].chars().count();
        } else {
            self.character += self.text[self.byte..byte].chars().count();
        }
        self.byte = byte;
        self.character
    }
}
