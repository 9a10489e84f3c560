//! The locations of a host: which of them a path belongs to.
//!
//! **Invariant:** exactly one location answers a request, and takes over nothing from another. A site path
//! with its slash always belongs to the same one of a host, so a cache whose keys have the host and the site
//! path never mixes two roots.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::location::Location;
use crate::http::target::SitePath;
use crate::store::cache::Key;

/// All locations of a host, those with the longest path first.
#[derive(Debug, Default)]
pub struct Locations(Vec<Location>);

impl Locations {
    /// These locations of one host.
    pub fn new(locations: Vec<Location>) -> Locations {
        let mut locations = locations;
        // Stable: of two locations with the same path the first one counts.
        locations.sort_by_key(|location| Reverse(location.specificity()));
        Locations(locations)
    }

    /// The location of a path, if it has one.
    pub fn of(&self, path: &SitePath<'_>) -> Option<&Location> {
        self.of_key(path.into())
    }

    fn of_key(&self, path: Key<'_>) -> Option<&Location> {
        self.0.iter().find(|location| location.covers(path))
    }

    /// True if a search by name in `location` must not find `file`, a path beneath the location's root: the
    /// file's own path belongs to another location, which has a fixed response or an access list, or lets in
    /// other users. `fallback` is the location of paths that belong to none of these.
    pub fn closes(&self, location: &Location, file: &[u8], fallback: &Location) -> bool {
        let path = location.site_path(file);
        let owner = self.of_key(Key { path: &path, is_directory: false }).unwrap_or(fallback);
        owner.is_closed_to(location)
    }

