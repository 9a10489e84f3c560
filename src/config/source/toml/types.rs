//! Reads the `[types]` table.

use super::value::{self, TomlName, TomlValue, wrong_type};
use crate::config::file_value::invalid;
use crate::config::source::given::SettingOrigin;
use crate::config::source_map::{Fault, SourceMap};
use crate::config::types::{self, KEY, TypeOf};

/// The types that a value holds, and the place of each.
///
/// # Errors
/// The first mistake.
pub fn read(
    map: &SourceMap<'_>,
    name: &TomlName<'_>,
    value: &TomlValue<'_>,
) -> Result<Vec<(TypeOf, SettingOrigin)>, Fault> {
    let Some(table) = value.get_ref().as_table() else {
        let why = wrong_type(value, "a table: { \".ext\" = \"type/subtype\" }");
        return Err(Fault::of(KEY, name.span().start, why));
    };
    let mut types: Vec<(TypeOf, SettingOrigin)> = Vec::new();
    for (name, value) in value::in_order(table) {
        let key = format!("{KEY}[{}]", name.get_ref());
        let at = value.span().start;
        let extension = types::extension(name.get_ref())
            .ok_or("is not an extension (expected a dot and a name, for example \".m4a\")")
            .and_then(|extension| match types.iter().any(|((other, _), _)| *other == extension) {
                true => Err("duplicate extension (in any case)"),
                false => Ok(extension),
            })
            .map_err(|why| Fault::of(&key, name.span().start, why))?;
        let Some(media) = value.get_ref().as_str() else {
            return Err(Fault::of(&key, at, wrong_type(value, "a string: TYPE/SUBTYPE")));
        };
        if !types::is_media_type(media) {
            return Err(Fault::of(&key, at, invalid(media, "expected a media type, for example audio/mp4")));
        }
        types.push(((extension, media.to_owned()), SettingOrigin::in_file(map, KEY, at)));
    }
    Ok(types)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Settings;
    use crate::config::machine::Machine;
    use crate::config::resolve::resolve;

    fn settings(texts: &[&str]) -> Result<Settings, String> {
        let parse = |text: &&str| super::super::parse(Path::new("may.toml"), text.as_bytes());
        let sources: Result<Vec<_>, _> = texts.iter().map(parse).collect();
        let machine = Machine { cpus: 1, has_document_root: false };
        sources.and_then(|sources| resolve(&sources, machine)).map_err(|error| error.to_string())
    }

    fn pairs(settings: &Settings) -> Vec<(&str, &str)> {
        settings.types.iter().map(|(extension, media)| (extension.as_str(), media.as_str())).collect()
    }

    #[test]
    fn a_type_is_written_by_its_extension_in_any_case() {
        let text = "[types]\n\".M4A\" = 'audio/mp4'\n'.tar.gz' = 'application/x-gtar'\n'.txt' = 'text/plain; charset=utf-8'";
        let read = settings(&[text]).unwrap();
        let expected =
            [(".m4a", "audio/mp4"), (".tar.gz", "application/x-gtar"), (".txt", "text/plain; charset=utf-8")];
        assert_eq!(pairs(&read), expected);
        assert_eq!(pairs(&settings(&["types = { '.a' = 'x/y' }"]).unwrap()), [(".a", "x/y")]);
    }

    #[test]
    fn the_higher_file_wins_for_each_extension() {
        let read = settings(&["types = { '.a' = 'x/1' }", "types = { '.A' = 'x/2', '.b' = 'x/3' }"]).unwrap();
        assert_eq!(pairs(&read), [(".a", "x/1"), (".b", "x/3")]);
    }

    #[test]
    fn whatever_is_wrong_has_its_place_its_key_and_what_is_allowed() {
        for (text, error) in [
            ("types = 1", "1:1: types: is an integer (expected a table: { \".ext\" = \"type/subtype\" })"),
            ("[[types]]\n'.a' = 'b/c'", "1:3: types: is an array (expected a table: "),
            ("[types]\nm4a = 'audio/mp4'", "2:1: types[m4a]: is not an extension (expected a dot and "),
            ("[types]\n'.' = 'a/b'", "2:1: types[.]: is not an extension"),
            ("[types]\n'.a/b' = 'a/b'", "2:1: types[.a/b]: is not an extension"),
            ("[types]\n'.a..b' = 'a/b'", "2:1: types[.a..b]: is not an extension"),
            ("[types]\n'*.a' = 'a/b'", "2:1: types[*.a]: is not an extension"),
            ("[types]\n'.m4a' = 'mp4'", "2:10: types[.m4a]: invalid value \"mp4\" (expected a media type, "),
            (
                "[types]\n'.m4a' = \"a/b\\nX: y\"",
                "2:10: types[.m4a]: invalid value \"a/b\\nX: y\" (expected a",
            ),
            ("[types]\n'.m4a' = 4", "2:10: types[.m4a]: is an integer (expected a string: TYPE/SUBTYPE)"),
            ("[types]\n'.m4a' = ['a/b']", "2:10: types[.m4a]: is an array (expected a string"),
            ("[types]\n'.a' = 'a/b'\n'.A' = 'a/b'", "3:1: types[.A]: duplicate extension (in any case)"),
            ("[type]\n'.a' = 'a/b'", "1:2: type: unknown key (did you mean types?)"),
            (
                "[[location]]\npath = '/'\ntypes = { '.a' = 'a/b' }",
                "3:1: types: is not allowed in a location (put it above the first [[location]])",
            ),
        ] {
            let found = settings(&[text]).unwrap_err();
            assert!(found.starts_with(&format!("may.toml:{error}")), "{text:?}: {found}");
            assert!(!found.contains('\n'), "{found}");
        }
    }
}
