//! What the server as a whole is doing.

labelled! {
    /// What the server as a whole is doing.
    State {
        /// Some slots have not served yet.
        Starting = "starting",
        /// Serving.
        Serving = "serving",
        /// It serves the connections that are open, and accepts no more.
        Draining = "draining",
        /// It closes all connections and stops.
        Stopping = "stopping",
    }
}
