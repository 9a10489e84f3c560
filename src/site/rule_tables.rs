//! The tables of rules that locations share, made ready before the first request.
//!
//! A location that inherits its rules has the table of its host, so that ten thousand rules are kept once.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::site_files::{ConfiguredRoot, SiteFiles};
use crate::config::scope::Scope;
use crate::config::scope::header_tables::HeaderTables;
use crate::config::scope::routes::{self, Routes};
use crate::routing::header_rules::HeaderRules;
use crate::routing::rule_table::RuleTable;

/// Tables by the lists of the settings that they were made of. A list is told by its address, so the lists
/// are kept with them.
#[derive(Debug, Default)]
pub struct RuleTables {
    routes: RefCell<HashMap<(usize, usize), Made<BothLists, RuleTable>>>,
    headers: RefCell<HashMap<usize, Made<HeaderTables, HeaderRules>>>,
    /// `_redirects` and `_headers` by the number of their root.
    files: RefCell<HashMap<usize, Arc<SiteFiles>>>,
    /// The paths of all roots, by their number.
    roots: HashMap<usize, PathBuf>,
    /// The same with where they lead, once that was asked for.
    configured_roots: OnceCell<HashMap<usize, ConfiguredRoot>>,
}

/// Redirects and rewrites.
type BothLists = (Routes, Routes);

/// Lists of the settings, and the table that was made of them.
type Made<L, T> = (L, Option<Arc<T>>);

impl RuleTables {
    /// No tables yet, for roots with these numbers.
    pub fn new(roots: HashMap<usize, PathBuf>) -> RuleTables {
        RuleTables { roots, ..RuleTables::default() }
    }

    /// `_redirects` and `_headers` of a root, which hosts share that have the same one.
    pub fn files(&self, root: usize) -> Arc<SiteFiles> {
        let paths = self.configured_roots.get_or_init(|| {
            self.roots.iter().map(|(number, path)| (*number, ConfiguredRoot::of(path.clone()))).collect()
        });
        let made = || Arc::new(SiteFiles::new(root, paths));
        Arc::clone(self.files.borrow_mut().entry(root).or_insert_with(made))
    }

    /// `_redirects` and `_headers` of all roots that were asked for, each once.
    pub fn into_files(self) -> Vec<Arc<SiteFiles>> {
        self.files.into_inner().into_values().collect()
    }

    /// The redirects and rewrites of a scope; `None` if it has none.
    pub fn routes(&self, scope: &Scope) -> Option<Arc<RuleTable>> {
        let (redirects, rewrites) = (&scope.redirects, &scope.rewrites);
        if redirects.0.is_empty() && rewrites.0.is_empty() {
            return None;
        }
        let key = (Arc::as_ptr(&redirects.0).addr(), Arc::as_ptr(&rewrites.0).addr());
        let mut known = self.routes.borrow_mut();
        let made = || {
            // The settings hold no rules that make no table.
            let table = routes::table(redirects, rewrites).ok().map(Arc::new);
            ((redirects.clone(), rewrites.clone()), table)
        };
        known.entry(key).or_insert_with(made).1.clone()
    }

    /// The header rules of a scope; `None` if it has none.
    pub fn headers(&self, scope: &Scope) -> Option<Arc<HeaderRules>> {
        let tables = &scope.header_tables;
        if tables.0.is_empty() {
            return None;
        }
        let made = || {
            let rules = tables.0.iter().map(|setting| setting.rule.clone()).collect();
            (tables.clone(), Some(Arc::new(HeaderRules(rules))))
        };
        let mut known = self.headers.borrow_mut();
        known.entry(Arc::as_ptr(&tables.0).addr()).or_insert_with(made).1.clone()
    }
}
