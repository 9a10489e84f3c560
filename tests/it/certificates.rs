//! Certificates: how a pair is made, what is refused, and how renewed files are taken up without a word.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, date_time_ymd};
use rustix::process::Signal;

use crate::support::exposition::Exposition;
use crate::support::launch::{Finished, run_with};
use crate::support::{Launch, Server, Tree, eventually, plain};

const DAY: Duration = Duration::from_secs(86400);

/// A certificate and its key, in PEM.
struct Pair {
    chain: String,
    key: String,
}

/// Valid from `from` on for so many days.
fn pair(name: &str, from: SystemTime, days: u32) -> Pair {
    let since_epoch = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(1970, 1, 1) + since_epoch(from);
    params.not_after = date_time_ymd(1970, 1, 1) + since_epoch(from + days * DAY);
    let key = KeyPair::generate().unwrap();
    Pair { chain: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
}

fn valid(name: &str, days: u32) -> Pair {
    pair(name, SystemTime::now() - Duration::from_secs(3600), days)
}

/// Writes what is not empty, the key for its owner alone.
fn place(tree: &Tree, pair: &Pair) {
    if !pair.chain.is_empty() {
        tree.file("site.pem", &pair.chain);
    }
    let draft = tree.at("next.key");
    fs::write(&draft, &pair.key).unwrap();
    fs::set_permissions(&draft, Permissions::from_mode(0o600)).unwrap();
    fs::rename(draft, tree.at("site.key")).unwrap();
}

/// The flags of a TLS listener with these files.
fn flags(tree: &Tree) -> Vec<String> {
    let path = |name: &str| tree.at(name).to_str().unwrap().to_owned();
    let flags =
        ["--tls-listen", "127.0.0.1:0", "--tls-cert", &path("site.pem"), "--tls-key", &path("site.key")];
    flags.map(str::to_owned).to_vec()
}

fn tested(tree: &Tree) -> Finished {
    Launch::site().flags(["-t"]).flags(flags(tree)).run()
}

fn generate(words: &[&str]) -> Finished {
    run_with(&[&["generate", "certificate"], words].concat())
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_generated_pair_serves_and_is_not_overwritten_by_mistake() {
    let tree = Tree::empty();
    let out = tree.at("new/place");
    let made = generate(&["--out", out.to_str().unwrap()]);
    let (chain, key) = (out.join("localhost.pem"), out.join("localhost.key"));
    let told = format!("--tls-cert {} --tls-key {}\n", chain.display(), key.display());
    assert_eq!((made.code, made.output.as_str(), made.errors.as_str()), (Some(0), told.as_str(), ""));
    assert_eq!((mode(&chain), mode(&key)), (0o644, 0o600));
    let listen = ["-t", "--tls-listen", "127.0.0.1:0"];
    let checked = Launch::site().flags(listen).flags(told.split_whitespace()).run();
    assert_eq!((checked.code, checked.errors.as_str()), (Some(0), "mayhttpd: the settings are fine\n"));
    assert!(fs::read_dir(&out).unwrap().count() == 2, "nothing else is left there");

    let before = fs::read(&key).unwrap();
    let again = generate(&["--out", out.to_str().unwrap()]);
    assert_eq!(again.code, Some(1));
    assert!(again.errors.contains("localhost.pem: it exists already, and --force replaces it"), "{again:?}");
    assert_eq!(fs::read(&key).unwrap(), before);
    assert_eq!(generate(&["--force", "--out", out.to_str().unwrap()]).code, Some(0));
    assert_ne!(fs::read(&key).unwrap(), before);
    assert_eq!(mode(&key), 0o600);

    let named = generate(&["*.example.org", "192.0.2.1", "--out", out.to_str().unwrap()]);
    assert!(named.output.contains("/_.example.org.pem --tls-key "), "{named:?}");
    for (words, why) in [
        (&["a/b", "--out", "/tmp"][..], "\"a/b\" is no name"),
        (&["example.org"], "--out DIR"),
        (&["--out", chain.to_str().unwrap()], "cannot write"),
    ] {
        let refused = generate(words);
        assert!(refused.code != Some(0) && refused.errors.contains(why), "{refused:?}");
    }
}

#[test]
fn what_can_not_be_served_is_refused_with_the_file_and_the_reason() {
    let tree = Tree::empty();
    let (now, other) = (SystemTime::now(), valid("other.example", 90));
    let good = valid("site.example", 90);
    let no_key = Pair { key: "nothing".to_owned(), ..valid("site.example", 90) };
    let stranger = Pair { chain: good.chain.clone() + &other.chain, key: good.key.clone() };
    let of_another = Pair { chain: good.chain.clone(), key: other.key };
    for (pair, file, why) in [
        (pair("site.example", now - 9 * DAY, 8), "site.pem", "it expired at "),
        (pair("site.example", now + DAY, 8), "site.pem", "it is valid only from "),
        (of_another, "site.key", "it is not the key of the certificate "),
        (no_key, "site.key", "it has no private key in PEM"),
        (stranger, "site.pem", "certificate 2 in it ("),
    ] {
        place(&tree, &pair);
        for run in [tested(&tree), Launch::site().flags(flags(&tree)).run()] {
            assert_eq!(run.code, Some(1), "{run:?}");
            let line = run.errors.lines().last().unwrap();
            assert!(
                line.contains(&format!("{file}: {why}")) && line.starts_with("mayhttpd: cannot use"),
                "{line}"
            );
            assert!(!run.errors.contains("PRIVATE"), "{}", run.errors);
        }
    }
    fs::remove_file(tree.at("site.key")).unwrap();
    assert!(tested(&tree).errors.contains("site.key: no such file"));
}

#[test]
fn what_an_operator_should_know_is_a_warning() {
    let tree = Tree::empty();
    place(&tree, &valid("site.example", 5));
    fs::set_permissions(tree.at("site.key"), Permissions::from_mode(0o644)).unwrap();
    let run = tested(&tree);
    assert_eq!(run.code, Some(0), "{run:?}");
    let lines: Vec<&str> = run.errors.lines().collect();
    let [open, near, fine] = lines[..] else { panic!("{lines:?}") };
    assert!(open.contains("all users may read the private key") && open.contains("site.key"));
    assert!(near.contains("site.pem for site.example expires in 4 days, at "), "{near}");
    assert_eq!(fine, "mayhttpd: the settings are fine");
    let server = Launch::site().flags(flags(&tree)).start();
    server.says("that it expires", |line| line.contains("site.example expires in 4 days"));
}

/// A server with a certificate of 90 days and an admin listener.
fn serving(tree: &Tree) -> (Server, SocketAddr) {
    place(tree, &valid("first.example", 90));
    let server = Launch::site().flags(["--admin", "0"]).flags(flags(tree)).start();
    let admin = server.admin_address();
    (server, admin)
}

/// The names and ends of the certificates in the metrics.
fn shown(admin: SocketAddr) -> Vec<(String, f64)> {
    let exposition = Exposition::of(admin);
    let of_certificates =
        exposition.lines().filter(|(series, _)| series.starts_with("mayhttpd_certificate_expiry_seconds"));
    of_certificates.map(|(series, value)| (series.split('"').nth(1).unwrap().to_owned(), value)).collect()
}

#[test]
fn renewed_files_are_taken_up_and_a_broken_pair_keeps_the_old_one() {
    let tree = Tree::empty();
    let (server, admin) = serving(&tree);
    let [(name, end)] = &shown(admin)[..] else { panic!("{:?}", shown(admin)) };
    let left = end - SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!(name == "first.example" && (89.9..90.).contains(&(left / 86400.)), "{name} {left}");
    let json = plain::get(admin, "/status.json").unwrap().1;
    assert!(json.contains(r#""certificates":[{"name":"first.example","key":"ecdsa","#), "{json}");

    let second = valid("second.example", 60);
    place(&tree, &Pair { chain: String::new(), ..valid("lost.example", 60) });
    let broken = "site.key: it is not the key of the certificate";
    server.says("that the pair is broken", |line| line.contains(broken) && line.contains("stays in service"));
    assert_eq!(shown(admin)[0].0, "first.example");

    place(&tree, &second);
    server.says("that certificates changed", |line| line.contains("certificates have changed: generation 2"));
    eventually("the new one is shown", || (shown(admin)[0].0 == "second.example").then_some(()));
    assert_eq!(server.log().matches(broken).count(), 1, "{}", server.log());
    server.get("/page.html").has_status(&[200]);
}

/// Puts the pair into the directory as a kubelet does: into a new one, to which the link `..data` is switched
/// at once, and through which the links of the files lead.
fn mount(directory: &Tree, version: &str, pair: &Pair) {
    directory.file(format!("{version}/tls.crt"), &pair.chain);
    directory.file(format!("{version}/tls.key"), &pair.key);
    directory.mode(format!("{version}/tls.key"), 0o600);
    let before = fs::read_link(directory.at("..data"));
    symlink(version, directory.at("..next")).unwrap();
    fs::rename(directory.at("..next"), directory.at("..data")).unwrap();
    match before {
        Ok(before) => fs::remove_dir_all(directory.path().join(before)).unwrap(),
        Err(_) => ["tls.crt", "tls.key"]
            .iter()
            .for_each(|name| symlink(format!("..data/{name}"), directory.at(name)).unwrap()),
    }
}

#[test]
fn a_mounted_secret_is_taken_up_when_its_link_is_switched() {
    let (settings, secret) = (Tree::empty(), Tree::empty());
    mount(&secret, "..2026_11_29", &valid("first.example", 90));
    // The volume itself may be found by way of a link, too.
    symlink(secret.path(), settings.at("mounted")).unwrap();
    let file = |name: &str| settings.at("mounted").join(name).to_str().unwrap().to_owned();
    let pair = ["--tls-cert", &file("tls.crt"), "--tls-key", &file("tls.key")];
    let flags = ["--tls-listen", "127.0.0.1:0", "--admin", "0"];
    let server = Launch::site().flags(flags).flags(pair).start();
    let admin = server.admin_address();
    assert_eq!(shown(admin)[0].0, "first.example");
    mount(&secret, "..2026_11_30", &valid("second.example", 90));
    eventually("the new one is shown", || (shown(admin)[0].0 == "second.example").then_some(()));
    assert!(!server.log().contains("stays in service"), "{}", server.log());
    assert!(!server.log().contains("may read the private key"), "{}", server.log());
    server.get("/page.html").has_status(&[200]);
}

#[test]
fn a_reload_reads_the_files_and_fails_with_a_broken_pair() {
    let tree = Tree::empty();
    let (server, admin) = serving(&tree);
    fs::write(tree.at("site.pem"), "nothing").unwrap();
    server.signal(Signal::HUP);
    server.says("that the reload failed", |line| {
        line.contains("the reload failed") && line.contains("site.pem: it has no certificate in PEM")
    });
    server.get("/page.html").has_status(&[200]);
    assert_eq!(shown(admin)[0].0, "first.example");
    place(&tree, &valid("third.example", 3));
    server.signal(Signal::HUP);
    eventually("the new one is shown", || (shown(admin)[0].0 == "third.example").then_some(()));
    server.says("that it expires", |line| line.contains("third.example expires in 2 days"));
}
