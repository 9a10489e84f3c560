//! The variables that Kubernetes sets in a container for each service of its namespace. Those of a service
//! named `mayhttpd` begin as ours do, and one of them is MAYHTTPD_PORT.
//!
//! It only recognises them, by the forms in kubernetes.io, "Accessing the Service, Environment Variables":
//! `X_SERVICE_HOST`, `X_SERVICE_PORT`, `X_SERVICE_PORT_NAME`, and those of Docker links:
//! `X_PORT=tcp://10.0.0.1:80`, `X_PORT_80_TCP`, and the same with `_PROTO`, `_PORT` or `_ADDR` behind it.

use std::ffi::OsStr;

const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];

/// True if a value is the address of a service, which no setting has as a value.
pub fn is_address(value: &OsStr) -> bool {
    let value = value.to_str().unwrap_or_default();
    value
        .split_once("://")
        .is_some_and(|(scheme, _)| PROTOCOLS.iter().any(|protocol| protocol.eq_ignore_ascii_case(scheme)))
}

/// True if a variable that is not ours belongs to a service. `name` is without our prefix.
pub fn is_of_service(name: &str, value: &OsStr) -> bool {
    // Variables of a service named mayhttpd-blue have BLUE_ in front.
    let ends_with = |word: &str| name == word || name.ends_with(&format!("_{word}"));
    let named_port = name.starts_with("SERVICE_PORT_") || name.contains("_SERVICE_PORT_");
    is_address(value) || ends_with("SERVICE_HOST") || ends_with("SERVICE_PORT") || named_port || is_port(name)
}

/// True if a name ends like `PORT_80_TCP` or `PORT_80_TCP_ADDR`.
fn is_port(name: &str) -> bool {
    let mut words: Vec<&str> = name.split('_').collect();
    if matches!(words.last(), Some(&("PROTO" | "PORT" | "ADDR"))) {
        words.pop();
    }
    let [.., "PORT", number, protocol] = words[..] else { return false };
    number.parse::<u16>().is_ok() && PROTOCOLS.contains(&protocol)
}

/// The warning about such variables.
pub fn ignored(names: &[String]) -> String {
    let (belong, are, them) =
        if names.len() == 1 { ("belongs", "is", "it") } else { ("belong", "are", "them") };
    let names = names.join(", ");
    format!(
        "{names} {belong} to a Kubernetes service of this name and {are} ignored \
         (enableServiceLinks: false removes {them})"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_a_service_is_recognised() {
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
    fn variables_of_a_service_are_recognised() {
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
