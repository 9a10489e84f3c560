//! A listing for people: a page with a table that can be sorted without a script.
//!
//! All links are relative, so the page is right below any prefix that a proxy in front takes off. Nothing is
//! loaded from elsewhere. The style sheet and the script that adds the filter box are part of the page;
//! [`CONTENT_SECURITY_POLICY`] allows these two by their digests and nothing else.

use super::entries::{ListedEntry, ListedKind};
use super::size::{grouped, rounded};
use super::text::{escaped, link, push_escaped};
use super::time;
use super::view::{ListingView, SortKey, SortOrder};

/// The policy of the page (CSP Level 3): its own style sheet and script, and nothing else.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; \
     style-src 'sha256-behiKZwFtkL+En/NN7uanYVg/JhwTKrDGwCxd6DNLKk='; \
     script-src 'sha256-qHULTpfqbChWSLiKKSFUQiaWgX7dqFkSZZfbtpm1kl0='; \
     base-uri 'none'; form-action 'none'";

/// The style sheet.
const STYLE: &str = include_str!("page.css");

/// The script that adds the filter box.
const SCRIPT: &str = include_str!("filter.js");

/// What is listed.
#[derive(Debug)]
pub struct ListingContent<'a> {
    /// The site path of the directory, without a slash at either end.
    pub path: &'a [u8],
    /// The entries, sorted.
    pub entries: &'a [ListedEntry],
    /// How many more there are.
    pub left_out: u64,
}

/// The page.
pub fn page(content: &ListingContent<'_>, view: ListingView, capacity: usize) -> String {
    let ListingContent { path, entries, left_out } = *content;
    let mut page = String::with_capacity(capacity);
    push_head(&mut page, path);
    if left_out > 0 {
        let number = grouped(left_out);
        page.push_str(&format!("<p class=\"left\">Not all entries are listed: {number} are left out.</p>\n"));
    }
    if entries.is_empty() {
        page.push_str("<p>No entries.</p>\n");
    } else {
        push_table_head(&mut page, entries, view);
        entries.iter().for_each(|entry| push_row(&mut page, entry));
        page.push_str("</tbody></table>\n");
    }
    page.push_str("</main>\n<script>");
    page.push_str(SCRIPT);
    page.push_str("</script>\n</body>\n</html>\n");
    page
}

/// Everything before the table: the title, and the directories above.
fn push_head(page: &mut String, path: &[u8]) {
    let names: Vec<&[u8]> = path.split(|&byte| byte == b'/').filter(|name| !name.is_empty()).collect();
    let title = if path.is_empty() { "/".to_owned() } else { format!("/{}/", escaped(path)) };
    let name = names.last().map_or_else(|| "/".to_owned(), |name| escaped(name));
    page.push_str(&format!(
        "<!DOCTYPE html>\n<html lang=\"en\" dir=\"ltr\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>Index of {title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<header>\n<nav aria-label=\"Breadcrumbs\"><ol>\n"
    ));
    let crumbs = std::iter::once("Home".to_owned()).chain(names.iter().map(|name| escaped(name)));
    for (depth, name) in crumbs.enumerate() {
        let up = match names.len() - depth {
            0 => "./\" aria-current=\"page".to_owned(),
            levels => "../".repeat(levels),
        };
        page.push_str(&format!("<li><a href=\"{up}\"><bdi>{name}</bdi></a></li>\n"));
    }
    page.push_str(&format!("</ol></nav>\n<h1>Index of <bdi>{name}</bdi></h1>\n</header>\n<main>\n"));
}

