//! How far each unsynced thing got when the crash came.

use super::random::SplitMix64;

/// Answers one question after the other, always in the same order for the same state.
pub(super) trait Choose {
    /// A number from 0 (nothing landed) to `most` (everything did).
    fn choose(&mut self, most: usize) -> usize;
}

/// Counts the questions that have more than one answer, and all combinations of answers.
pub(super) struct Count {
    pub questions: usize,
    pub combinations: usize,
}

impl Choose for Count {
    fn choose(&mut self, most: usize) -> usize {
        if most > 0 {
            self.questions += 1;
            self.combinations = self.combinations.saturating_mul(most + 1);
        }
        most
    }
}

/// The combination with a number, as digits of a mixed base.
pub(super) struct Combination {
    pub rest: usize,
}

impl Choose for Combination {
    fn choose(&mut self, most: usize) -> usize {
        let digit = self.rest % (most + 1);
        self.rest /= most + 1;
        digit
    }
}

/// Answers by chance, in one of several manners: those that find bugs are rarely the even ones.
pub(super) struct Chance {
    random: SplitMix64,
    manner: Manner,
    asked: usize,
}

enum Manner {
    Nothing,
    Everything,
    /// Each on its own lands fully in so many of eight cases, else partly.
    Often(usize),
    AllBut(usize),
    Only(usize),
    /// Those asked about first land, the later ones do not, or the other way round.
    Before(usize),
    After(usize),
}

impl Chance {
    /// The answers of image `index` among those of one point, given how many questions there are.
    pub fn new(index: usize, questions: usize, mut random: SplitMix64) -> Self {
        let manner = match index {
            0 => Manner::Nothing,
            1 => Manner::Everything,
            _ => {
                let one = random.below(questions.max(1));
                match random.below(8) {
                    0 => Manner::AllBut(one),
                    1 => Manner::Only(one),
                    2 => Manner::Before(one),
                    3 => Manner::After(one),
                    4 => Manner::Often(7),
                    5 => Manner::Often(1),
                    _ => Manner::Often(4),
                }
            }
        };
        Self {
            random,
            manner,
            asked: 0,
        }
    }
}

impl Choose for Chance {
    fn choose(&mut self, most: usize) -> usize {
        if most == 0 {
            return 0;
        }
        let number = self.asked;
        self.asked += 1;
        let landed = match self.manner {
            Manner::Nothing => false,
            Manner::Everything => true,
            Manner::AllBut(one) => number != one,
            Manner::Only(one) => number == one,
            Manner::Before(one) => number < one,
            Manner::After(one) => number >= one,
            Manner::Often(eighths) => {
                if self.random.chance(eighths, 8) {
                    return most;
                }
                return self.random.below(most);
            }
        };
        if landed { most } else { 0 }
    }
}
