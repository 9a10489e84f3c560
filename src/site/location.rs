//! What is different for the paths beneath one, as the settings' `[[location]]` tables have it, made ready before the first
//! request: prefixes in the form of a site path, further fields rendered, fixed replies whole.
//!
//! It finds the location of a path and opens nothing. Two subtle rules: exactly one location answers a request, and takes
//! over nothing from another; and a site path with its slash belongs to the same one each time, so that a cache with the
//! site path as its key never mixes two roots.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::cache::Key;
use super::entry::Entry;
use super::{Now, SiteReply, error_page};
use crate::config::Settings;
use crate::config::access::AccessList;
use crate::config::location::{self as setting, Files, FixedReply};
use crate::http::reply::{Body, FieldBlock, Reply};
use crate::http::status::Status;
use crate::http::target::SitePath;
use crate::http::{date, head};

/// Where the files of some paths are.
#[derive(Debug)]
pub struct Place {
    /// The number of the site's source: 0 is the site's own root, the others are those of
    /// [`Settings::directories`].
    pub source: usize,
    /// How many bytes of a site path lead to the root of that source.
    pub at: usize,
    /// The file that answers for a directory.
    pub index: Vec<u8>,
}

/// All locations of a site, those with the longest path first.
#[derive(Debug, Default)]
pub struct Locations(Vec<Location>);

/// One location.
#[derive(Debug)]
pub struct Location {
    /// What site paths begin with: whole names.
    prefix: Box<[u8]>,
    /// True when the prefix itself is meant only where it is asked for with a slash.
    beneath: bool,
    access: AccessList,
    /// What is answered in place of a file.
    pub fixed: Option<Fixed>,
    /// Where its files are.
    pub place: Place,
    /// Where files are found by their bare names, if they are.
    pub by_name: Option<ByName>,
    /// How many bytes of a site path may begin names with a dot, because the settings name what lies there.
    pub shown: usize,
    /// Whether requests are written to the access log.
    pub logged: bool,
    /// The rendered fields of each reply.
    fields: Vec<u8>,
    keeping: Keeping,
}

/// Where files are found by their bare names.
#[derive(Debug)]
pub struct ByName {
    /// What their keys in the cache begin with: a NUL, so that no site path is one, and the number of the source.
    pub prefix: Box<[u8]>,
    /// Where they are, by their keys.
    pub place: Place,
}

/// How long what is served may be kept.
#[derive(Debug, Default)]
struct Keeping {
    /// The rendered Cache-Control, if there is one.
    field: Vec<u8>,
    /// How far ahead Expires is.
    lifetime: Option<Duration>,
}

/// A reply that is always the same.
#[derive(Debug)]
pub struct Fixed {
    status: Status,
    fields: Vec<u8>,
    body: Vec<u8>,
}

impl Locations {
    /// The locations of these settings.
    pub fn new(settings: &Settings) -> Locations {
        let directories = settings.directories();
        let mut locations: Vec<Location> = settings
            .locations
            .iter()
            .map(|location| Location::new(location, settings, &directories))
            .collect();
        // Stable, so that of two with the same path the first one counts.
        locations.sort_by_key(|location| Reverse(location.prefix.len() + usize::from(location.beneath)));
        Locations(locations)
    }

    /// The location of a path, if it has one.
    pub fn of(&self, path: &SitePath<'_>) -> Option<&Location> {
        self.of_key(path.into())
    }

    fn of_key(&self, path: Key<'_>) -> Option<&Location> {
        self.0.iter().find(|location| location.covers(path))
    }

    /// Whether a file, by its path beneath the root of `location`, is closed to a look-up by name: its own path belongs to
    /// another location that has a fixed reply or says who may ask.
    pub fn close(&self, location: &Location, file: &[u8]) -> bool {
        let path = match location.place.at {
            0 => file.to_vec(),
            at => [&location.prefix[..at], b"/", file].concat(),
        };
        let owner = self.of_key(Key { path: &path, is_directory: false });
        owner.is_some_and(|owner| {
            !std::ptr::eq(owner, location) && (owner.fixed.is_some() || !owner.access.0.is_empty())
        })
    }

    /// The sources whose files are found by their names, each once.
    pub fn sources_by_name(&self) -> BTreeSet<usize> {
        self.0
            .iter()
            .filter(|location| location.by_name.is_some())
            .map(|location| location.place.source)
            .collect()
    }
}

impl Location {
    fn new(setting: &setting::Location, settings: &Settings, directories: &[&Path]) -> Location {
        let names = setting.path.trim_matches('/');
        let (directory, at) = match &setting.files {
            Files::Site => (None, 0),
            Files::Root(directory) => (Some(directory), 0),
            Files::Alias(directory) => (Some(directory), names.len()),
        };
        // `directories` has all that locations name.
        let source = directory.and_then(|directory| directories.iter().position(|other| other == directory));
        let index = setting.index.as_ref().unwrap_or(&settings.index);
        let source = source.map_or(0, |nth| nth + 1);
        let mut fields = Vec::new();
        for (name, value) in &setting.headers {
            head::field(&mut fields, name, value.as_bytes());
        }
        Location {
            prefix: names.as_bytes().into(),
            beneath: setting.path.ends_with('/') && !names.is_empty(),
            access: setting.access.clone(),
            fixed: setting.reply.as_ref().map(Fixed::new),
            place: Place { source, at, index: index.clone().into_bytes() },
            by_name: setting.find_by_name.then(|| ByName::of(source)),
            shown: if directory.is_some() { names.len() } else { 0 },
            logged: setting.access_log,
            fields,
            keeping: Keeping::new(setting),
        }
    }