fn push_table_head(page: &mut String, entries: &[ListedEntry], view: ListingView) {
    page.push_str(&format!("<table>\n<caption>{}</caption>\n<thead><tr>\n", summary(entries)));
    for key in SortKey::ALL {
        let label = match key {
            SortKey::Name => "Name",
            SortKey::Size => "Size",
            SortKey::Time => "Changed <span class=\"u\">(UTC)</span>",
        };
        let (state, next) = match view.order {
            _ if key != view.sort => ("", first_order(key)),
            SortOrder::Ascending => (" aria-sort=\"ascending\"", SortOrder::Descending),
            SortOrder::Descending => (" aria-sort=\"descending\"", SortOrder::Ascending),
        };
        let (key, order) = (key.word(), next.word());
        page.push_str(&format!(
            "<th scope=\"col\"{state}><a href=\"?sort={key}&amp;order={order}\">{label}</a></th>\n"
        ));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
}

/// The order that a click on a column begins with: the largest and the latest are what is looked for.
fn first_order(key: SortKey) -> SortOrder {
    if key == SortKey::Name { SortOrder::Ascending } else { SortOrder::Descending }
}

/// What is listed, in words.
fn summary(entries: &[ListedEntry]) -> String {
    let folders = entries.iter().filter(|entry| entry.kind == ListedKind::Directory).count();
    let bytes = entries.iter().filter_map(|entry| entry.size).fold(0u64, u64::saturating_add);
    let counted = |count: usize, one: &str, several: &str| match count {
        1 => format!("1 {one}"),
        _ => format!("{} {several}", grouped(count as u64)),
    };
    let folders_text = counted(folders, "folder", "folders");
    let files_text = counted(entries.len() - folders, "file", "files");
    format!("{folders_text}, {files_text}, {}", rounded(bytes))
}

fn push_row(page: &mut String, entry: &ListedEntry) {
    page.push_str("<tr><th scope=\"row\">");
    let end = match entry.kind {
        ListedKind::Directory => {
            page.push_str("<a class=\"d\" href=\"");
            page.extend(link(&entry.name));
            page.push_str("/\"><bdi>");
            "/</bdi></a>"
        }
        ListedKind::File => {
            page.push_str("<a href=\"");
            page.extend(link(&entry.name));
            page.push_str("\"><bdi>");
            "</bdi></a>"
        }
        ListedKind::Link | ListedKind::Other => {
            page.push_str("<span><bdi>");
            "</bdi></span>"
        }
    };
    push_escaped(page, &entry.name);
    page.push_str(end);
    page.push_str("</th><td");
    match entry.size {
        Some(size) => page.push_str(&format!(" title=\"{} bytes\">{}", grouped(size), rounded(size))),
        None => page.push('>'),
    }
    page.push_str("</td><td>");
    if let Some(modified) = entry.modified {
        let time = time::rfc3339(modified);
        // Without the seconds.
        let (day, minutes) = (&time[..10], &time[11..16]);
        page.push_str(&format!("<time datetime=\"{time}\">{day} {minutes}</time>"));
    }
    page.push_str("</td></tr>\n");
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::super::entries::ENTRY_BYTES;
    use super::super::text;
    use super::*;

    fn entry(name: &[u8], kind: ListedKind) -> ListedEntry {
        let size = (kind == ListedKind::File).then_some(1536);
        ListedEntry { name: name.into(), kind, size, modified: Some(1_600_000_000) }
    }

    #[track_caller]
    fn render(path: &str, entries: &[ListedEntry], left_out: u64, view: ListingView) -> String {
        page(&ListingContent { path: path.as_bytes(), entries, left_out }, view, 0)
    }

    fn rows(entries: &[ListedEntry]) -> String {
        let page = render("", entries, 0, ListingView::default());
        page.split_once("<tbody>\n").unwrap().1.split_once("</tbody>").unwrap().0.to_owned()
    }

    #[test]
    fn the_policy_allows_what_is_in_the_page() {
        // RFC 4648 §4, of 32 bytes.
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let digest = |text: &str| {
            let digest = Sha256::digest(text.as_bytes());
            let of_three = |three: &[u8]| {
                let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
                let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
                [18, 12, 6, 0].map(|shift| char::from(DIGITS[(bits >> shift & 63) as usize]))
            };
            let text: String = digest.chunks(3).flat_map(of_three).collect();
            format!("'sha256-{}='", &text[..43])
        };
        let expected = format!(
            "default-src 'none'; style-src {}; script-src {}; base-uri 'none'; form-action 'none'",
            digest(STYLE),
            digest(SCRIPT)
        );
        assert_eq!(CONTENT_SECURITY_POLICY, expected);
        // Nothing ends them early, and nothing is loaded.
        for text in [STYLE, SCRIPT] {
            assert!(!text.contains("</") && !text.contains("url(") && !text.contains("//"));
        }
    }

    #[test]
    fn a_row_has_a_link_where_there_is_something_to_get() {
        assert_eq!(
            rows(&[entry(b"a b", ListedKind::Directory)]),
            "<tr><th scope=\"row\"><a class=\"d\" href=\"a%20b/\"><bdi>a b/</bdi></a></th><td></td>\
             <td><time datetime=\"2020-09-13T12:26:40Z\">2020-09-13 12:26</time></td></tr>\n"
        );
        assert_eq!(
            rows(&[entry(b"javascript:\"<b>", ListedKind::File)]),
            "<tr><th scope=\"row\"><a href=\"javascript%3A%22%3Cb%3E\"><bdi>javascript:&quot;&lt;b&gt;</bdi></a>\
             </th><td title=\"1,536 bytes\">1.5 KiB</td>\
             <td><time datetime=\"2020-09-13T12:26:40Z\">2020-09-13 12:26</time></td></tr>\n"
        );
        let unknown = ListedEntry { modified: None, ..entry(b"x", ListedKind::Link) };
        assert_eq!(
            rows(&[unknown]),
            "<tr><th scope=\"row\"><span><bdi>x</bdi></span></th><td></td><td></td></tr>\n"
        );
    }

    #[test]
    fn the_directories_above_are_links_and_the_title_has_the_path() {
        let root = render("", &[], 0, ListingView::default());
        assert!(root.contains("<title>Index of /</title>") && root.contains("No entries."), "{root}");
        assert!(root.contains("<li><a href=\"./\" aria-current=\"page\"><bdi>Home</bdi></a></li>"), "{root}");
        assert!(!root.contains("<table>") && !root.contains("../"), "{root}");
        let deep = render("a/<b>/c d", &[], 0, ListingView::default());
        for part in [
            "<title>Index of /a/&lt;b&gt;/c d/</title>",
            "<li><a href=\"../../../\"><bdi>Home</bdi></a></li>",
            "<li><a href=\"../../\"><bdi>a</bdi></a></li>",
            "<li><a href=\"../\"><bdi>&lt;b&gt;</bdi></a></li>",
            "<li><a href=\"./\" aria-current=\"page\"><bdi>c d</bdi></a></li>",
            "<h1>Index of <bdi>c d</bdi></h1>",
        ] {
            assert!(deep.contains(part), "{part} in {deep}");
        }
    }

    #[test]
    fn a_head_of_a_column_sorts_by_it_and_then_the_other_way() {
        for (sort, order, links) in [
            (SortKey::Name, SortOrder::Ascending, ["name&amp;order=desc", "size&amp;order=desc"]),
            (SortKey::Name, SortOrder::Descending, ["name&amp;order=asc", "time&amp;order=desc"]),
            (SortKey::Size, SortOrder::Descending, ["size&amp;order=asc", "name&amp;order=asc"]),
            (SortKey::Time, SortOrder::Ascending, ["time&amp;order=desc", "size&amp;order=desc"]),
        ] {
            let entries = [entry(b"a", ListedKind::File)];
            let page = render("", &entries, 0, ListingView { sort, order, ..ListingView::default() });
            let direction = if order == SortOrder::Ascending { "ascending" } else { "descending" };
            let (first, second) = (links[0], links[1]);
            let sorted = format!("<th scope=\"col\" aria-sort=\"{direction}\"><a href=\"?sort={first}\">");
            assert!(page.contains(&sorted), "{sorted} in {page}");
            assert!(page.contains(&format!("<th scope=\"col\"><a href=\"?sort={second}\">")), "{second}");
            assert_eq!(page.matches("aria-sort=\"").count(), 1);
        }
    }

    #[test]
    fn the_summary_counts_and_what_is_left_out_is_said() {
        let file = |size| ListedEntry { size: Some(size), ..entry(b"a", ListedKind::File) };
        let folder = entry(b"d", ListedKind::Directory);
        for (entries, text) in [
            (vec![file(1)], "0 folders, 1 file, 1 B"),
            (vec![folder.clone(), file(u64::MAX), file(5)], "1 folder, 2 files, 16 EiB"),
            (vec![folder.clone(), folder], "2 folders, 0 files, 0 B"),
        ] {
            let page = render("", &entries, 0, ListingView::default());
            assert!(page.contains(&format!("<caption>{text}</caption>")), "{text} in {page}");
            assert!(!page.contains("left out"));
        }
        let page = render("", &[file(1)], 1234, ListingView::default());
        assert!(page.contains("1,234 are left out"), "{page}");
    }

    #[test]
    fn no_name_becomes_markup_and_no_row_is_larger_than_its_share() {
        const PIECES: [&[u8]; 16] = [
            b"<",
            b">",
            b"\"",
            b"'",
            b"&",
            b"&lt;",
            b"</a>",
            b"<script>",
            b"javascript:",
            b"\n",
            b"\0",
            b"\xff",
            b"=",
            b" ",
            "\u{202e}".as_bytes(),
            b"-->",
        ];
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut below = |bound: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % bound
        };
        let plain = rows(&[entry(b"", ListedKind::File)]);
        for _ in 0..5000 {
            let count = below(12);
            let name = (0..count).flat_map(|_| PIECES[below(16) as usize]).copied().collect::<Vec<u8>>();
            let row = rows(&[entry(&name, ListedKind::File)]);
            for mark in ['<', '>', '"', '\n'] {
                assert_eq!(row.matches(mark).count(), plain.matches(mark).count(), "{row}");
            }
            assert!(!row.contains(|c: char| c.is_control() && c != '\n') && !row.contains('\''), "{row:?}");
            assert!(row.len() <= ENTRY_BYTES - 80 + text::width(&name), "{row}");
        }
    }
}
