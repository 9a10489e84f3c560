//! The hosts of a site: which of them a request names.
//!
//! **Invariant:** an exact name counts before a wildcard, and a longer wildcard before a shorter one.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::location::HostPart;
use super::rule_tables::RuleTables;
use super::rules::Rules;
use super::site_files::SiteFiles;
use crate::config::host::HostSettings;
use crate::config::host::name::HostName;
use crate::config::{AccessLogTarget, Settings, SiteRoot, UnknownHosts};
use crate::http::host;
use crate::http::request::Request;
use crate::metrics::HostNumber;

/// All hosts of a site.
#[derive(Debug)]
pub struct Hosts {
    /// The rules of requests that name no host.
    default: Rules,
    hosts: Vec<Rules>,
    /// The numbers of hosts by name.
    exact: HashMap<Box<[u8]>, usize>,
    /// Likewise, by what follows the dot of a wildcard.
    wildcards: HashMap<Box<[u8]>, usize>,
    /// True if requests that name no host are rejected.
    rejects_unknown: bool,
    /// `_redirects` and `_headers` of each root whose host uses them.
    pub site_files: Vec<Arc<SiteFiles>>,
}

impl Hosts {
    /// The hosts of these settings. `numbers` has the number that each is counted by, in their order; without
    /// it they are not counted.
    pub fn new(settings: &Settings, numbers: &[HostNumber]) -> Hosts {
        let directories: HashMap<&Path, usize> =
            settings.directories().into_iter().enumerate().map(|(nth, path)| (path, nth + 1)).collect();
        let users_files = settings.users_files().into_iter().enumerate();
        let users_files: HashMap<&Path, usize> = users_files.map(|(nth, path)| (path, nth)).collect();
        let logs = settings.access_logs();
        let number_of = |log: &AccessLogTarget| {
            let number = logs.iter().position(|other| *other == log)?;
            u16::try_from(number).ok()
        };
        let tables = RuleTables::new(root_paths(settings, &directories));
        let part = HostPart {
            log: number_of(&settings.access_log),
            scope: &settings.scope,
            root: 0,
            key_prefix: b"",
            directories: &directories,
            users_files: &users_files,
            number: 0,
            tables: &tables,
        };
        let counted = (!numbers.is_empty()).then_some(HostNumber::NONE);
        let default = Rules::new(&settings.locations, part).counted_by(counted);
        let mut number = settings.locations.len() + 1;
        let mut rules = |(nth, host): (usize, &HostSettings)| {
            let scope = settings.scope.with(&host.scope);
            let root = host.root.as_ref().and_then(|root| directories.get(root.as_path())).copied();
            // A NUL, so that it is the beginning of no site path.
            let key_prefix = format!("\0h{nth}").into_bytes();
            let part = HostPart {
                log: number_of(host.access_log.as_ref().unwrap_or(&settings.access_log)),
                scope: &scope,
                root: root.unwrap_or(0),
                key_prefix: &key_prefix,
                directories: &directories,
                users_files: &users_files,
                number,
                tables: &tables,
            };
            number += host.locations.len() + 1;
            Rules::new(&host.locations, part).counted_by(numbers.get(nth).copied())
        };
        let hosts = settings.hosts.iter().enumerate().map(&mut rules).collect();
        let (mut exact, mut wildcards) = (HashMap::new(), HashMap::new());
        for (nth, host) in settings.hosts.iter().enumerate() {
            for name in &host.names {
                let (names, name) = match name {
                    HostName::Exact(name) => (&mut exact, name),
                    HostName::Wildcard(name) => (&mut wildcards, name),
                };
                names.insert(name.as_bytes().into(), nth);
            }
        }
        let rejects_unknown = settings.unknown_hosts == UnknownHosts::Reject;
        let site_files = tables.into_files();
        Hosts { default, hosts, exact, wildcards, rejects_unknown, site_files }
    }

    /// The rules of the host that a request names: the authority of its target, else its Host field (RFC 9112
    /// §3.2.2). `None` if it names none of the settings and such requests are rejected.
    #[inline]
    pub fn of(&self, request: &Request<'_>) -> Option<&Rules> {
        if request.is_misdirected {
            return None;
        }
        if self.hosts.is_empty() {
            return Some(&self.default);
        }
        self.of_authority(request.authority())
    }

