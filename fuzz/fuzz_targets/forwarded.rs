//! What a proxy adds to the right of a field is read whatever stands to the left of it. The first byte says
//! which field.

#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use mayhttpd::http::fields::Fields;
use mayhttpd::http::forwarded::ForwardingField;

fuzz_target!(|input: (u8, &[u8])| {
    let (choice, left) = input;
    let (field, name, added) = match choice % 3 {
        0 => (ForwardingField::Forwarded, "forwarded", &b", for=\"[2001:db8::1]:80\";host=\"a,b\""[..]),
        1 => (ForwardingField::XForwardedFor, "x-forwarded-for", &b", 2001:db8::1"[..]),
        _ => (ForwardingField::XRealIp, "x-real-ip", &b",[2001:db8::1]"[..]),
    };
    let line = [left, added].concat();
    let expected: IpAddr = "2001:db8::1".parse().unwrap();
    for lines in [&[(name, &line[..])][..], &[(name, left), (name, &added[1..])]] {
        let fields = Fields::from_pairs(lines);
        assert_eq!(field.nodes(&fields).next(), Some(Some(expected)));
        // Each of the others is read, or not, but to the end.
        assert!(field.nodes(&fields).count() <= line.len());
    }
});
