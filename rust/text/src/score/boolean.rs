//! All of some, any of others, none of a third kind.

use super::scorer::Scorer;
use crate::index::Result;
use crate::index::cursor::END;

/// See the module. At least one of `must` and `should` has something in it.
pub(crate) struct Boolean<'r> {
    /// Those with the fewest documents first.
    must: Vec<Box<dyn Scorer + 'r>>,
    should: Vec<(Box<dyn Scorer + 'r>, u32)>,
    must_not: Vec<Box<dyn Scorer + 'r>>,
    doc: Option<u32>,
}

impl<'r> Boolean<'r> {
    pub(crate) fn new(
        mut must: Vec<Box<dyn Scorer + 'r>>,
        should: Vec<Box<dyn Scorer + 'r>>,
        must_not: Vec<Box<dyn Scorer + 'r>>,
    ) -> Self {
        must.sort_by_key(|scorer| scorer.cost());
        Self {
            must,
            should: should.into_iter().map(|scorer| (scorer, 0)).collect(),
            must_not,
            doc: None,
        }
    }

    fn candidate(&mut self, mut target: u32) -> Result<u32> {
        let Some((first, rest)) = self.must.split_first_mut() else {
            let mut least = END;
            for (scorer, doc) in &mut self.should {
                *doc = scorer.seek(target)?;
                least = least.min(*doc);
            }
            return Ok(least);
        };
        'candidates: loop {
            let doc = first.seek(target)?;
            if doc == END {
                return Ok(END);
            }
            for other in rest.iter_mut() {
                let found = other.seek(doc)?;
                if found != doc {
                    if found == END {
                        return Ok(END);
                    }
                    target = found;
                    continue 'candidates;
                }
            }
            return Ok(doc);
        }
    }
}

impl Scorer for Boolean<'_> {
    fn seek(&mut self, mut target: u32) -> Result<u32> {
        if let Some(doc) = self.doc
            && doc >= target
        {
            return Ok(doc);
        }
        'candidates: loop {
            let doc = self.candidate(target)?;
            if doc != END {
                for excluded in &mut self.must_not {
                    if excluded.seek(doc)? == doc {
                        target = doc + 1;
                        continue 'candidates;
                    }
                }
            }
            self.doc = Some(doc);
            return Ok(doc);
        }
    }

    fn score(&mut self) -> Result<f32> {
        let doc = self.doc.unwrap_or(END);
        let mut sum = 0.0;
        for scorer in &mut self.must {
            sum += f64::from(scorer.score()?);
        }
        for (scorer, at) in &mut self.should {
            if !self.must.is_empty() {
                *at = scorer.seek(doc)?;
            }
            if *at == doc {
                sum += f64::from(scorer.score()?);
            }
        }
        Ok(sum as f32)
    }

    fn bound(&mut self, low: u32, high: u32) -> Result<f32> {
        if self.doc.is_some_and(|doc| doc >= high) {
            return Ok(0.0);
        }
        let mut sum = 0.0;
        for scorer in &mut self.must {
            let bound = scorer.bound(low, high)?;
            sum += bound;
        }
        for (scorer, _) in &mut self.should {
            sum += scorer.bound(low, high)?;
        }
        // Its parts may have moved: the next seek looks again.
        if self.doc.is_some_and(|doc| doc < low) {
            self.doc = None;
        }
        Ok(sum)
    }

    fn cost(&self) -> u64 {
        match self.must.first() {
            Some(first) => first.cost(),
            None => self.should.iter().map(|(scorer, _)| scorer.cost()).sum(),
        }
    }
}
