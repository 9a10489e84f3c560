//! The media types whose files shrink: texts, and formats that do not compress themselves.

/// Types that are neither text nor of a suffix below, in alphabetical order. Uncompressed images, fonts,
/// programs and geometry; and texts that are registered as applications.
const COMPRESSIBLE: &[&str] = &[
    "application/dash+xml",
    "application/ecmascript",
    "application/graphql",
    "application/javascript",
    "application/json",
    "application/json5",
    "application/ld+json",
    "application/manifest+json",
    "application/n-quads",
    "application/n-triples",
    "application/postscript",
    "application/rtf",
    "application/sql",
    "application/toml",
    "application/trig",
    "application/vnd.apple.mpegurl",
    "application/vnd.ms-fontobject",
    "application/vnd.ms-opentype",
    "application/wasm",
    "application/x-httpd-php",
    "application/x-javascript",
    "application/x-ndjson",
    "application/x-sh",
    "application/x-subrip",
    "application/x-tex",
    "application/x-web-app-manifest+json",
    "application/xml",
    "application/xml-dtd",
    "application/yaml",
    "font/collection",
    "font/otf",
    "font/sfnt",
    "font/ttf",
    "image/bmp",
    "image/svg+xml",
    "image/vnd.microsoft.icon",
    "image/x-icon",
    "image/x-ms-bmp",
    "model/gltf-binary",
    "model/obj",
    "model/stl",
    "model/vnd.usda",
];

/// True if files of this type are usually shorter when compressed. Parameters do not matter, nor does case.
///
/// False for archives and compressed images, fonts (WOFF), audio and video, and for what is unknown.
pub fn is_compressible(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    // Structured syntax suffixes (RFC 6838 §4.2.8) that are texts.
    essence.starts_with("text/")
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
        || COMPRESSIBLE.binary_search(&essence.as_str()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::mime::Types;

    #[test]
    fn the_table_is_in_order() {
        assert!(COMPRESSIBLE.is_sorted());
    }

    #[test]
    fn texts_and_uncompressed_formats_are_compressed_and_nothing_else() {
        let types = Types::default();
        for name in [
            "a.html",
            "a.css",
            "a.js",
            "a.mjs",
            "a.json",
            "a.map",
            "a.svg",
            "a.xml",
            "a.wasm",
            "a.txt",
            "a.md",
            "a.csv",
            "a.ttf",
            "a.otf",
            "a.eot",
            "a.ico",
            "a.bmp",
            "a.rss",
            "a.atom",
            "a.xhtml",
            "a.webmanifest",
            "a.geojson",
            "a.yaml",
            "a.vtt",
            "a.ics",
            "a.jsonld",
            "a.rtf",
            "a.m3u8",
            "a.toml",
            "a.ndjson",
            "a.sql",
            "a.tsx",
            "a.rs",
            "a.wgsl",
        ] {
            let media_type = types.of(name.as_bytes());
            assert!(is_compressible(&media_type), "{name} is {media_type}");
        }
        for name in [
            "a.png", "a.jpg", "a.gif", "a.webp", "a.avif", "a.woff", "a.woff2", "a.mp4", "a.webm", "a.mp3",
            "a.ogg", "a.zip", "a.gz", "a.br", "a.zst", "a.tgz", "a.tar.gz", "a.7z", "a.pdf", "a.docx",
            "a.jar", "a.apk", "a.bin", "a", "a.exe",
        ] {
            let media_type = types.of(name.as_bytes());
            assert!(!is_compressible(&media_type), "{name} is {media_type}");
        }
    }

    #[test]
    fn parameters_and_case_do_not_matter_and_nonsense_is_not_compressed() {
        assert!(is_compressible("Text/HTML; charset=utf-8") && is_compressible("application/JSON ;a=b"));
        for nonsense in ["", ";", "text", "/", "x/y+jsonx", "+", "image/png; x=text/plain"] {
            assert!(!is_compressible(nonsense), "{nonsense:?}");
        }
    }
}
