//! Which media types are of content that is compressed already, so that a content coding would save nothing.

/// Types of images that are not compressed.
const PLAIN_IMAGES: &[&str] =
    &["image/svg+xml", "image/bmp", "image/x-ms-bmp", "image/x-icon", "image/vnd.microsoft.icon"];

/// Compressed types beside images, films, sounds and what ends in `+zip` or `+gzip`.
const OTHERS: &[&str] = &[
    "application/epub+zip",
    "application/font-woff",
    "application/font-woff2",
    "application/gzip",
    "application/java-archive",
    "application/mp4",
    "application/ogg",
    "application/pdf",
    "application/vnd.android.package-archive",
    "application/vnd.debian.binary-package",
    "application/vnd.rar",
    "application/x-7z-compressed",
    "application/x-apple-diskimage",
    "application/x-brotli",
    "application/x-bzip",
    "application/x-bzip2",
    "application/x-compress",
    "application/x-gzip",
    "application/x-lzip",
    "application/x-lzma",
    "application/x-rar-compressed",
    "application/x-shockwave-flash",
    "application/x-xz",
    "application/x-zip-compressed",
    "application/zip",
    "application/zstd",
    "font/woff",
    "font/woff2",
];

/// The beginnings of the types of office documents, which are archives.
const DOCUMENTS: &[&str] = &["application/vnd.oasis.opendocument.", "application/vnd.openxmlformats-"];

/// True if content of this media type is compressed already. Parameters do not matter.
pub fn is_compressed(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let essence = essence.as_str();
    match essence.split_once('/') {
        Some(("video" | "audio", _)) => true,
        Some(("image", _)) => !PLAIN_IMAGES.contains(&essence),
        _ => {
            essence.ends_with("+zip")
                || essence.ends_with("+gzip")
                || OTHERS.binary_search(&essence).is_ok()
                || DOCUMENTS.iter().any(|beginning| essence.starts_with(beginning))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted() {
        assert!(OTHERS.is_sorted());
    }

    #[test]
    fn text_and_what_is_like_it_is_not_compressed() {
        for media_type in [
            "text/html",
            "text/javascript; charset=utf-8",
            "application/json",
            "application/wasm",
            "application/xml",
            "application/octet-stream",
            "image/svg+xml",
            "Image/SVG+XML",
            "image/x-icon",
            "font/ttf",
            "font/otf",
            "model/gltf+json",
            "image",
            "",
        ] {
            assert!(!is_compressed(media_type), "{media_type}");
        }
    }

    #[test]
    fn images_films_sounds_and_archives_are_compressed() {
        for media_type in [
            "image/png",
            "IMAGE/JPEG",
            "image/webp;a=b",
            "video/mp4",
            "audio/ogg",
            "application/zip",
            "application/gzip",
            "application/pdf",
            "application/epub+zip",
            "model/step+zip",
            "font/woff",
            "font/woff2 ; a=b",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ] {
            assert!(is_compressed(media_type), "{media_type}");
        }
    }
}
