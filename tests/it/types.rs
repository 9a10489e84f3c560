//! Media types: one for every kind of file, told by the name alone and in any case.

use std::fs;

use rustix::process::Signal;

use crate::support::launch::run_with;
use crate::support::process::Process;
use crate::support::tree::TYPES;
use crate::support::{Launch, Server, Tree, eventually, every, pattern};

/// What IANA's registry or the MIME Sniffing standard says of an extension, or where both are silent what is
/// usual.
const REGISTERED: &[(&str, &str)] = &[
    ("html htm shtml", "text/html"),
    ("css", "text/css"),
    ("js mjs", "text/javascript"),
    ("json map", "application/json"),
    ("jsonld", "application/ld+json"),
    ("geojson", "application/geo+json"),
    ("webmanifest", "application/manifest+json"),
    ("wasm", "application/wasm"),
    ("xhtml xht", "application/xhtml+xml"),
    ("rss", "application/rss+xml"),
    ("atom", "application/atom+xml"),
    ("rdf", "application/rdf+xml"),
    ("dtd", "application/xml-dtd"),
    ("xsl xslt", "application/xslt+xml"),
    ("txt text log conf ini", "text/plain"),
    ("md markdown", "text/markdown"),
    ("csv", "text/csv"),
    ("tsv", "text/tab-separated-values"),
    ("ics", "text/calendar"),
    ("vcf vcard", "text/vcard"),
    ("vtt", "text/vtt"),
    ("yaml yml", "application/yaml"),
    ("toml", "application/toml"),
    ("ttl", "text/turtle"),
    ("wgsl", "text/wgsl"),
    ("png", "image/png"),
    ("apng", "image/apng"),
    ("jpg jpeg jpe jfif", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("avif", "image/avif"),
    ("jxl", "image/jxl"),
    ("heic", "image/heic"),
    ("heif", "image/heif"),
    ("bmp", "image/bmp"),
    ("tif tiff", "image/tiff"),
    ("ico cur", "image/x-icon"),
    ("svg svgz", "image/svg+xml"),
    ("ktx2", "image/ktx2"),
    ("jp2", "image/jp2"),
    ("psd", "image/vnd.adobe.photoshop"),
    ("mp3", "audio/mpeg"),
    ("m4a m4b", "audio/mp4"),
    ("aac", "audio/aac"),
    ("ogg oga opus spx", "audio/ogg"),
    ("flac", "audio/flac"),
    ("wav", "audio/wav"),
    ("weba", "audio/webm"),
    ("mka", "audio/matroska"),
    ("aif aiff", "audio/aiff"),
    ("mid midi", "audio/midi"),
    ("mp4 mp4v", "video/mp4"),
    ("mpg mpeg", "video/mpeg"),
    ("webm", "video/webm"),
    ("ogv", "video/ogg"),
    ("mkv", "video/matroska"),
    ("mov qt", "video/quicktime"),
    ("avi", "video/x-msvideo"),
    ("3gp", "video/3gpp"),
    ("3g2", "video/3gpp2"),
    ("ts m2ts mts m2t", "video/mp2t"),
    ("m4s", "video/iso.segment"),
    ("m3u8", "application/vnd.apple.mpegurl"),
    ("mpd", "application/dash+xml"),
    ("ogx", "application/ogg"),
    ("ttml", "application/ttml+xml"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("ttf", "font/ttf"),
    ("otf", "font/otf"),
    ("ttc", "font/collection"),
    ("eot", "application/vnd.ms-fontobject"),
    ("gltf", "model/gltf+json"),
    ("glb", "model/gltf-binary"),
    ("usdz", "model/vnd.usdz+zip"),
    ("stl", "model/stl"),
    ("obj", "model/obj"),
    ("mtl", "model/mtl"),
    ("3mf", "model/3mf"),
    ("step stp", "model/step"),
    ("pdf", "application/pdf"),
    ("epub", "application/epub+zip"),
    ("rtf", "application/rtf"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("ppt", "application/vnd.ms-powerpoint"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("zip", "application/zip"),
    ("gz tgz", "application/gzip"),
    ("bz2", "application/x-bzip2"),
    ("xz", "application/x-xz"),
    ("zst", "application/zstd"),
    ("7z", "application/x-7z-compressed"),
    ("rar", "application/vnd.rar"),
    ("tar", "application/x-tar"),
    ("jar", "application/java-archive"),
    ("deb", "application/vnd.debian.binary-package"),
    ("rpm", "application/x-rpm"),
    ("apk", "application/vnd.android.package-archive"),
    ("iso", "application/x-iso9660-image"),
    ("exe dll msi bin", "application/octet-stream"),
    ("sql", "application/sql"),
    ("cbor", "application/cbor"),
    ("p7s", "application/pkcs7-signature"),
    ("cer", "application/pkix-cert"),
    ("torrent", "application/x-bittorrent"),
    ("kml", "application/vnd.google-earth.kml+xml"),
    ("gpx", "application/gpx+xml"),
    ("eml mht mhtml", "message/rfc822"),
];

#[test]
fn an_extension_has_the_registered_type_in_any_case() {
    let tree = Tree::empty();
    let rows = || REGISTERED.iter().flat_map(|(list, media)| list.split(' ').map(move |e| (e, *media)));
    for (extension, _) in rows() {
        tree.file(format!("a.{extension}"), "?");
        tree.file(format!("B.{}", extension.to_uppercase()), "?");
    }
    let server = Server::of(tree, &[]);
    every(rows().map(|row| (row.0, row)), |(extension, media)| {
        assert_eq!(server.get(format!("/a.{extension}"))["content-type"], *media);
        assert_eq!(server.get(format!("/B.{}", extension.to_uppercase()))["content-type"], *media);
    });
}

#[test]
fn the_settings_add_types_and_change_them() {
    let settings = Tree::empty();
    let locations = "[[location]]\npath = \"/\"\nfind_by_name = true\n";
    let text = |types: &str| format!("listen = \"127.0.0.1:0\"\n{types}{locations}");
    let file =
        settings.file("may.toml", text("[types]\n\".m4a\" = \"audio/x-mine\"\n\".NEW\" = \"x/new; a=b\"\n"));
    let tree = Tree::empty();
    for name in ["a.m4a", "a.new", "A.New", "deep/down.new", "a.html", "index.html"] {
        tree.file(name, "0123456789");
    }
    let server = Launch::of(tree).by_default().by_file(&file).start();
    let media = |target: &str| server.get(target)["content-type"].clone();
    assert_eq!(media("/a.m4a"), "audio/x-mine");
    assert_eq!(media("/a.new"), "x/new; a=b");
    assert_eq!(media("/A.New"), "x/new; a=b");
    assert_eq!(media("/down.new"), "x/new; a=b");
    assert_eq!(media("/a.html"), "text/html");
    assert_eq!(media("/"), "text/html");
    assert_eq!(server.get_with("/a.new", "Range: bytes=1-2\r\n")["content-type"], "x/new; a=b");
    let parts = server.get_with("/a.new", "Range: bytes=1-2,5-6\r\n");
    assert_eq!(parts.text().matches("x/new; a=b\r\n").count(), 2, "{}", parts.text());

    fs::write(&file, text("[types]\n\".new\" = \"x/other\"\n\".html\" = \"x/page\"\n")).unwrap();
    let old = server.workers();
    server.signal(Signal::HUP);
    eventually("the types are others", || (media("/a.new") == "x/other").then_some(()));
    // Until then either generation may answer.
    eventually("the old workers leave", || (!old.iter().any(Process::lives)).then_some(()));
    assert_eq!(media("/a.m4a"), "audio/mp4");
    assert_eq!(media("/"), "x/page");
}

#[test]
fn a_type_that_is_none_is_an_error_with_file_line_and_key() {
    let settings = Tree::empty();
    for (line, told) in [
        ("\".m4a\" = \"audio\"", ".m4a"),
        ("\".m4a\" = \"audio/mp4\\r\\nX: y\"", ".m4a"),
        ("\".m4a\" = 1", ".m4a"),
        ("m4a = \"audio/mp4\"", "m4a"),
    ] {
        let file = settings.file("may.toml", format!("port = 80\n[types]\n{line}\n"));
        let finished = run_with(&["-t", "-c", file.to_str().unwrap()]);
        let place = format!("{}:3:", file.display());
        assert_eq!(finished.code, Some(2), "{line}: {finished:?}");
        assert!(finished.errors.contains(&place) && finished.errors.contains(told), "{line}: {finished:?}");
    }
}

#[test]
fn the_dump_shows_the_types_of_the_settings() {
    let settings = Tree::empty();
    let file = settings.file("may.toml", "[types]\n\".M4A\" = \"audio/mp4\"\n");
    let output = run_with(&["-T", "-c", file.to_str().unwrap()]).output;
    let line = format!("\n[types]\n\".m4a\" = \"audio/mp4\"  # {}:2\n", file.display());
    assert!(output.contains(&line), "no {line} in {output}");
}

#[test]
fn every_kind_of_file_has_its_type_and_length() {
    let server = Server::start(&[]);
    every(TYPES.iter().map(|row| (row.0, row)), |(name, length, media)| {
        let response = server.get(format!("/{name}"));
        response.is(200, pattern(*length as u64, *length));
        assert_eq!(response.length(), Some(*length as u64));
        assert_eq!(response["content-type"], *media);
    });
}

#[test]
fn head_tells_the_same_types_and_lengths() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for (name, length, media) in TYPES {
        client.send(format!("HEAD /{name} HTTP/1.1\r\nHost: test\r\n\r\n"));
        let response = client.response_to_head();
        response.has_status(&[200]);
        assert_eq!((response.length(), response["content-type"].as_str()), (Some(*length as u64), *media));
    }
}

#[test]
fn a_name_that_tells_nothing_is_octets() {
    let tree = Tree::empty();
    let names = ["README", "data.zzunknown", "dotted.", "x.html.zzunknown"];
    names.iter().for_each(|name| drop(tree.file(name, "?")));
    let server = Server::of(tree, &[]);
    every(names.map(|name| (name, name)), |name| {
        let response = server.get(format!("/{name}"));
        response.is(200, "?");
        assert!(matches!(response.field("content-type"), None | Some("application/octet-stream")));
    });
}
