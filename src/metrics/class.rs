//! The class of a status: the first digit of its code.

labelled! {
    /// The class of a status.
    StatusClass {
        /// 200 to 299.
        Success = "2xx",
        /// 300 to 399.
        Redirection = "3xx",
        /// 400 to 499.
        ClientError = "4xx",
        /// 500 and more.
        ServerError = "5xx",
    }
}

impl StatusClass {
    /// The class of a status code.
    pub fn of(code: u16) -> StatusClass {
        match code {
            ..300 => StatusClass::Success,
            300..400 => StatusClass::Redirection,
            400..500 => StatusClass::ClientError,
            500.. => StatusClass::ServerError,
        }
    }
}
