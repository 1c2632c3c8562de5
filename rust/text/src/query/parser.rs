//! What people type, as a [`Node`].
//!
//! ```text
//! sequence    := expression*                       any of them (or all: see `Joined`), best first
//! expression  := conjunction ("OR" conjunction)*
//! conjunction := unary ("AND" unary)*
//! unary       := "NOT" unary | "+" primary | "-" primary | primary      + must, - must not
//! primary     := (field ":")? (word | phrase | "(" sequence ")" | "*") ("^" number)?
//! word        := characters, \ before one that means something; then "*" (beginning) or "~" 1|2 (fuzzy)
//! phrase      := '"' characters '"' ("~" slop)?
//! ```

use super::node::{self, DEPTH_MAX, Leaf, NODES_MAX, Node, Occur, SLOP_MAX};
use super::{Joined, QueryError};
use crate::schema::Schema;

type Result<T> = std::result::Result<T, QueryError>;

/// The longest query, in characters.
const CHARACTERS_MAX: usize = 1 << 16;

pub(super) struct Parser<'a> {
    chars: Vec<char>,
    at: usize,
    schema: &'a Schema,
    joined: Joined,
    nodes: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &str, schema: &'a Schema, joined: Joined) -> Parser<'a> {
        Parser {
            chars: text.chars().collect(),
            at: 0,
            schema,
            joined,
            nodes: 0,
            depth: 0,
        }
    }

    pub(super) fn parse(mut self, fields: Option<&[u16]>) -> Result<Node> {
        if self.chars.len() > CHARACTERS_MAX {
            return Err(QueryError::at(
                CHARACTERS_MAX,
                format!("a query has at most {CHARACTERS_MAX} characters"),
            ));
        }
        let node = self.sequence(fields)?;
        match self.peek() {
            None => Ok(node),
            Some(_) => Err(self.wrong("this ) closes nothing: leave it out, or write \\)")),
        }
    }

    fn sequence(&mut self, fields: Option<&[u16]>) -> Result<Node> {
        let mut clauses = Vec::new();
        loop {
            self.skip_space();
            if matches!(self.peek(), None | Some(')')) {
                return Ok(Node::Group(clauses));
            }
            let (occur, node) = self.expression(fields)?;
            let occur = match occur {
                Occur::Should if self.joined == Joined::All => Occur::Must,
                other => other,
            };
            clauses.push((occur, node));
        }
    }

    fn expression(&mut self, fields: Option<&[u16]>) -> Result<(Occur, Node)> {
        let first = self.conjunction(fields)?;
        if !self.operator("OR") {
            return Ok(first);
        }
        let mut alternatives = vec![alternative(first)];
        loop {
            alternatives.push(alternative(self.conjunction(fields)?));
            if !self.operator("OR") {
                return Ok((Occur::Should, Node::Group(alternatives)));
            }
        }
    }

    fn conjunction(&mut self, fields: Option<&[u16]>) -> Result<(Occur, Node)> {
        let first = self.unary(fields)?;
        if !self.operator("AND") {
            return Ok(first);
        }
        let mut clauses = vec![required(first)];
        loop {
            clauses.push(required(self.unary(fields)?));
            if !self.operator("AND") {
                return Ok((Occur::Should, Node::Group(clauses)));
            }
        }
    }

    fn unary(&mut self, fields: Option<&[u16]>) -> Result<(Occur, Node)> {
        self.skip_space();
        let began = self.at;
        if self.operator("NOT") {
            self.descend(began)?;
            let (occur, node) = self.unary(fields)?;
            self.depth -= 1;
            let occur = if occur == Occur::MustNot {
                Occur::Should
            } else {
                Occur::MustNot
            };
            return Ok((occur, node));
        }
        let occur = match self.peek() {
            Some('+') => Occur::Must,
            Some('-') => Occur::MustNot,
            _ => Occur::Should,
        };
        let marked = occur != Occur::Should;
        if marked
            && self
                .peek_at(1)
                .is_some_and(|c| !c.is_whitespace() && c != ')')
        {
            self.at += 1;
            return Ok((occur, self.primary(fields)?));
        }
        Ok((Occur::Should, self.primary(fields)?))
    }

    fn primary(&mut self, fields: Option<&[u16]>) -> Result<Node> {
        self.skip_space();
        let began = self.at;
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(self.wrong(format!("a query has at most {NODES_MAX} words and groups")));
        }
        for operator in ["AND", "OR", "NOT"] {
            if self.operator(operator) {
                return Err(QueryError::at(
                    began,
                    format!(
                        "{operator} needs a word before and after it (in lower case it is a word itself)"
                    ),
                ));
            }
        }
        let node = match self.peek() {
            None | Some(')') => {
                return Err(self.wrong("a word, a phrase or a group should stand here"));
            }
            Some('(') => self.group(fields)?,
            Some('"') => self.phrase(fields)?,
            Some('~' | '^') => {
                return Err(self.wrong(
                    "~ and ^ stand after a word; as part of one they are written \\~ and \\^",
                ));
            }
            Some('*') => {
                self.at += 1;
                if !self.word_ended() {
                    return Err(self.wrong_star(self.at - 1));
                }
                Node::Everything
            }
            Some(_) => match self.field()? {
                Some(number) => {
                    self.descend(began)?;
                    let node = self.primary(Some(&[number]))?;
                    self.depth -= 1;
                    return Ok(node);
                }
                None => self.word(fields)?,
            },
        };
        self.boosted(node)
    }

    fn group(&mut self, fields: Option<&[u16]>) -> Result<Node> {
        let opened = self.at;
        self.at += 1;
        self.descend(opened)?;
        let node = self.sequence(fields)?;
        self.depth -= 1;
        if self.peek() != Some(')') {
            return Err(QueryError::at(
                opened,
                "this ( is not closed: add a ), or write \\(",
            ));
        }
        self.at += 1;
        Ok(node)
    }

    fn phrase(&mut self, fields: Option<&[u16]>) -> Result<Node> {
        let opened = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.peek() {
                None => {
                    return Err(QueryError::at(
                        opened,
                        "this \" is not closed: add another, or write \\\"",
                    ));
                }
                Some('"') => break,
                Some('\\') => text.push(self.escaped()?),
                Some(c) => {
                    text.push(c);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        let slop = if self.peek() == Some('~') {
            let digits = self.digits();
            digits.parse().ok().filter(|&slop| slop <= SLOP_MAX).ok_or_else(|| {
                self.wrong(format!(
                    "after the ~ of a phrase stands how many places its words may be away, 0 to {SLOP_MAX}"
                ))
            })?
        } else {
            0
        };
        Ok(leaf(fields, text, Leaf::Phrase { slop }))
    }

    /// A field and its colon, when they stand here.
    fn field(&mut self) -> Result<Option<u16>> {
        let began = self.at;
        let mut end = self.at;
        while self
            .chars
            .get(end)
            .is_some_and(|&c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-'))
        {
            end += 1;
        }
        if end == began || self.chars.get(end) != Some(&':') {
            return Ok(None);
        }
        let name: String = self.chars[began..end].iter().collect();
        let number = node::field(self.schema, &name, Some(began))?;
        self.at = end + 1;
        self.skip_space();
        if matches!(self.peek(), None | Some(')')) {
            return Err(self.wrong(format!("after '{name}:' should stand what to look for")));
        }
        Ok(Some(number))
    }

    fn word(&mut self, fields: Option<&[u16]>) -> Result<Node> {
        let mut text = String::new();
        while !self.word_ended() {
            match self.peek() {
                Some('\\') => text.push(self.escaped()?),
                Some('*') => {
                    self.at += 1;
                    if !self.word_ended() {
                        return Err(self.wrong_star(self.at - 1));
                    }
                    return Ok(leaf(fields, text, Leaf::Prefix));
                }
                Some('~') => {
                    let distance =
                        match self.digits().as_str() {
                            "" | "1" => 1,
                            "2" => 2,
                            _ => return Err(self.wrong(
                                "after the ~ of a word stands 1 or 2: how many letters may differ",
                            )),
                        };
                    if !self.word_ended() {
                        return Err(self.wrong(
                            "~ stands at the end of a word; as part of one it is written \\~",
                        ));
                    }
                    return Ok(leaf(fields, text, Leaf::Fuzzy { distance }));
                }
                Some(c) => {
                    text.push(c);
                    self.at += 1;
                }
                None => break,
            }
        }
        Ok(leaf(fields, text, Leaf::Word))
    }

    fn boosted(&mut self, node: Node) -> Result<Node> {
        if self.peek() != Some('^') {
            return Ok(node);
        }
        let began = self.at;
        self.at += 1;
        let mut number = String::new();
        while let Some(c) = self.peek().filter(|&c| c.is_ascii_digit() || c == '.') {
            number.push(c);
            self.at += 1;
        }
        let factor = number.parse().map_err(|_| {
            QueryError::at(
                began,
                "after ^ stands a number, as in fox^2.5; as part of a word it is written \\^",
            )
        })?;
        Ok(Node::Boost(
            Box::new(node),
            node::boost(factor, Some(began))?,
        ))
    }

    fn escaped(&mut self) -> Result<char> {
        let Some(c) = self.peek_at(1) else {
            return Err(
                self.wrong("after \\ should stand the character it is for; \\\\ is a \\ itself")
            );
        };
        self.at += 2;
        Ok(c)
    }

    /// What follows `~`: digits, none being fine.
    fn digits(&mut self) -> String {
        self.at += 1;
        let mut digits = String::new();
        while let Some(c) = self.peek().filter(char::is_ascii_digit) {
            digits.push(c);
            self.at += 1;
        }
        digits
    }

    /// Take an operator, when it stands here as a word of its own.
    fn operator(&mut self, name: &str) -> bool {
        let began = self.at;
        self.skip_space();
        let length = name.len();
        let stands = self.chars[self.at..]
            .iter()
            .take(length)
            .copied()
            .eq(name.chars());
        let ends = self
            .peek_at(length)
            .is_none_or(|c| c.is_whitespace() || matches!(c, '(' | ')' | '"'));
        if stands && ends {
            self.at += length;
            return true;
        }
        self.at = began;
        false
    }

    fn descend(&mut self, at: usize) -> Result<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(QueryError::at(
                at,
                format!("a query is nested at most {DEPTH_MAX} deep"),
            ));
        }
        Ok(())
    }

    fn word_ended(&self) -> bool {
        self.peek()
            .is_none_or(|c| c.is_whitespace() || matches!(c, '(' | ')' | '"' | '^'))
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<char> {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn wrong(&self, message: impl Into<String>) -> QueryError {
        QueryError::at(self.at, message)
    }

    fn wrong_star(&self, at: usize) -> QueryError {
        QueryError::at(
            at,
            "* stands at the end of a word only, for everything that begins so; as part of one it is written \\*",
        )
    }
}

fn leaf(fields: Option<&[u16]>, text: String, kind: Leaf) -> Node {
    Node::Leaf {
        fields: fields.map(<[u16]>::to_vec),
        text,
        kind,
    }
}

/// A part of `a AND b`.
fn required((occur, node): (Occur, Node)) -> (Occur, Node) {
    match occur {
        Occur::MustNot => (Occur::MustNot, node),
        _ => (Occur::Must, node),
    }
}

/// A part of `a OR b`, where a negation is an alternative of its own.
fn alternative((occur, node): (Occur, Node)) -> (Occur, Node) {
    match occur {
        Occur::MustNot => (Occur::Should, Node::Group(vec![(Occur::MustNot, node)])),
        _ => (Occur::Should, node),
    }
}
