//! Further fields of each response, `headers` in the settings file: `{ Field = "value" }`.
//!
//! **Invariant:** a text that goes into a response's head later has no line
//! break; every such text is checked here or in [`types`](crate::config::types).

use crate::config::file_value::{FileValue, invalid};
use crate::config::show::string;
use crate::config::source_map::Fault;
use crate::config::table_key::KeyPlaces;
use crate::http::field_name as names;

/// Fields in the order of the settings file: each has a token and its lines. One without lines takes away
/// what is inherited.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, Vec<String>)>);

impl Headers {
    /// These, and each that `nearer` has instead of the one with the same name.
    #[must_use]
    pub fn with(&self, nearer: &Headers) -> Headers {
        let kept = self.0.iter().filter(|(name, _)| nearer.find(name).is_none());
        Headers(kept.chain(&nearer.0).cloned().collect())
    }

    /// The lines of a field, in any case of its name.
    pub fn find(&self, name: &str) -> Option<&[String]> {
        let found = self.0.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, lines)| &**lines)
    }

    /// Each line with the name of its field.
    pub fn lines(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|(name, lines)| lines.iter().map(|line| (&**name, &**line)))
    }

    /// Reads a table of fields: each has a string, or a list of strings. An empty one takes the field away.
    ///
    /// # Errors
    /// The first mistake.
    pub fn read(places: &mut KeyPlaces, full: &str, value: &FileValue) -> Result<Headers, Fault> {
        let takes = "a table of strings: { Field = \"value\" }";
        let wrong = || Fault::of(full, value.at, value.wrong_type(takes));
        let mut headers = Headers::default();
        for entry in value.table().ok_or_else(wrong)? {
            let full = format!("{full}.{}", entry.name);
            places.note(&full, entry.at);
            headers.check_name(&entry.name).map_err(|why| Fault::of(&full, entry.at, why))?;
            let single = std::slice::from_ref(&entry.value);
            let mut lines = Vec::new();
            for value in entry.value.list().unwrap_or(single) {
                let fault = |why: String| Fault::of(&full, value.at, why);
                let takes = "a string or a list of strings";
                let text = value.text().ok_or_else(|| fault(value.wrong_type(takes)))?;
                if text.is_empty() && entry.value.text().is_some() {
                    continue;
                }
                lines.push(field_value(text).map_err(|why| fault(invalid(text, &why)))?);
            }
            if lines.is_empty() && entry.name.eq_ignore_ascii_case("location") {
                return Err(Fault::of(&full, entry.value.at, "a Location header needs a value"));
            }
            headers.0.push((entry.name.clone(), lines));
        }
        Ok(headers)
    }

    /// Checks the name of a further field.
    fn check_name(&self, name: &str) -> Result<(), String> {
        field_name(name)?;
        for (own, key) in [("Cache-Control", "cache_control"), ("Expires", "expires")] {
            if own.eq_ignore_ascii_case(name) {
                return Err(format!("has a key of its own: {key}"));
            }
        }
        if self.find(name).is_some() {
            return Err("duplicate field (a list of strings makes several lines)".to_owned());
        }
        Ok(())
    }

    /// The table in TOML, if there are fields.
    pub fn show(&self) -> Option<String> {
        let fields = self.0.iter().map(|(name, lines)| {
            let values: Vec<String> = lines.iter().map(|line| string(line)).collect();
            format!("{} = [{}]", string(name), values.join(", "))
        });
        let fields = fields.collect::<Vec<_>>().join(", ");
        (!fields.is_empty()).then(|| format!("{{ {fields} }}"))
    }
}

/// True for a token (RFC 9110 §5.6.2), as the name of a field is one.
pub fn is_token(text: &str) -> bool {
    names::is_valid(text)
}

/// Checks the name of a field that may be set.
///
/// # Errors
/// What is wrong with it.
pub fn field_name(name: &str) -> Result<(), String> {
    if !names::is_valid(name) {
        return Err("is not a valid field name".to_owned());
    }
    if names::is_own(name) {
        return Err("is set by the server itself".to_owned());
    }
    Ok(())
}

/// The value of a field, which goes into a head as it is.
///
/// # Errors
/// What is allowed.
pub fn field_value(text: &str) -> Result<String, String> {
    names::check_value(text)?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&str, &[&str])]) -> Headers {
        let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
        Headers(fields.iter().map(|(name, lines)| ((*name).to_owned(), owned(lines))).collect())
    }

    #[test]
    fn fields_merge_by_name_and_an_empty_one_takes_away() {
        let outer = headers(&[("X-A", &["1"]), ("X-B", &["2", "3"]), ("X-C", &["4"])]);
        let nearer = headers(&[("x-b", &["5"]), ("X-C", &[]), ("X-D", &["6"])]);
        let merged = outer.with(&nearer);
        let lines: Vec<_> = merged.lines().collect();
        assert_eq!(lines, [("X-A", "1"), ("x-b", "5"), ("X-D", "6")]);
    }
}
