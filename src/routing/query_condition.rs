//! The `query` of a rule: parameters that a request's query must have.

use super::path_pattern::{SPLAT, name_length};

/// One parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryCondition {
    /// The parameter's name, decoded.
    pub name: Box<str>,
    /// What its value must be.
    pub value: QueryValue,
}

/// What the value of a parameter must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryValue {
    /// Exactly this text, decoded.
    Literal(Box<str>),
    /// Any text, captured by this name.
    Capture(Box<str>),
}

impl QueryCondition {
    /// Parses the value of one parameter: `:id` captures, all else is the text that it must equal.
    ///
    /// # Errors
    /// What is allowed.
    pub fn parse(name: &str, value: &str) -> Result<QueryCondition, String> {
        if name.is_empty() {
            return Err("a parameter needs a name".to_owned());
        }
        let value = match value.strip_prefix(':') {
            None => QueryValue::Literal(value.into()),
            Some(SPLAT) => {
                return Err("a capture can't have the name splat, which is what * captures".to_owned());
            }
            Some(capture) if !capture.is_empty() && name_length(capture) == capture.len() => {
                QueryValue::Capture(capture.into())
            }
            Some(_) => {
                return Err(
                    "a capture is a colon and a name of letters, digits and _, such as :id".to_owned()
                );
            }
        };
        Ok(QueryCondition { name: name.into(), value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_literals_or_captures() {
        let parse = |value| QueryCondition::parse("id", value).map(|condition| condition.value);
        assert_eq!(parse("17"), Ok(QueryValue::Literal("17".into())));
        assert_eq!(parse(""), Ok(QueryValue::Literal("".into())));
        assert_eq!(parse("a:b"), Ok(QueryValue::Literal("a:b".into())));
        assert_eq!(parse(":id"), Ok(QueryValue::Capture("id".into())));
        for value in [":", ":1", ":a-b", ":splat", "::a"] {
            assert!(parse(value).is_err(), "{value}");
        }
        assert!(QueryCondition::parse("", "x").is_err());
    }
}
