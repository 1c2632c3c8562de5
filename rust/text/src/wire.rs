//! Reading maps of options: msgpack with string keys, every key known, every value of its type.

use rmpv::Value;

use crate::error::{Error, Result};

/// How deep options and queries may be nested.
const DEPTH_MAX: usize = 64;

/// The entries of a map that nobody has taken yet.
pub(crate) struct Map {
    what: &'static str,
    entries: Vec<(String, Value)>,
}

/// Read one msgpack value that fills `data`.
pub(crate) fn parse(mut data: &[u8], what: &str) -> Result<Value> {
    let value = rmpv::decode::read_value_with_max_depth(&mut data, DEPTH_MAX)
        .map_err(|error| Error::new(format!("{what} are not msgpack: {error}")))?;
    if !data.is_empty() {
        return Err(Error::new(format!("{what} go on after their end")));
    }
    Ok(value)
}

impl Map {
    pub(crate) fn parse(data: &[u8], what: &'static str) -> Result<Map> {
        Map::of(parse(data, what)?, what)
    }

    pub(crate) fn of(value: Value, what: &'static str) -> Result<Map> {
        let Value::Map(pairs) = value else {
            return Err(Error::new(format!("{what} are no map")));
        };
        let mut entries = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            match key.as_str() {
                Some(key) => entries.push((key.to_owned(), value)),
                None => {
                    return Err(Error::new(format!(
                        "{what} have a key that is no text: {key}"
                    )));
                }
            }
        }
        Ok(Map { what, entries })
    }

    /// Take an entry; `None` when it is missing or nil.
    pub(crate) fn take(&mut self, key: &str) -> Option<Value> {
        let at = self.entries.iter().position(|(name, _)| name == key)?;
        Some(self.entries.swap_remove(at).1).filter(|value| !value.is_nil())
    }

    pub(crate) fn integer(&mut self, key: &str) -> Result<u64> {
        let value = self.take(key);
        value
            .as_ref()
            .and_then(Value::as_u64)
            .ok_or_else(|| self.wrong(key, "a number of 0 or more", value))
    }

    pub(crate) fn integer_or(&mut self, key: &str, default: u64) -> Result<u64> {
        match self.take(key) {
            None => Ok(default),
            Some(value) => value
                .as_u64()
                .ok_or_else(|| self.wrong(key, "a number of 0 or more", Some(value))),
        }
    }

    pub(crate) fn boolean_or(&mut self, key: &str, default: bool) -> Result<bool> {
        match self.take(key) {
            None => Ok(default),
            Some(value) => value
                .as_bool()
                .ok_or_else(|| self.wrong(key, "true or false", Some(value))),
        }
    }

    pub(crate) fn float(&mut self, key: &str) -> Result<f64> {
        let value = self.take(key);
        value
            .as_ref()
            .and_then(Value::as_f64)
            .ok_or_else(|| self.wrong(key, "a number", value))
    }

    pub(crate) fn boolean(&mut self, key: &str) -> Result<bool> {
        let value = self.take(key);
        value
            .as_ref()
            .and_then(Value::as_bool)
            .ok_or_else(|| self.wrong(key, "true or false", value))
    }

    pub(crate) fn array(&mut self, key: &str) -> Result<Vec<Value>> {
        match self.take(key) {
            Some(Value::Array(items)) => Ok(items),
            other => Err(self.wrong(key, "a list", other)),
        }
    }

    pub(crate) fn text_or(&mut self, key: &str, default: &str) -> Result<String> {
        match self.take(key) {
            None => Ok(default.to_owned()),
            Some(value) => match value.as_str() {
                Some(text) => Ok(text.to_owned()),
                None => Err(self.wrong(key, "a text", Some(value))),
            },
        }
    }

    /// Refuse what nobody took.
    pub(crate) fn finish(self) -> Result<()> {
        match self.entries.first() {
            None => Ok(()),
            Some((key, _)) => Err(Error::new(format!(
                "{} have an unknown entry '{key}'",
                self.what
            ))),
        }
    }

    fn wrong(&self, key: &str, expected: &str, found: Option<Value>) -> Error {
        let found = found.map_or_else(|| "nothing".to_owned(), |value| value.to_string());
        Error::new(format!(
            "'{key}' in {} should be {expected}, and is {found}",
            self.what
        ))
    }
}
