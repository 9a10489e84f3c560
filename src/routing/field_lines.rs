//! Rendered field lines, `Name: value` and CRLF each, and changes to them by name.

use crate::http::response_head;

/// True if one of the lines has this name.
pub fn has(lines: &[u8], name: &str) -> bool {
    each(lines).any(|line| is_named(line, name))
}

/// Takes all lines with this name away.
pub fn remove(lines: &mut Vec<u8>, name: &str) {
    if has(lines, name) {
        *lines = each(lines).filter(|line| !is_named(line, name)).flatten().copied().collect();
    }
}

/// Makes this the only line with its name.
pub fn set(lines: &mut Vec<u8>, name: &str, value: &str) {
    remove(lines, name);
    add(lines, name, value);
}

/// Adds a line.
pub fn add(lines: &mut Vec<u8>, name: &str, value: &str) {
    response_head::field(lines, name, value.as_bytes());
}

/// Adds a value to the line with this name, after a comma, or sets it.
pub fn join(lines: &mut Vec<u8>, name: &str, value: &str) {
    let before =
        each(lines).find(|line| is_named(line, name)).map(|line| line[name.len() + 1..].trim_ascii());
    match before {
        Some(before) => {
            let joined = [before, b", ", value.as_bytes()].concat();
            remove(lines, name);
            response_head::field(lines, name, &joined);
        }
        None => add(lines, name, value),
    }
}

/// The members of the lists in all lines with this name (RFC 9110 §5.6.1).
pub fn members(lines: &[u8], name: &str) -> Vec<Vec<u8>> {
    let values = each(lines).filter(|line| is_named(line, name)).map(|line| &line[name.len() + 1..]);
    let members = values.flat_map(|value| value.split(|&byte| byte == b',')).map(<[u8]>::trim_ascii);
    members.filter(|member| !member.is_empty()).map(<[u8]>::to_vec).collect()
}

/// The lines, with their CRLF.
fn each(lines: &[u8]) -> impl Iterator<Item = &[u8]> {
    lines.split_inclusive(|&byte| byte == b'\n')
}

fn is_named(line: &[u8], name: &str) -> bool {
    let (start, rest) = line.split_at(name.len().min(line.len()));
    rest.first() == Some(&b':') && start.eq_ignore_ascii_case(name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_change_by_name() {
        let start = b"A: 1\r\nX-B: 2\r\na: 3\r\n";
        let after = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut lines = start.to_vec();
            change(&mut lines);
            String::from_utf8(lines).unwrap()
        };
        assert_eq!(after(&|lines| remove(lines, "A")), "X-B: 2\r\n");
        assert_eq!(after(&|lines| remove(lines, "B")), "A: 1\r\nX-B: 2\r\na: 3\r\n");
        assert_eq!(after(&|lines| remove(lines, "X-B: 2")), "A: 1\r\nX-B: 2\r\na: 3\r\n");
        assert_eq!(after(&|lines| set(lines, "x-b", "4")), "A: 1\r\na: 3\r\nx-b: 4\r\n");
        assert_eq!(after(&|lines| set(lines, "C", "4")), "A: 1\r\nX-B: 2\r\na: 3\r\nC: 4\r\n");
        assert_eq!(after(&|lines| join(lines, "X-B", "4")), "A: 1\r\na: 3\r\nX-B: 2, 4\r\n");
        assert_eq!(after(&|lines| join(lines, "C", "4")), "A: 1\r\nX-B: 2\r\na: 3\r\nC: 4\r\n");
        assert!(has(start, "x-b") && !has(start, "x") && !has(b"", "x"));
    }
}
