//! No path leads out of the root, and a Location leads back to the path it was made of.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mayhttpd::http::target::SitePath;

fuzz_target!(|raw: &[u8]| {
    let Ok(path) = SitePath::parse(raw) else { return };
    let bytes = path.as_bytes();
    assert!(!bytes.contains(&0));
    if bytes.is_empty() {
        assert!(path.is_directory());
    } else {
        assert!(bytes.split(|&byte| byte == b'/').all(|segment| !matches!(segment, b"" | b"." | b"..")));
    }
    let location = path.location_with_slash(None);
    assert!(location.starts_with(b"/") && !location.starts_with(b"//") && !location.starts_with(b"/\\"));
    assert!(location.ends_with(b"/") && location.iter().all(u8::is_ascii_graphic));
    let again = SitePath::parse(&location).expect("a Location is a path");
    assert_eq!(again.as_bytes(), bytes);
    assert!(again.is_directory());
    assert_eq!(again.has_hidden_segment(), path.has_hidden_segment());

    let with_query = path.location_with_slash(Some(raw));
    let query = with_query.strip_prefix(location.as_slice()).and_then(|rest| rest.strip_prefix(b"?"));
    assert!(query.expect("the query follows the path").iter().all(u8::is_ascii_graphic));
});
