//! The files below src, parsed, without their unit tests: the modules, the imports between files, functions
//! and types.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItemFn, Item, ItemFn, TraitItemFn, UseTree, Visibility};

/// A module by its path below the crate: `["http", "request"]`.
pub type Module = Vec<String>;

/// A file below src.
pub struct SourceFile {
    /// Relative to src, such as `http/request.rs`.
    pub path: PathBuf,
    /// The whole text, unit tests included.
    pub text: String,
    /// Lines before the unit tests.
    pub lines: usize,
    items: Vec<Item>,
}

/// A function and how many lines it has, from its signature to its closing brace.
pub struct Function {
    pub name: String,
    pub line: usize,
    pub lines: usize,
}

impl SourceFile {
    /// Every .rs file below src, ordered by path.
    pub fn all() -> Vec<SourceFile> {
        let root = root().join("src");
        let mut files = Vec::new();
        gather(&root, &root, &mut files);
        files.sort_by(|left, right| left.path.cmp(&right.path));
        assert!(files.len() > 20, "only {} files were found", files.len());
        files
    }

    /// A file with this text.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> SourceFile {
        let (path, text) = (path.into(), text.into());
        let parsed = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let items = parsed.items.into_iter().filter(|item| !is_test(attributes(item))).collect();
        let lines = text.lines().take_while(|line| *line != "#[cfg(test)]").count();
        SourceFile { path, text, lines, items }
    }

    /// The name for messages.
    pub fn name(&self) -> String {
        format!("src/{}", self.path.display())
    }

    /// The folder below src, or, at the top, the file's own name.
    pub fn layer(&self) -> String {
        let first = self.path.iter().next().unwrap().to_str().unwrap();
        first.strip_suffix(".rs").unwrap_or(first).to_owned()
    }

    /// The module that the file is.
    pub fn module(&self) -> Module {
        let mut parts: Module =
            self.path.with_extension("").iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        if matches!(parts.last().map(String::as_str), Some("mod" | "lib" | "main")) {
            parts.pop();
        }
        parts
    }

    /// The modules that its `mod name;` lines declare.
    pub fn declared(&self) -> Vec<Module> {
        let within = |name: String| self.module().into_iter().chain([name]).collect();
        let declarations = self.items.iter().filter_map(|item| match item {
            Item::Mod(module) if module.content.is_none() => Some(module.ident.to_string()),
            _ => None,
        });
        declarations.map(within).collect()
    }

    /// The paths that its code names, from the crate on, or from the name of another crate on
    /// (`::may::coroutine`).
    pub fn paths(&self) -> BTreeSet<Vec<String>> {
        let mut found = BTreeSet::new();
        paths_of(&self.items, &self.module(), &mut found);
        found
    }

    /// True if its code has this word.
    pub fn has_word(&self, word: &str) -> bool {
        self.items.iter().any(|item| has_word(item.to_token_stream(), word))
    }

    /// Its functions, methods and provided methods.
    pub fn functions(&self) -> Vec<Function> {
        let mut functions = Functions(Vec::new());
        self.items.iter().for_each(|item| functions.visit_item(item));
        functions.0
    }

    /// Its public types and traits.
    pub fn public_types(&self) -> Vec<String> {
        let public = |visibility: &Visibility| !matches!(visibility, Visibility::Inherited);
        let named = self.items.iter().filter_map(|item| match item {
            Item::Struct(item) if public(&item.vis) => Some(&item.ident),
            Item::Enum(item) if public(&item.vis) => Some(&item.ident),
            Item::Trait(item) if public(&item.vis) => Some(&item.ident),
            Item::Type(item) if public(&item.vis) => Some(&item.ident),
            _ => None,
        });
        named.map(ToString::to_string).collect()
    }
}

/// The files that each file imports from, by their names.
pub fn imports(files: &[SourceFile]) -> BTreeMap<String, BTreeSet<String>> {
    let by_module: BTreeMap<Module, String> = files
        .iter()
        .filter(|file| !file.path.ends_with("main.rs"))
        .map(|file| (file.module(), file.name()))
        .collect();
    let target = |path: &[String]| {
        let path = path.strip_prefix(&["crate".to_owned()])?;
        (1..=path.len()).rev().find_map(|length| by_module.get(&path[..length])).cloned()
    };
    let of = |file: &SourceFile| {
        let own = file.name();
        file.paths().iter().filter_map(|path| target(path)).filter(|name| *name != own).collect()
    };
    files.iter().map(|file| (file.name(), of(file))).collect()
}

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The paths that the items of a module name.
fn paths_of(items: &[Item], module: &Module, found: &mut BTreeSet<Vec<String>>) {
    let declared: Vec<String> = items
        .iter()
        .filter_map(|item| match item {
            Item::Mod(module) if module.content.is_none() => Some(module.ident.to_string()),
            _ => None,
        })
        .collect();
    let mut named = BTreeSet::new();
    for item in items {
        match item {
            Item::Use(item) => expand(&item.tree, &mut Vec::new(), &mut named),
            Item::Mod(inner) if inner.content.is_some() => {
                let within = module.iter().cloned().chain([inner.ident.to_string()]).collect();
                paths_of(&inner.content.as_ref().unwrap().1, &within, found);
            }
            other => paths_in(other.to_token_stream(), &mut named),
        }
    }
    found.extend(named.into_iter().filter_map(|path| absolute(path, module, &declared)));
}

