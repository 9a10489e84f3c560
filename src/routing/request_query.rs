//! The query of a request as parameters, for conditions to compare.

use std::collections::HashMap;

use super::escapes;

/// The parameters of a query, decoded. Of several with one name the first counts.
#[derive(Debug, Default)]
pub(super) struct RequestQuery(HashMap<Vec<u8>, Vec<u8>>);

impl RequestQuery {
    /// Splits a query at its ampersands. Takes time and memory linear in the query.
    pub(super) fn parse(query: Option<&[u8]>) -> RequestQuery {
        let mut parameters = HashMap::new();
        let pairs = query.unwrap_or_default().split(|&byte| byte == b'&');
        for pair in pairs.filter(|pair| !pair.is_empty()) {
            let (name, value) = match memchr::memchr(b'=', pair) {
                Some(at) => (&pair[..at], &pair[at + 1..]),
                None => (pair, &b""[..]),
            };
            parameters.entry(escapes::decode_query(name)).or_insert_with(|| escapes::decode_query(value));
        }
        RequestQuery(parameters)
    }

    /// The value of a parameter.
    pub(super) fn value(&self, name: &[u8]) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// All names with their values, in no order.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_slice(), value.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_decoded_once() {
        for (query, name, value) in [
            ("id=1", "id", Some("1")),
            ("a=1&id=2&id=3", "id", Some("2")),
            ("id", "id", Some("")),
            ("id=", "id", Some("")),
            ("=x", "", Some("x")),
            ("%69d=%2525", "id", Some("%25")),
            ("id=a+b%2Bc", "id", Some("a b+c")),
            ("id=a=b", "id", Some("a=b")),
            ("id=%zz", "id", Some("%zz")),
            ("", "", None),
            ("&&", "", None),
            ("ID=1", "id", None),
        ] {
            let parsed = RequestQuery::parse(Some(query.as_bytes()));
            assert_eq!(parsed.value(name.as_bytes()), value.map(str::as_bytes), "{query}");
        }
        assert_eq!(RequestQuery::parse(None).pairs().count(), 0);
    }
}