    /// The numbers of the store's roots whose files are found by name.
    pub fn roots_by_name(&self) -> BTreeSet<usize> {
        self.0
            .iter()
            .filter(|location| location.by_name.is_some())
            .map(|location| location.directory.root)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::config::Settings;
    use crate::config::location::{self as setting, Files, FixedResponse};
    use crate::config::network::{AccessList, AccessRule, Network};
    use crate::config::scope::auth::AuthSettings;
    use crate::site::hosts::Hosts;
    use crate::store::directory::Directory;

    fn of(settings: &Settings) -> Locations {
        Hosts::new(settings, &[]).into_default().locations
    }

    fn settings(locations: &[(&str, Files)]) -> Settings {
        let locations = locations.iter().map(|(path, files)| setting::LocationSettings {
            files: files.clone(),
            ..setting::LocationSettings::at((*path).to_owned())
        });
        Settings { locations: locations.collect(), ..Settings::default() }
    }

    /// The path of the location that a target's path is in.
    fn found(locations: &[&str], target: &str) -> Option<String> {
        let list: Vec<_> = locations.iter().map(|path| (*path, Files::Site)).collect();
        let locations = of(&settings(&list));
        let path = SitePath::parse(target.as_bytes()).unwrap();
        let location = locations.of(&path)?;
        Some(location.path())
    }

    #[test]
    fn the_longest_path_of_whole_names_counts() {
        let all = ["/", "/a", "/a/b", "/a/b/", "/c/", "/d e/ü"];
        for (target, expected) in [
            ("/", "/"),
            ("/x", "/"),
            ("/a", "/a"),
            ("/a/", "/a"),
            ("/a/x", "/a"),
            ("/ab", "/"),
            ("/a.html", "/"),
            ("/a/b", "/a/b"),
            ("/a/b/", "/a/b/"),
            ("/a/b/c", "/a/b/"),
            ("/a/bc", "/a"),
            ("/c", "/"),
            ("/c/", "/c/"),
            ("/c/x/y", "/c/"),
            // As decoded and resolved.
            ("/%61/b%2Fc", "/a/b/"),
            ("//a///x", "/a"),
            ("/x/../a/./x", "/a"),
            ("/a/../x", "/"),
            ("/d%20e/%C3%BC/x", "/d e/ü"),
        ] {
            assert_eq!(found(&all, target).as_deref(), Some(expected), "{target}");
        }
        assert_eq!(found(&["/a"], "/b"), None);
        assert_eq!(found(&[], "/"), None);
    }

    #[test]
    fn a_name_is_asked_for_at_the_location_s_own_path() {
        let list = [("/", Files::Site), ("/a", Files::Site), ("/b/", Files::Site)];
        let locations = of(&settings(&list));
        for (path, query, name) in [
            ("/", Some("=x"), Some("x")),
            ("/", Some("="), Some("")),
            ("/", Some("=a%2Fb&c=d"), Some("a%2Fb&c=d")),
            ("/", Some("x"), None),
            ("/", Some("a=x"), None),
            ("/", None, None),
            ("/z", Some("=x"), None),
            ("/z/", Some("=x"), None),
            ("/a", Some("=x"), Some("x")),
            ("/a/", Some("=x"), Some("x")),
            ("/a/b", Some("=x"), None),
            ("/b/", Some("=x"), Some("x")),
            ("/b", Some("=x"), None),
        ] {
            let parsed = SitePath::parse(path.as_bytes()).unwrap();
            let location = locations.of(&parsed).unwrap();
            let found = location.queried_name(&parsed, query.map(str::as_bytes));
            assert_eq!(found, name.map(str::as_bytes), "{path} {query:?}");
        }
    }

    #[test]
    fn what_another_location_closes_is_not_found_by_its_name() {
        let all = |allow| vec![AccessRule { network: Network::All, allow }];
        let mut settings = settings(&[
            ("/", Files::Site),
            ("/closed", Files::Site),
            ("/fixed/", Files::Site),
            ("/kept", Files::Site),
            ("/alias", Files::Alias("/x".into())),
            ("/alias/in", Files::Site),
            ("/root", Files::Root("/y".into())),
        ]);
        settings.locations[1].access = AccessList(all(true));
        settings.locations[2].response =
            Some(FixedResponse { status: 404, body: None, media_type: "a/b".to_owned() });
        settings.locations[3].scope.expires = Some(Some(Duration::from_secs(1)));
        settings.locations[5].access = AccessList(all(false));
        let rules = Hosts::new(&settings, &[]).into_default();
        let at = |path: &str| rules.location(&SitePath::parse(path.as_bytes()).unwrap());
        for (location, file, closed) in [
            ("/", "x", false),
            ("/", "closed/x", true),
            ("/", "closedness/x", false),
            ("/", "closed", true),
            ("/", "fixed", false),
            ("/", "fixed/x", true),
            ("/", "kept/x", false),
            ("/", "a/closed/x", false),
            ("/closed/", "closed/x", false),
            ("/closed/", "x", false),
            ("/alias/", "x", false),
            ("/alias/", "in/x", true),
            ("/alias/", "closed/x", false),
            ("/root/", "closed/x", true),
            ("/root/", "root/x", false),
        ] {
            assert_eq!(rules.closes(at(location), file.as_bytes()), closed, "{location} {file}");
        }
    }

    #[test]
    fn what_lets_in_other_users_is_not_found_by_its_name() {
        let auth = |file: &str| AuthSettings {
            realm: "staff".to_owned(),
            users_file: file.into(),
            ..AuthSettings::default()
        };
        let mut settings = settings(&[
            ("/open", Files::Site),
            ("/staff", Files::Site),
            ("/admin", Files::Site),
            ("/other", Files::Root("/y".into())),
        ]);
        settings.scope.auth = Some(auth("/users"));
        settings.locations[0].scope.auth = Some(None);
        settings.locations[2].scope.auth = Some(Some(auth("/admins")));
        let rules = Hosts::new(&settings, &[]).into_default();
        let at = |path: &str| rules.location(&SitePath::parse(path.as_bytes()).unwrap());
        for (location, file, closed) in [
            ("/open/", "open/x", false),
            ("/open/", "x", true),
            ("/open/", "staff/x", true),
            ("/open/", "admin/x", true),
            ("/staff/", "x", false),
            ("/staff/", "open/x", false),
            ("/staff/", "admin/x", true),
            ("/admin/", "x", true),
            ("/", "staff/x", false),
            ("/", "admin/x", true),
        ] {
            assert_eq!(rules.closes(at(location), file.as_bytes()), closed, "{location} {file}");
        }
    }

    #[test]
    fn each_directory_is_a_root_once() {
        let settings = settings(&[
            ("/", Files::Site),
            ("/a", Files::Root("/x".into())),
            ("/a/b", Files::Alias("/y".into())),
            ("/c", Files::Alias("/x".into())),
        ]);
        assert_eq!(settings.directories(), [Path::new("/x"), Path::new("/y")]);
        let locations = of(&settings);
        let directory = |path: &str| {
            let path = SitePath::parse(path.as_bytes()).unwrap();
            let Directory { root, prefix_length, .. } = locations.of(&path).unwrap().directory;
            (root, prefix_length)
        };
        assert_eq!(directory("/z"), (0, 0));
        assert_eq!(directory("/a/z"), (1, 0));
        assert_eq!(directory("/a/b/z"), (2, 3));
        assert_eq!(directory("/c/z"), (1, 1));
    }
}