/// A path from the crate on; `declared` are the modules that the module declares in files of their own.
fn absolute(path: Vec<String>, module: &Module, declared: &[String]) -> Option<Vec<String>> {
    let ups = path.iter().take_while(|part| *part == "super").count();
    match path.first()?.as_str() {
        "crate" | "mayhttpd" => Some(crate_path(path[1..].to_vec())),
        "self" => Some(crate_path([module, &path[1..]].concat())),
        "super" => Some(crate_path([&module[..module.len().checked_sub(ups)?], &path[ups..]].concat())),
        first if declared.iter().any(|name| name == first) => {
            Some(crate_path([&module[..], &path[..]].concat()))
        }
        _ => Some(path),
    }
}

fn crate_path(path: Vec<String>) -> Vec<String> {
    [vec!["crate".to_owned()], path].concat()
}

fn gather(root: &Path, directory: &Path, files: &mut Vec<SourceFile>) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            gather(root, &path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            files.push(SourceFile::new(path.strip_prefix(root).unwrap(), text));
        }
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Mod(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        _ => &[],
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    let cfg = |attribute: &Attribute| attribute.path().is_ident("cfg");
    attributes.iter().any(|attribute| cfg(attribute) && has_word(attribute.to_token_stream(), "test"))
}

/// The paths of a `use` tree: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn expand(tree: &UseTree, before: &mut Vec<String>, found: &mut BTreeSet<Vec<String>>) {
    let mut with = |name: String| {
        let mut path = before.clone();
        if name != "self" || path.is_empty() {
            path.push(name);
        }
        found.insert(path);
    };
    match tree {
        UseTree::Name(name) => with(name.ident.to_string()),
        UseTree::Rename(rename) => with(rename.ident.to_string()),
        UseTree::Glob(_) => drop(found.insert(before.clone())),
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            expand(&path.tree, before, found);
            before.pop();
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| expand(tree, before, found)),
    }
}

/// The paths of two names or more in code, those in macros included.
fn paths_in(stream: TokenStream, found: &mut BTreeSet<Vec<String>>) {
    let mut path: Vec<String> = Vec::new();
    let mut colons = 0;
    for token in stream {
        match token {
            TokenTree::Ident(name) => {
                if colons != 2 {
                    keep(&mut path, found);
                }
                path.push(name.to_string());
                colons = 0;
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
            other => {
                keep(&mut path, found);
                colons = 0;
                if let TokenTree::Group(group) = other {
                    paths_in(group.stream(), found);
                }
            }
        }
    }
    keep(&mut path, found);
}

fn keep(path: &mut Vec<String>, found: &mut BTreeSet<Vec<String>>) {
    let path = std::mem::take(path);
    if path.len() > 1 {
        found.insert(path);
    }
}

fn has_word(stream: TokenStream, word: &str) -> bool {
    stream.into_iter().any(|token| match token {
        TokenTree::Group(group) => has_word(group.stream(), word),
        TokenTree::Ident(ident) => ident == word,
        _ => false,
    })
}

struct Functions(Vec<Function>);

impl Functions {
    fn push(&mut self, name: &syn::Ident, signature: &syn::Signature, body: &syn::Block) {
        let first = signature.fn_token.span.start().line;
        let last = body.brace_token.span.close().end().line;
        self.0.push(Function { name: name.to_string(), line: first, lines: last - first + 1 });
    }
}

impl Visit<'_> for Functions {
    fn visit_item_fn(&mut self, item: &ItemFn) {
        self.push(&item.sig.ident, &item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &ImplItemFn) {
        self.push(&item.sig.ident, &item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &TraitItemFn) {
        if let Some(body) = &item.default {
            self.push(&item.sig.ident, &item.sig, body);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

#[test]
fn sources_are_read_as_the_compiler_reads_them() {
    let text = r##"//! Names crate::nothing in a comment.
/* unsafe */ use crate::{alpha, beta::{self, gamma}};
fn f<'a>(x: &'a str) -> char { super::super::delta::g("crate::no \" unsafe", r#"may::no"#, '"', 'u', b'"'); '\'' }
use ::fern::Dispatch; fn g() { other::clap::x(); print!("{}", nix::y()); let may = 1; inner::z(); }
mod inner; #[cfg(test)] mod tests { use super::*; use clap::Arg; }
"##;
    let file = SourceFile::new("log/access.rs", text);
    let paths: Vec<String> = file.paths().iter().map(|path| path.join("::")).collect();
    assert_eq!(
        paths,
        [
            "crate::alpha",
            "crate::beta",
            "crate::beta::gamma",
            "crate::delta::g",
            "crate::log::access::inner::z",
            "fern::Dispatch",
            "nix::y",
            "other::clap::x",
        ]
    );
    assert_eq!(file.layer(), "log");
    assert_eq!(file.declared(), [["log", "access", "inner"].map(String::from)]);
    assert!(!file.has_word("unsafe"));
    assert_eq!(file.functions().iter().map(|f| (f.line, f.lines)).collect::<Vec<_>>(), [(3, 1), (4, 1)]);
}
