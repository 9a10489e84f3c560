//! A reader of JSON that forgives nothing (RFC 8259): no bare control character, no comma too many, no second
//! field of the same name, no number that a sloppy writer would make.

use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    /// As it was written, so that a test may hold the writer to a form.
    Number(String),
    Text(String),
    Array(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

impl Json {
    /// The whole of `text` as one value.
    #[track_caller]
    pub fn parse(text: &str) -> Self {
        let mut reader = Reader { text, rest: text };
        let value = reader.value();
        assert!(reader.rest.is_empty(), "more behind the value in {text:?}");
        value
    }

    /// The field of an object; None where it has none of this name.
    #[track_caller]
    pub fn field(&self, name: &str) -> Option<&Json> {
        let Json::Object(fields) = self else { panic!("no object: {self:?}") };
        fields.get(name)
    }

    #[track_caller]
    pub fn text(&self, name: &str) -> &str {
        match self.field(name) {
            Some(Json::Text(text)) => text,
            other => panic!("{name} is no text but {other:?} in {self:?}"),
        }
    }

    #[track_caller]
    pub fn number(&self, name: &str) -> f64 {
        match self.field(name) {
            Some(Json::Number(text)) => text.parse().unwrap(),
            other => panic!("{name} is no number but {other:?} in {self:?}"),
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
}

impl Reader<'_> {
    #[track_caller]
    fn value(&mut self) -> Json {
        match self.rest.bytes().next() {
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'"') => Json::Text(self.string()),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.word(),
        }
    }

    #[track_caller]
    fn object(&mut self) -> Json {
        self.take("{");
        let mut fields = BTreeMap::new();
        while !self.took("}") {
            if !fields.is_empty() {
                self.take(",");
            }
            let name = self.string();
            self.take(":");
            let value = self.value();
            assert!(fields.insert(name, value).is_none(), "a name twice in {:?}", self.text);
        }
        Json::Object(fields)
    }

    #[track_caller]
    fn array(&mut self) -> Json {
        self.take("[");
        let mut values = Vec::new();
        while !self.took("]") {
            if !values.is_empty() {
                self.take(",");
            }
            values.push(self.value());
        }
        Json::Array(values)
    }

    #[track_caller]
    fn string(&mut self) -> String {
        self.take("\"");
        let mut text = String::new();
        loop {
            let next = self.next();
            match next {
                '"' => return text,
                '\\' => text.push(self.escape()),
                plain => {
                    assert!(plain >= ' ', "a bare control character in {:?}", self.text);
                    text.push(plain);
                }
            }
        }
    }

    #[track_caller]
    fn escape(&mut self) -> char {
        match self.next() {
            plain @ ('"' | '\\' | '/') => plain,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let (digits, rest) = self.rest.split_at(4);
                assert!(
                    digits.bytes().all(|digit| digit.is_ascii_hexdigit()),
                    "{digits:?} in {:?}",
                    self.text
                );
                self.rest = rest;
                char::from_u32(u32::from_str_radix(digits, 16).unwrap()).expect("no half of a pair")
            }
            other => panic!("escape {other:?} in {:?}", self.text),
        }
    }

    #[track_caller]
    fn number(&mut self) -> Json {
        let end = self.rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E'));
        let (number, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        let digits = number.strip_prefix('-').unwrap_or(number);
        let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(w, f)| (w, Some(f)));
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|digit| digit.is_ascii_digit());
        let fits = all_digits(whole) && (whole == "0" || !whole.starts_with('0'));
        assert!(fits && fraction.is_none_or(all_digits), "{number:?} in {:?}", self.text);
        Json::Number(number.to_owned())
    }

    #[track_caller]
    fn word(&mut self) -> Json {
        for (word, value) in [("null", Json::Null), ("true", Json::Bool(true)), ("false", Json::Bool(false))]
        {
            if self.took(word) {
                return value;
            }
        }
        panic!("no value at {:?} of {:?}", self.rest, self.text)
    }

    #[track_caller]
    fn next(&mut self) -> char {
        let next = self.rest.chars().next().unwrap_or_else(|| panic!("cut: {:?}", self.text));
        self.rest = &self.rest[next.len_utf8()..];
        next
    }

    #[track_caller]
    fn take(&mut self, word: &str) {
        assert!(self.took(word), "no {word:?} at {:?} of {:?}", self.rest, self.text);
    }

    fn took(&mut self, word: &str) -> bool {
        let rest = self.rest.strip_prefix(word);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}