    fn of_authority(&self, authority: Option<&[u8]>) -> Option<&Rules> {
        let name = authority.map(host::name).unwrap_or_default();
        let found = self.exact.get(&*name).or_else(|| {
            let dots = memchr::memchr_iter(b'.', &name).filter(|dot| *dot > 0);
            // Without wildcards the name is not read again.
            let mut beneath = dots.map(|dot| &name[dot + 1..]).filter(|_| !self.wildcards.is_empty());
            beneath.find_map(|name| self.wildcards.get(name))
        });
        match found {
            Some(number) => Some(&self.hosts[*number]),
            None if self.rejects_unknown => None,
            None => Some(&self.default),
        }
    }

    /// The rules of requests that name no host.
    pub fn default_rules(&self) -> &Rules {
        &self.default
    }

    /// All rules.
    pub fn all(&self) -> impl Iterator<Item = &Rules> {
        std::iter::once(&self.default).chain(&self.hosts)
    }

    /// The rules of requests that name no host.
    #[cfg(test)]
    pub fn into_default(self) -> Rules {
        self.default
    }
}

/// The paths of all roots, by their number.
fn root_paths(settings: &Settings, directories: &HashMap<&Path, usize>) -> HashMap<usize, PathBuf> {
    let roots = directories.iter().map(|(path, &number)| (number, (*path).to_owned()));
    let site = match &settings.root {
        SiteRoot::Directory(path) => Some((0, path.clone())),
        SiteRoot::Welcome => None,
    };
    roots.chain(site).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hosts with these names each, and a location in each that has the host's number for its path.
    fn hosts(names: &[&[&str]], unknown_hosts: UnknownHosts) -> Hosts {
        let host = |names: &&[&str]| HostSettings {
            names: names.iter().map(|name| HostName::read(name).unwrap()).collect(),
            ..HostSettings::default()
        };
        let hosts = names.iter().map(host).collect();
        Hosts::new(&Settings { hosts, unknown_hosts, ..Settings::default() }, &[])
    }

    /// The number of the host that an authority names; `None` for the rules of those that name none.
    fn number(hosts: &Hosts, authority: &str) -> Option<usize> {
        let rules = hosts.of_authority(Some(authority.as_bytes())).unwrap();
        hosts.hosts.iter().position(|other| std::ptr::eq(other, rules))
    }

    #[test]
    fn an_exact_name_counts_before_the_longest_wildcard() {
        let hosts = hosts(
            &[&["example.org", "www.example.org"], &["*.example.org"], &["*.a.example.org", "[::1]"]],
            UnknownHosts::Serve,
        );
        for (authority, expected) in [
            ("example.org", Some(0)),
            ("EXAMPLE.ORG:8080", Some(0)),
            ("www.example.org.", Some(0)),
            ("www.example.org.:80", Some(0)),
            ("x.example.org", Some(1)),
            ("x.y.example.org", Some(1)),
            ("a.example.org", Some(1)),
            ("x.a.example.org", Some(2)),
            ("x.y.A.example.org", Some(2)),
            ("[::1]:80", Some(2)),
            ("xexample.org", None),
            (".example.org", None),
            ("org", None),
            ("", None),
            ("example.org..", None),
            ("[::2]", None),
        ] {
            assert_eq!(number(&hosts, authority), expected, "{authority}");
        }
    }

    #[test]
    fn requests_that_name_no_host_may_be_rejected() {
        let names: &[&[&str]] = &[&["a"]];
        assert!(hosts(names, UnknownHosts::Reject).of_authority(Some(b"b")).is_none());
        assert!(hosts(names, UnknownHosts::Reject).of_authority(None).is_none());
        assert!(hosts(names, UnknownHosts::Reject).of_authority(Some(b"a")).is_some());
        assert!(hosts(names, UnknownHosts::Serve).of_authority(Some(b"b")).is_some());
    }

    #[test]
    fn a_path_has_a_key_of_its_own_in_each_host() {
        let hosts = hosts(&[&["a"], &["b"]], UnknownHosts::Serve);
        let path = crate::http::target::SitePath::parse(b"/x/y").unwrap();
        let keys: Vec<Vec<u8>> = hosts.all().map(|rules| rules.key_path(&path).into_owned()).collect();
        assert_eq!(keys, [b"x/y".to_vec(), b"\0h0/x/y".to_vec(), b"\0h1/x/y".to_vec()]);
        for (rules, key) in hosts.all().zip(&keys) {
            let key = crate::store::cache::Key { path: key, is_directory: false };
            assert_eq!(rules.location(&path).directory.file_path(key).path, b"x/y");
        }
    }
}