    /// Whether a path is this one's.
    fn covers(&self, path: Key<'_>) -> bool {
        match path.path.strip_prefix(&*self.prefix) {
            Some(_) if self.prefix.is_empty() => true,
            Some([]) => !self.beneath || path.is_directory,
            Some([b'/', ..]) => true,
            _ => false,
        }
    }

    /// The name, encoded, that is asked for by a query at the location's own path: `/?=name`.
    pub fn name_asked<'a>(&self, path: &SitePath<'_>, query: Option<&'a [u8]>) -> Option<&'a [u8]> {
        query?.strip_prefix(b"=").filter(|_| path.as_bytes() == &*self.prefix)
    }

    /// Whether a client may ask; none is one without an address.
    pub fn admits(&self, client: Option<IpAddr>) -> bool {
        self.access.admits(client)
    }

    /// Adds the fields of this location to a reply.
    pub fn complete(&self, reply: SiteReply, now: Now) -> SiteReply {
        let is_kept = matches!(reply.status, Status::OK | Status::PARTIAL_CONTENT | Status::NOT_MODIFIED);
        let keeping = Some(&self.keeping).filter(|keeping| is_kept && !keeping.field.is_empty());
        if self.fields.is_empty() && keeping.is_none() {
            return reply;
        }
        let Reply { status, fields, body } = reply;
        let mut fields = owned(fields);
        fields.extend_from_slice(&self.fields);
        if let Some(keeping) = keeping {
            keeping.write(&mut fields, now);
        }
        Reply { status, fields: FieldBlock::Owned(fields), body }
    }
}

fn owned(fields: FieldBlock<Arc<Entry>>) -> Vec<u8> {
    match fields {
        FieldBlock::Owned(fields) => fields,
        FieldBlock::Of(entry) => entry.whole_fields().to_vec(),
    }
}

impl ByName {
    fn of(source: usize) -> ByName {
        let prefix: Box<[u8]> = [b"\0".as_slice(), source.to_string().as_bytes()].concat().into();
        ByName { place: Place { source, at: prefix.len(), index: Vec::new() }, prefix }
    }

    /// The key in the cache of a file by its path beneath the root.
    pub fn key(&self, file: &[u8]) -> Vec<u8> {
        [&*self.prefix, b"/", file].concat()
    }
}

impl Keeping {
    fn new(setting: &setting::Location) -> Keeping {
        let age = setting.expires.map(|time| format!("max-age={}", time.as_secs()));
        let directives: Vec<&str> =
            setting.cache_control.as_deref().into_iter().chain(age.as_deref()).collect();
        let mut field = Vec::new();
        if !directives.is_empty() {
            head::field(&mut field, "Cache-Control", directives.join(", ").as_bytes());
        }
        Keeping { field, lifetime: setting.expires }
    }

    fn write(&self, out: &mut Vec<u8>, now: Now) {
        if let Some(lifetime) = self.lifetime {
            head::field(out, "Expires", &date::render(now.wall + lifetime));
        }
        out.extend_from_slice(&self.field);
    }
}

impl Fixed {
    fn new(setting: &FixedReply) -> Fixed {
        // The settings take no other status.
        let status = Status::of(setting.status).unwrap_or(Status::INTERNAL_SERVER_ERROR);
        let Some(body) = &setting.body else {
            return match status {
                // RFC 9110 §8.6: it has no Content-Length either.
                Status::NO_CONTENT => Fixed { status, fields: Vec::new(), body: Vec::new() },
                Status::OK => Fixed::with_body(status, &setting.media_type, b""),
                _ => Fixed::page(status),
            };
        };
        Fixed::with_body(status, &setting.media_type, body.as_bytes())
    }

    fn with_body(status: Status, media_type: &str, body: &[u8]) -> Fixed {
        let mut fields = Vec::with_capacity(64);
        head::field(&mut fields, "Content-Type", media_type.as_bytes());
        head::field(&mut fields, "Content-Length", itoa::Buffer::new().format(body.len()).as_bytes());
        Fixed { status, fields, body: body.to_vec() }
    }

    /// The page that says a status.
    fn page(status: Status) -> Fixed {
        let Reply { fields, body, .. } = error_page::reply(status, b"");
        let body = if let Body::Owned(body) = body { body } else { Vec::new() };
        Fixed { status, fields: owned(fields), body }
    }

