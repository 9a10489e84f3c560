//! Preconditions: whether the client already has the current content (RFC 9110 §13).
//!
//! For GET and HEAD of content that exists. Refusals come before, ranges after. Times are compared in whole
//! seconds, because fields have no fractions.

use std::time::SystemTime;

use super::date;
use super::etag::{self, Comparison};
use super::fields::{Field, Fields};

/// The validators of a file (RFC 9110 §8.8).
#[derive(Clone, Copy, Debug)]
pub struct Validators<'a> {
    /// The entity-tag, with its quotes, and with `W/` if it is weak.
    pub etag: &'a [u8],
    /// The time of the last change, if it is known. Otherwise fields that depend on it are ignored.
    pub last_modified: Option<SystemTime>,
}

/// The result of the preconditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// Answer as if there were no preconditions.
    Proceed,
    /// 304: the client has this content.
    NotModified,
    /// 412: the content is not the one that the client expects.
    Failed,
}

/// Evaluates the preconditions of a GET or HEAD in the order of RFC 9110 §13.2.2. Its step 5 is
/// [`if_range_holds`].
pub fn evaluate(fields: &Fields<'_>, validators: &Validators<'_>) -> Precondition {
    let (if_match, if_none_match) = (fields.has(Field::IfMatch), fields.has(Field::IfNoneMatch));
    let (unmodified, modified) = (fields.has(Field::IfUnmodifiedSince), fields.has(Field::IfModifiedSince));
    if !(if_match | if_none_match | unmodified | modified) {
        return Precondition::Proceed;
    }
    // 1. If-Match.
    if if_match {
        if !lists(fields, Field::IfMatch, validators.etag, Comparison::Strong) {
            return Precondition::Failed;
        }
    // 2. Without it, If-Unmodified-Since.
    } else if unmodified && changed_after(fields, Field::IfUnmodifiedSince, validators) == Some(true) {
        return Precondition::Failed;
    }
    // 3. If-None-Match.
    if if_none_match {
        if lists(fields, Field::IfNoneMatch, validators.etag, Comparison::Weak) {
            return Precondition::NotModified;
        }
    // 4. Without it, If-Modified-Since.
    } else if modified && changed_after(fields, Field::IfModifiedSince, validators) == Some(false) {
        return Precondition::NotModified;
    }
    // 6. Otherwise answer the request.
    Precondition::Proceed
}

/// Step 5: true if the Range field is to be used (RFC 9110 §13.1.5). Without If-Range it is. An entity-tag
/// must match by the strong comparison. A date must equal the time of the last change and be strong
/// (§8.8.2.2): no other form of the content has it, and the last change is at least one second before
/// `date_of_response`. Otherwise the content could change again within the second of the date. If the last
/// change is unknown, no date matches. `shares_date` is true if other forms of the content have the same
/// date.
pub fn if_range_holds(
    fields: &Fields<'_>,
    validators: &Validators<'_>,
    date_of_response: SystemTime,
    shares_date: bool,
) -> bool {
    if !fields.has(Field::IfRange) {
        return true;
    }
    let Some(value) = fields.only(Field::IfRange) else { return false };
    if let Some(tag) = etag::parse(value) {
        return tag.matches(validators.etag, Comparison::Strong);
    }
    let Some(changed) = validators.last_modified.map(date::seconds) else { return false };
    let same = date::parse(value).is_some_and(|date| date::seconds(date) == changed);
    same && !shares_date && changed < date::seconds(date_of_response)
}

/// True if the lines of `field` are `*`, which matches any content, or list the tag.
fn lists(fields: &Fields<'_>, field: Field, tag: &[u8], comparison: Comparison) -> bool {
    fields.only(field).is_some_and(|line| line == b"*")
        || fields.lines(field).flat_map(etag::list).any(|listed| listed.matches(tag, comparison))
}

