//! Why rules can't be served, and the limits that they keep.

use std::fmt;

/// The most rules of a table.
pub const MAX_RULES: usize = 100_000;

/// The most nodes of the tree of patterns that a request may go through.
pub const MAX_STEPS: u32 = 1024;

/// The most rewrites of one request.
pub const MAX_REWRITES: usize = 10;

/// The most redirects that a client follows; browsers give up after 20.
pub const MAX_REDIRECTS: usize = 20;

/// Why rules can't be served. Rules are numbered from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleFault {
    /// A request that `rule` matches comes back to it.
    Loop {
        /// A rule of the loop.
        rule: usize,
        /// The rule that leads back to it; often the same one.
        back: usize,
    },
    /// A request that `rule` matches goes through more rules than a client or the server follows.
    TooLong {
        /// The first rule.
        rule: usize,
        /// The last one that was followed.
        last: usize,
    },
    /// Literal segments and placeholders at the same places multiply.
    TooManyWays,
    /// There are more than [`MAX_RULES`].
    TooMany,
}

impl RuleFault {
    /// The rule that ends what was followed; `None` if the fault is one of all rules together.
    pub fn last(&self) -> Option<usize> {
        match *self {
            RuleFault::Loop { back: last, .. } | RuleFault::TooLong { last, .. } => Some(last),
            RuleFault::TooManyWays | RuleFault::TooMany => None,
        }
    }

    /// The fault as a text in which `name` names a rule.
    pub fn describe(&self, name: &dyn Fn(usize) -> String) -> String {
        match *self {
            RuleFault::Loop { rule, back } if rule == back => format!("{} leads back to itself", name(rule)),
            RuleFault::Loop { rule, back } => {
                format!("{} leads back to {}", name(back), name(rule))
            }
            RuleFault::TooLong { rule, last } => format!(
                "{} begins more than {MAX_REWRITES} rewrites or {MAX_REDIRECTS} redirects in a row, which are \
                 still going on at {}",
                name(rule),
                name(last)
            ),
            RuleFault::TooManyWays => format!(
                "literal segments and placeholders at the same places make more than {MAX_STEPS} ways through \
                 the rules"
            ),
            RuleFault::TooMany => format!("more than {MAX_RULES} rules"),
        }
    }
}

impl fmt::Display for RuleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Readers count from 1.
        f.write_str(&self.describe(&|rule| format!("rule {}", rule + 1)))
    }
}
