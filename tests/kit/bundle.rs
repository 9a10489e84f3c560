//! The script that is compressed, and its variants.

use std::fs;

use crate::load::bundle::{LENGTH, take, text};
use crate::load::content::{Directory, Files};

#[test]
fn a_script_has_variants_that_are_shorter_by_as_much_as_those_of_a_real_one() {
    let directory = Directory::make().unwrap();
    Files::Bundle.make(directory.path()).unwrap();
    let length = |name: &str| fs::metadata(directory.path().join("bundle").join(name)).unwrap().len();
    assert_eq!(length("app.js"), LENGTH as u64);
    let (gz, br, zst) = (length("app.js.gz"), length("app.js.br"), length("app.js.zst"));
    assert!((40_000..80_000).contains(&gz) && br < gz && zst < gz, "{gz} {br} {zst}");
}

#[test]
fn a_script_of_the_user_stands_in_its_place() {
    let directory = Directory::make().unwrap();
    let (bundle, own) = (directory.path().join("bundle"), directory.path().join("own.js"));
    fs::write(&own, "let own;\n".repeat(1000)).unwrap();
    take(&bundle, &own).unwrap();
    Files::Bundle.make(directory.path()).unwrap();
    assert_eq!(fs::read(bundle.join("app.js")).unwrap(), fs::read(&own).unwrap());
    assert!(bundle.join("app.js.br").is_file());
    let missing = take(&bundle, &directory.path().join("none.js")).unwrap_err();
    assert!(missing.contains("none.js"), "{missing}");
}

#[test]
fn the_script_is_the_same_each_time() {
    assert!(text() == text() && text().is_ascii());
}