/// True if the last change was after the date in `field`. `None` if the field is to be ignored, because it is
/// not one date or the last change is unknown (RFC 9110 §13.1.3 and §13.1.4).
fn changed_after(fields: &Fields<'_>, field: Field, validators: &Validators<'_>) -> Option<bool> {
    let date = date::parse(fields.only(field)?)?;
    Some(date::seconds(validators.last_modified?) > date::seconds(date))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::Precondition::{Failed, NotModified, Proceed};
    use super::*;

    /// The second of the file's last change in all three forms, and the seconds before and after it.
    const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const SAME_RFC_850: &str = "Sunday, 06-Nov-94 08:49:37 GMT";
    const SAME_ASCTIME: &str = "Sun Nov  6 08:49:37 1994";
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    const MATCH: &str = "If-Match";
    const NONE_MATCH: &str = "If-None-Match";
    const MODIFIED: &str = "If-Modified-Since";
    const UNMODIFIED: &str = "If-Unmodified-Since";

    /// File systems have fractions of a second, fields have not.
    const CHANGED: Duration = Duration::from_millis(784_111_777_900);

    fn fields<'a>(pairs: &[(&'a str, &'a str)]) -> Fields<'a> {
        let pairs: Vec<_> = pairs.iter().map(|&(name, value)| (name, value.as_bytes())).collect();
        Fields::from_pairs(&pairs)
    }

    fn validators() -> Validators<'static> {
        Validators { etag: b"\"v1,x\"", last_modified: Some(UNIX_EPOCH + CHANGED) }
    }

    #[track_caller]
    fn check(pairs: &[(&str, &str)], expected: Precondition) {
        assert_eq!(evaluate(&fields(pairs), &validators()), expected, "{pairs:?}");
    }

    #[test]
    fn without_preconditions_the_request_is_answered() {
        check(&[], Proceed);
        check(&[("Host", "h"), ("Range", "bytes=0-"), ("If-Range", "\"other\"")], Proceed);
    }

    #[test]
    fn if_match_is_strong() {
        for value in
            ["*", "\"v1,x\"", "\"a\", \"v1,x\"", ",, \"v1,x\" ,", "W/\"v1,x\", \"v1,x\"", "bad, \"v1,x\""]
        {
            check(&[(MATCH, value)], Proceed);
        }
        for value in
            ["\"a\"", "W/\"v1,x\"", "v1,x", "\"v1\"", "\"V1,X\"", "\"v1,x", "", "**", "\"*\"", "\"a\", *"]
        {
            check(&[(MATCH, value)], Failed);
        }
        check(&[(MATCH, "\"a\""), (MATCH, "\"v1,x\"")], Proceed);
        check(&[(MATCH, "\"a\""), (MATCH, "\"b\"")], Failed);
    }

    #[test]
    fn if_none_match_is_weak() {
        for value in ["*", "\"v1,x\"", "W/\"v1,x\"", "\"a\", W/\"v1,x\"", "\"a\",,\"v1,x\"", "bad, \"v1,x\""]
        {
            check(&[(NONE_MATCH, value)], NotModified);
        }
        for value in ["\"a\"", "w/\"v1,x\"", "v1,x", "\"v1\", \"x\"", "\"v1,x", "", "\"*\"", "\"a\", *"] {
            check(&[(NONE_MATCH, value)], Proceed);
        }
        check(&[(NONE_MATCH, "\"a\""), (NONE_MATCH, "W/\"v1,x\"")], NotModified);
        check(&[(NONE_MATCH, "\"a\""), (NONE_MATCH, "\"b\"")], Proceed);
    }

    #[test]
    fn dates_compare_in_whole_seconds() {
        for value in [SAME, SAME_RFC_850, SAME_ASCTIME, AFTER] {
            check(&[(MODIFIED, value)], NotModified);
            check(&[(UNMODIFIED, value)], Proceed);
        }
        check(&[(MODIFIED, BEFORE)], Proceed);
        check(&[(UNMODIFIED, BEFORE)], Failed);
    }

    #[test]
    fn what_is_not_one_date_is_ignored() {
        for value in ["", "0", "yesterday", "Mon, 06 Nov 1994 08:49:37 GMT", "\"v1,x\"", "*"] {
            check(&[(MODIFIED, value)], Proceed);
            check(&[(UNMODIFIED, value)], Proceed);
        }
        check(&[(MODIFIED, SAME), (MODIFIED, SAME)], Proceed);
        check(&[(UNMODIFIED, BEFORE), (UNMODIFIED, BEFORE)], Proceed);
    }

    #[test]
    fn tags_take_precedence_over_dates() {
        check(&[(NONE_MATCH, "\"a\""), (MODIFIED, SAME)], Proceed);
        check(&[(MODIFIED, BEFORE), (NONE_MATCH, "*")], NotModified);
        check(&[(NONE_MATCH, "bad"), (MODIFIED, SAME)], Proceed);
        check(&[(MATCH, "*"), (UNMODIFIED, BEFORE)], Proceed);
        check(&[(UNMODIFIED, AFTER), (MATCH, "\"a\"")], Failed);
    }

    /// Each of the four absent, true or false as a condition, in all 81 combinations and both orders of the
    /// lines.
    #[test]
    fn every_combination_follows_the_order_of_the_rfc() {
        const STATES: [Option<bool>; 3] = [None, Some(true), Some(false)];
        let line = |name, state: Option<bool>, met, unmet| {
            state.map(|holds| (name, if holds { met } else { unmet }))
        };
        for number in 0..81 {
            let [if_match, unmodified, none_match, modified] =
                [1, 3, 9, 27].map(|place| STATES[number / place % 3]);
            let lines = [
                line(MATCH, if_match, "\"v1,x\"", "\"a\""),
                line(UNMODIFIED, unmodified, AFTER, BEFORE),
                line(NONE_MATCH, none_match, "\"a\"", "\"v1,x\""),
                line(MODIFIED, modified, BEFORE, AFTER),
            ];
            let expected = match (if_match.or(unmodified), none_match.or(modified)) {
                (Some(false), _) => Failed,
                (_, Some(false)) => NotModified,
                _ => Proceed,
            };
            let mut pairs: Vec<_> = lines.into_iter().flatten().collect();
            check(&pairs, expected);
            pairs.reverse();
            check(&pairs, expected);
        }
    }

    #[test]
    fn without_a_known_change_dates_are_ignored() {
        let validators = Validators { last_modified: None, ..validators() };
        let check = |pairs: &[(&str, &str)], expected| {
            assert_eq!(evaluate(&fields(pairs), &validators), expected, "{pairs:?}");
        };
        for date in [BEFORE, SAME, AFTER, "Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 01 Jan 1970 00:00:01 GMT"] {
            check(&[(MODIFIED, date)], Proceed);
            check(&[(UNMODIFIED, date)], Proceed);
            check(&[(MODIFIED, date), (NONE_MATCH, "\"v1,x\"")], NotModified);
            check(&[(UNMODIFIED, date), (MATCH, "\"a\"")], Failed);
            let now = UNIX_EPOCH + CHANGED * 2;
            assert!(!if_range_holds(&fields(&[("If-Range", date)]), &validators, now, false), "{date}");
        }
        assert!(if_range_holds(&fields(&[("If-Range", "\"v1,x\"")]), &validators, UNIX_EPOCH, false));
    }

    #[track_caller]
    fn check_if_range(values: &[&str], seconds_later: u64, expected: bool) {
        let pairs: Vec<_> = values.iter().map(|&value| ("If-Range", value)).collect();
        let date_of_response = UNIX_EPOCH + Duration::from_secs(CHANGED.as_secs() + seconds_later);
        assert_eq!(
            if_range_holds(&fields(&pairs), &validators(), date_of_response, false),
            expected,
            "{values:?}"
        );
    }

    #[test]
    fn if_range_needs_the_same_tag() {
        check_if_range(&[], 0, true);
        check_if_range(&["\"v1,x\""], 0, true);
        for value in ["W/\"v1,x\"", "\"a\"", "*", "", "v1,x", "\"v1,x\", \"a\"", "\"v1,x", "\"V1,X\""] {
            check_if_range(&[value], 1000, false);
        }
        check_if_range(&["\"v1,x\"", "\"v1,x\""], 1000, false);
    }

    #[test]
    fn if_range_needs_the_same_date_and_a_strong_one() {
        for value in [SAME, SAME_RFC_850, SAME_ASCTIME] {
            check_if_range(&[value], 0, false);
            check_if_range(&[value], 1, true);
            check_if_range(&[value], 5, true);
            check_if_range(&[value], 1_000_000_000, true);
        }
        for value in [BEFORE, AFTER, "Mon, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994"] {
            check_if_range(&[value], 1000, false);
        }
        check_if_range(&[SAME, SAME], 1000, false);
    }
}
