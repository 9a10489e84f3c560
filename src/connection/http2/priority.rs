//! The priority that a client gives a request (RFC 9218).

use http::HeaderMap;

/// Urgencies: 0 comes first (RFC 9218 §4.1).
pub const URGENCIES: usize = 8;

/// How a stream is sent beside others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priority {
    /// 0 to 7; 0 comes first.
    pub urgency: usize,
    /// True if it takes turns with others of its urgency, false if they wait until it is sent.
    pub takes_turns: bool,
}

impl Priority {
    /// That of a request that says nothing: it takes turns with others.
    const DEFAULT: Priority = Priority { urgency: 3, takes_turns: true };

    /// That of a request with these fields. What is not understood is ignored (RFC 9218 §4).
    pub fn of(headers: &HeaderMap) -> Priority {
        let Some(value) = headers.get("priority") else { return Priority::DEFAULT };
        let mut priority = Priority { urgency: 3, takes_turns: false };
        for member in value.as_bytes().split(|byte| *byte == b',') {
            match member.trim_ascii() {
                [b'u', b'=', digit @ b'0'..=b'7'] => priority.urgency = usize::from(digit - b'0'),
                b"i" | b"i=?1" => priority.takes_turns = true,
                b"i=?0" => priority.takes_turns = false,
                _ => {}
            }
        }
        priority
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urgency_and_turns_are_read_and_the_rest_is_ignored() {
        for (value, urgency, takes_turns) in [
            (None, 3, true),
            (Some("u=0"), 0, false),
            (Some("u=7, i"), 7, true),
            (Some("i"), 3, true),
            (Some("i=?0"), 3, false),
            (Some("u=8"), 3, false),
            (Some("u=-1, x=2, i;a=1"), 3, false),
            (Some("u=1,u=2"), 2, false),
            (Some(""), 3, false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert("priority", value.parse().unwrap());
            }
            assert_eq!(Priority::of(&headers), Priority { urgency, takes_turns }, "{value:?}");
        }
    }
}
