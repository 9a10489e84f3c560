//! The method of a request, as far as this server tells methods apart (RFC 9110 §9).

/// The method of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET`, RFC 9110 §9.3.1.
    Get,
    /// `HEAD`, RFC 9110 §9.3.2.
    Head,
    /// `OPTIONS`, RFC 9110 §9.3.7.
    Options,
    /// Any other method. `get` is one of them: methods are case-sensitive.
    Other,
}

impl Method {
    /// All of them, in the order of their numbers.
    pub const ALL: &[Method] = &[Method::Get, Method::Head, Method::Options, Method::Other];

    /// The name for it in counts.
    pub const fn label(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Options => "OPTIONS",
            Method::Other => "other",
        }
    }
}
