//! The variables that Kubernetes gives a container for each service of its namespace: one named `mayhttpd` makes them
//! begin as ours do, and one of them is called MAYHTTPD_PORT.
//!
//! It only tells them from ours, by the forms that kubernetes.io has under "Accessing the Service, Environment
//! Variables": `X_SERVICE_HOST`, `X_SERVICE_PORT` and with a port's name behind it, and, as Docker's links had them,
//! `X_PORT=tcp://10.0.0.1:80`, `X_PORT_80_TCP` and the three with `_PROTO`, `_PORT` and `_ADDR` behind it.

use std::ffi::OsStr;

const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];

/// Whether a value is the address of a service, which no setting of ours can be.
pub fn is_address(value: &OsStr) -> bool {
    let value = value.to_str().unwrap_or_default();
    value
        .split_once("://")
        .is_some_and(|(scheme, _)| PROTOCOLS.iter().any(|protocol| protocol.eq_ignore_ascii_case(scheme)))
}

/// Whether a variable, of which `name` is what follows our prefix, and which is none of ours, is one of a service.
pub fn is_of_service(name: &str, value: &OsStr) -> bool {
    // A service whose name is longer, such as mayhttpd-blue, has the rest of it in front.
    let ends_with = |word: &str| name == word || name.ends_with(&format!("_{word}"));
    let named_port = name.starts_with("SERVICE_PORT_") || name.contains("_SERVICE_PORT_");
    is_address(value) || ends_with("SERVICE_HOST") || ends_with("SERVICE_PORT") || named_port || is_port(name)
}

/// Whether a name ends as `PORT_80_TCP` does, with or without what that port has.
fn is_port(name: &str) -> bool {
    let mut words: Vec<&str> = name.split('_').collect();
    if matches!(words.last(), Some(&("PROTO" | "PORT" | "ADDR"))) {
        words.pop();
    }
    let [.., "PORT", number, protocol] = words[..] else { return false };
    number.parse::<u16>().is_ok() && PROTOCOLS.contains(&protocol)
}

/// The warning about such variables.
pub fn passed_over(names: &[String]) -> String {
    let (are, them) = if names.len() == 1 { ("is", "it") } else { ("are", "them") };
    format!(
        "{} {are} about a Kubernetes service of this name and passed over (enableServiceLinks: false keeps {them} away)",
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_service_is_no_value_of_ours() {
        for (value, expected) in [
            ("tcp://10.0.0.1:80", true),
            ("udp://[fd00::1]:53", true),
            ("sctp://10.0.0.1:9", true),
            ("80", false),
            ("/srv/tcp://", false),
            ("http://x", false),
            ("", false),
        ] {
            assert_eq!(is_address(value.as_ref()), expected, "{value}");
        }
    }

    #[test]
    fn the_variables_of_a_service_are_told_from_misspelt_ones() {
        for (name, expected) in [
            ("SERVICE_HOST", true),
            ("SERVICE_PORT", true),
            ("SERVICE_PORT_HTTP", true),
            ("BLUE_SERVICE_HOST", true),
            ("BLUE_SERVICE_PORT_HTTP", true),
            ("PORT_80_TCP", true),
            ("PORT_80_TCP_PROTO", true),
            ("PORT_80_TCP_PORT", true),
            ("PORT_80_TCP_ADDR", true),
            ("BLUE_PORT_53_UDP_ADDR", true),
            ("PORTS", false),
            ("PORT_80", false),
            ("PORT_X_TCP", false),
            ("SERVICE", false),
            ("HOSTT", false),
            ("MYSERVICE_HOST", false),
        ] {
            assert_eq!(is_of_service(name, "10.0.0.1".as_ref()), expected, "{name}");
        }
        assert!(is_of_service("BLUE_PORT", "tcp://10.0.0.1:80".as_ref()));
    }
}
