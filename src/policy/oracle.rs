//! What a rule means, read slowly and straight from its definition: the oracle for tests and for the fuzz target.
//!
//! Takes time exponential in the number of stars.

/// The obvious, slow reading of a glob, straight from its definition: `None` if it is malformed.
fn oracle_glob(rule: &[char], path: &[char]) -> Option<bool> {
    let Some((&first, rest)) = rule.split_first() else {
        return Some(path.is_empty());
    };
    let one = |ok: bool, rest: &[char]| match path.split_first() {
        Some((_, after)) => oracle_glob(rest, after).map(|matches| ok && matches),
        None => oracle_glob(rest, &[]).map(|_| false),
    };
    let next = path.first().copied();
    match first {
        '*' => {
            let run = path.iter().take_while(|&&c| c != '/').count();
            let mut any = false;
            for taken in 0..=run {
                any |= oracle_glob(rest, &path[taken..])?;
            }
            Some(any)
        }
        '?' => one(next.is_some_and(|c| c != '/'), rest),
        '\\' => {
            let (&literal, rest) = rest.split_first()?;
            one(next == Some(literal), rest)
        }
        '[' => {
            let (negated, mut rest) = match rest.split_first() {
                Some(('^', rest)) => (true, rest),
                _ => (false, rest),
            };
            let mut inside = false;
            let mut count = 0;
            loop {
                if count > 0 && rest.first() == Some(&']') {
                    break;
                }
                let take = |rest: &mut &[char]| -> Option<char> {
                    let (&c, after) = rest.split_first()?;
                    *rest = after;
                    match c {
                        '-' | ']' => None,
                        '\\' => {
                            let (&c, after) = rest.split_first()?;
                            *rest = after;
                            Some(c)
                        }
                        c => Some(c),
                    }
                };
                let low = take(&mut rest)?;
                let mut high = low;
                if rest.first() == Some(&'-') {
                    rest = &rest[1..];
                    high = take(&mut rest)?;
                }
                inside |= next.is_some_and(|c| low <= c && c <= high);
                count += 1;
            }
            let ok = next.is_some_and(|c| c != '/' && inside != negated);
            one(ok, &rest[1..])
        }
        literal => one(next == Some(literal), rest),
    }
}

fn oracle_plain(rule: &str, path: &str) -> bool {
    match rule.strip_suffix('*') {
        Some(prefix) => path.get(..prefix.len()) == Some(prefix),
        None => !rule.is_empty() && rule == path,
    }
}

/// Whether one rule matches `path`, as an allow rule or as a deny rule (decision 4). `None` if it is malformed.
pub(super) fn oracle(rule: &str, path: &str, deny: bool) -> Option<bool> {
    let special = rule.chars().filter(|c| "*?[\\".contains(*c)).count();
    if special == 0 || (special == 1 && rule.ends_with('*')) {
        return Some(oracle_plain(rule, path));
    }
    let chars = |text: &str| text.chars().collect::<Vec<_>>();
    let glob = oracle_glob(&chars(rule), &chars(path))?;
    Some(glob || (deny && oracle_plain(rule, path)))
}
