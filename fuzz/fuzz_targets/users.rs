//! A users file: read whole or refused with a line that it has, and no message repeats a hash.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mayhttpd::password::stored_hash::StoredHash;
use mayhttpd::password::users::Users;

fuzz_target!(|file: &[u8]| {
    let lines = file.split(|&byte| byte == b'\n').count();
    match Users::parse(file) {
        Ok(users) => {
            assert!(users.count() <= lines);
            assert_eq!(users.stand_in(7).is_some(), users.count() > 0);
        }
        Err(fault) => assert!((1..=lines).contains(&fault.line) && !fault.to_string().contains('\n')),
    }
    if let Ok(text) = str::from_utf8(file)
        && let Ok(hash) = StoredHash::parse(text)
    {
        assert_eq!(hash.as_str(), text);
    }
});
