//! The project's own source, as far as its layering can be read from it: which files there are, which modules
//! they declare, and which paths their code names. Comments and literals are no code.

use std::fs;
use std::path::{Path, PathBuf};

pub struct SourceFile {
    /// Relative to src, such as `http/request.rs`.
    pub path: PathBuf,
    pub text: String,
    /// Identifiers and single punctuation characters, in order.
    tokens: Vec<String>,
}

impl SourceFile {
    /// Every .rs file below src.
    pub fn all() -> Vec<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = Vec::new();
        gather(&root, &root, &mut files);
        files.sort_by(|left, right| left.path.cmp(&right.path));
        files
    }

    pub fn of(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { path: path.into(), tokens: tokens(&text), text }
    }

    /// The layer that it belongs to: its directory or, at the top, its own name.
    pub fn layer(&self) -> &str {
        let first = self.path.iter().next().unwrap().to_str().unwrap();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// The files that its `mod name;` lines may mean, both forms of each.
    pub fn modules(&self) -> Vec<[PathBuf; 2]> {
        let stem = self.path.file_stem().unwrap().to_str().unwrap();
        let parent = self.path.parent().unwrap();
        let directory =
            if matches!(stem, "mod" | "lib" | "main") { parent.into() } else { parent.join(stem) };
        let declared = self.tokens.windows(3).filter(|words| words[0] == "mod" && words[2] == ";");
        declared
            .map(|words| directory.join(&words[1]))
            .map(|path| [path.with_extension("rs"), path.join("mod.rs")])
            .collect()
    }

    /// The layers of ours that its code names: what follows `crate::`, and `super::` where that leaves the layer.
    pub fn names_layers(&self) -> Vec<String> {
        let mut found = self.after(&["crate", ":", ":"]);
        if self.path.file_name().unwrap() == "mod.rs" || self.path.parent() == Some(Path::new("")) {
            found.extend(self.after(&["super", ":", ":"]));
        }
        found.extend(self.after(&["super", ":", ":", "super", ":", ":"]));
        found.extend(self.after(&["mayhttpd", ":", ":"]));
        found
    }

    /// Whether its code names the crate: in a `use`, or at the head of a path.
    pub fn names_crate(&self, name: &str) -> bool {
        let head_of_path = |at: usize| {
            let before = at.checked_sub(1).map(|at| self.tokens[at].as_str());
            let further = at.checked_sub(3).map(|at| self.tokens[at].as_str());
            // `::name` begins a path as well, while `other::name` goes on with one.
            let within = before == Some(":") && further.is_some_and(is_name);
            let is_path = self.tokens[at + 1..].starts_with(&[":".into(), ":".into()]);
            !within && (is_path || before == Some("use"))
        };
        self.tokens.iter().enumerate().any(|(at, token)| token == name && head_of_path(at))
    }

    pub fn has_word(&self, word: &str) -> bool {
        self.tokens.iter().any(|token| token == word)
    }

    /// The names that follow this prefix, those in a group included.
    fn after(&self, prefix: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        for at in 0..self.tokens.len().saturating_sub(prefix.len()) {
            if !self.tokens[at..].iter().zip(prefix).all(|(token, wanted)| token == wanted) {
                continue;
            }
            let rest = &self.tokens[at + prefix.len()..];
            if rest[0] == "{" { found.extend(members(rest)) } else { found.push(rest[0].clone()) }
        }
        found
    }
}

/// The first names of a group's members: of `{a, b::{c, d}}` that is a and b.
fn members(group: &[String]) -> Vec<String> {
    let (mut depth, mut first, mut found) = (0, false, Vec::new());
    for token in group {
        match token.as_str() {
            "{" => {
                depth += 1;
                first = depth == 1;
            }
            "}" => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            "," if depth == 1 => first = true,
            name if first => {
                found.push(name.to_owned());
                first = false;
            }
            _ => {}
        }
    }
    found
}

fn gather(root: &Path, directory: &Path, files: &mut Vec<SourceFile>) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            gather(root, &path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            files.push(SourceFile::of(path.strip_prefix(root).unwrap().to_owned(), text));
        }
    }
}

/// Whether a path may go on behind it: a name, but no word of the language.
fn is_name(token: &str) -> bool {
    !matches!(token, "use" | "return" | "in" | "as" | "match" | "if" | "else" | "dyn" | "impl" | "mut")
        && token.starts_with(|first: char| first == '_' || first.is_alphabetic())
}

/// Cuts code into tokens, and leaves out comments and literals of text.
fn tokens(text: &str) -> Vec<String> {
    let mut rest = text;
    let mut found = Vec::new();
    while let Some(first) = rest.chars().next() {
        let length = skipped(rest);
        if length > 0 {
            rest = &rest[length..];
        } else if first == '_' || first.is_alphanumeric() {
            let end =
                rest.find(|letter: char| letter != '_' && !letter.is_alphanumeric()).unwrap_or(rest.len());
            found.push(rest[..end].to_owned());
            rest = &rest[end..];
        } else {
            if !first.is_whitespace() {
                found.push(first.to_string());
            }
            rest = &rest[first.len_utf8()..];
        }
    }
    found
}

/// The length of the comment or literal that `rest` begins with; 0 where it begins with none.
fn skipped(rest: &str) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return rest.find("*/").map_or(rest.len(), |end| end + 2);
    }
    let hashes = rest.trim_start_matches('b');
    if let Some(raw) = hashes.strip_prefix('r') {
        let count = raw.len() - raw.trim_start_matches('#').len();
        if raw[count..].starts_with('"') && rest.len() - raw.len() <= 2 {
            let closing = format!("\"{}", "#".repeat(count));
            let start = rest.len() - raw.len() + count + 1;
            return rest[start..].find(&closing).map_or(rest.len(), |end| start + end + closing.len());
        }
    }
    let prefix = usize::from(rest.starts_with("b\"") || rest.starts_with("b'") || rest.starts_with("c\""));
    match rest.as_bytes().get(prefix) {
        Some(b'"') => quoted(rest, prefix, b'"'),
        // A quote with a character or an escape before the next quote; else it begins a lifetime.
        Some(b'\'') => {
            let mut inside = rest[prefix + 1..].chars();
            match (inside.next(), inside.next()) {
                (Some('\\'), _) | (Some(_), Some('\'')) => quoted(rest, prefix, b'\''),
                _ => 0,
            }
        }
        _ => 0,
    }
}

fn quoted(rest: &str, prefix: usize, quote: u8) -> usize {
    let bytes = rest.as_bytes();
    let mut at = prefix + 1;
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}