    /// The reply.
    pub fn reply(&self) -> SiteReply {
        let body = if self.body.is_empty() { Body::Empty } else { Body::Owned(self.body.clone()) };
        Reply { status: self.status, fields: FieldBlock::Owned(self.fields.clone()), body }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::super::resolve::Wanted;
    use super::*;
    use crate::config::access::{Network, Rule};
    use crate::config::location::STATUSES;

    fn settings(locations: &[(&str, Files)]) -> Settings {
        let locations = locations.iter().map(|(path, files)| setting::Location {
            files: files.clone(),
            ..setting::Location::at((*path).to_owned())
        });
        Settings { locations: locations.collect(), ..Settings::default() }
    }

    /// The path of the location that a target's path is in.
    fn found(locations: &[&str], target: &str) -> Option<String> {
        let list: Vec<_> = locations.iter().map(|path| (*path, Files::Site)).collect();
        let locations = Locations::new(&settings(&list));
        let path = SitePath::parse(target.as_bytes()).unwrap();
        let location = locations.of(&path)?;
        let slash = if location.beneath { "/" } else { "" };
        Some(format!("/{}{slash}", str::from_utf8(&location.prefix).unwrap()))
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
        let locations = Locations::new(&settings(&list));
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
            let found = location.name_asked(&parsed, query.map(str::as_bytes));
            assert_eq!(found, name.map(str::as_bytes), "{path} {query:?}");
        }
    }

    #[test]
    fn what_another_location_closes_is_not_found_by_its_name() {
        let all = |allow| vec![Rule { network: Network::All, allow }];
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
        settings.locations[2].reply =
            Some(FixedReply { status: 404, body: None, media_type: "a/b".to_owned() });
        settings.locations[3].expires = Some(Duration::from_secs(1));
        settings.locations[5].access = AccessList(all(false));
        let locations = Locations::new(&settings);
        let at = |path: &str| locations.of(&SitePath::parse(path.as_bytes()).unwrap()).unwrap();
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
            assert_eq!(locations.close(at(location), file.as_bytes()), closed, "{location} {file}");
        }
    }

    #[test]
    fn the_key_of_a_file_that_is_found_by_name_is_no_site_path_and_leads_to_it() {
        let by_name = ByName::of(12);
        let key = by_name.key(b"a/b");
        assert_eq!(key[0], 0);
        let wanted = Wanted::of(Key { path: &key, is_directory: false }, by_name.place.at, b"");
        assert_eq!((wanted.path, wanted.index), (b"a/b".as_slice(), None));
        assert_ne!(ByName::of(1).key(b"2/x"), ByName::of(12).key(b"x"));
    }

    #[test]
    fn each_directory_is_a_source_once() {
        let settings = settings(&[
            ("/", Files::Site),
            ("/a", Files::Root("/x".into())),
            ("/a/b", Files::Alias("/y".into())),
            ("/c", Files::Alias("/x".into())),
        ]);
        assert_eq!(settings.directories(), [Path::new("/x"), Path::new("/y")]);
        let locations = Locations::new(&settings);
        let place = |path: &str| {
            let path = SitePath::parse(path.as_bytes()).unwrap();
            let Place { source, at, .. } = locations.of(&path).unwrap().place;
            (source, at)
        };
        assert_eq!(place("/z"), (0, 0));
        assert_eq!(place("/a/z"), (1, 0));
        assert_eq!(place("/a/b/z"), (2, 3));
        assert_eq!(place("/c/z"), (1, 1));
    }

    #[test]
    fn every_status_that_a_location_may_return_is_one() {
        for code in STATUSES {
            assert_eq!(Status::of(code).map(Status::code), Some(code));
            let reply =
                Fixed::new(&FixedReply { status: code, body: None, media_type: "a/b".to_owned() }).reply();
            let has_page = !matches!(code, 200 | 204);
            assert_eq!((reply.status.code(), !reply.body.is_empty()), (code, has_page));
        }
    }

    #[test]
    fn only_what_may_be_kept_says_how_long() {
        let mut settings = settings(&[("/", Files::Site)]);
        settings.locations[0].expires = Some(Duration::from_secs(60));
        settings.locations[0].headers = vec![("X-A".to_owned(), "b".to_owned())];
        let locations = Locations::new(&settings);
        let location = &locations.0[0];
        let now = Now { tick: 1, wall: SystemTime::UNIX_EPOCH };
        for (status, kept) in [
            (Status::OK, true),
            (Status::PARTIAL_CONTENT, true),
            (Status::NOT_MODIFIED, true),
            (Status::MOVED_PERMANENTLY, false),
            (Status::FORBIDDEN, false),
            (Status::NOT_FOUND, false),
            (Status::PRECONDITION_FAILED, false),
            (Status::RANGE_NOT_SATISFIABLE, false),
        ] {
            let reply = Reply { status, fields: FieldBlock::Owned(b"A: 1\r\n".to_vec()), body: Body::Empty };
            let fields = String::from_utf8(owned(location.complete(reply, now).fields)).unwrap();
            let keeping = "Expires: Thu, 01 Jan 1970 00:01:00 GMT\r\nCache-Control: max-age=60\r\n";
            let expected = format!("A: 1\r\nX-A: b\r\n{}", if kept { keeping } else { "" });
            assert_eq!(fields, expected, "{status:?}");
        }
    }
}
