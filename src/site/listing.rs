//! The page that lists a directory without an index, where listings are switched on.
//!
//! The subtle rule: names are bytes that anyone may have chosen. In a link they are percent-encoded, in text they are
//! escaped, and a name never becomes markup.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// The most names a page shows; more would make one request costly.
pub const MAX_NAMES: usize = 10_000;

/// What stays readable in a link. A colon must not, or a name such as `a:b` would read as a scheme.
const IN_LINK: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Renders the page for the directory at site path `path` (decoded) with these names and whether each is a directory;
/// `dotfiles` tells whether names that begin with a dot are shown.
pub fn page(path: &[u8], mut names: Vec<(Vec<u8>, bool)>, dotfiles: bool) -> Vec<u8> {
    names.retain(|(name, _)| dotfiles || !name.starts_with(b".") || name == b".well-known");
    names.sort_unstable_by(|(a, a_dir), (b, b_dir)| b_dir.cmp(a_dir).then_with(|| a.cmp(b)));
    let title =
        if path.is_empty() { "Index of /".to_owned() } else { format!("Index of /{}/", escape(path)) };
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\n<h1>{title}</h1>\n<ul>\n"
    );
    if !path.is_empty() {
        page.push_str("<li><a href=\"../\">../</a></li>\n");
    }
    for (name, is_directory) in &names {
        let slash = if *is_directory { "/" } else { "" };
        let link = percent_encode(name, IN_LINK);
        let text = escape(name);
        page.push_str(&format!("<li><a href=\"{link}{slash}\">{text}{slash}</a></li>\n"));
    }
    page.push_str("</ul></html>\n");
    page.into_bytes()
}

fn escape(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for c in String::from_utf8_lossy(name).chars() {
        match c {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            '\'' => text.push_str("&#39;"),
            c if c.is_control() => text.push('\u{fffd}'),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_never_become_markup_and_directories_come_first() {
        let names = vec![
            (b"<script>\"x'.txt".to_vec(), false),
            (b".secret".to_vec(), false),
            (b"sub dir".to_vec(), true),
            (b"javascript:alert(1)".to_vec(), false),
        ];
        let page = String::from_utf8(page(b"a&b", names, false)).unwrap();
        assert!(page.contains("Index of /a&amp;b/"));
        assert!(page.contains("<a href=\"%3Cscript%3E%22x%27.txt\">&lt;script&gt;&quot;x&#39;.txt</a>"));
        assert!(page.contains("<a href=\"sub%20dir/\">sub dir/</a>"));
        assert!(page.contains("href=\"javascript%3Aalert%281%29\""));
        assert!(!page.contains("secret"));
        assert!(page.find("sub dir").unwrap() < page.find("script").unwrap());
    }
}
