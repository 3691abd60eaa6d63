//! The path of a request, read once (decision 2): split at `/`, empty segments dropped, each segment decoded once. Routing and
//! authorisation work on these segments and on nothing else.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// As many segments as the longest route has without its name.
const MAX_FIXED: usize = 4;

/// Why a path cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// A `%` that is not followed by two hexadecimal digits.
    BadEscape,
}

/// The segments of a path, decoded, in canonical form.
#[derive(Debug)]
pub(super) struct Path<'a> {
    /// `/` before each segment, none at the end.
    text: Cow<'a, str>,
    /// Where each of the first segments ends in `text`; at most as many as a route has.
    ends: [usize; MAX_FIXED],
    /// How many segments there are, up to `MAX_FIXED`.
    fixed: usize,
    /// The first segment, counted from 0, that is no plain text: decoded to `.`, `..` or something with `/`.
    odd: Option<(usize, Odd)>,
}

/// What is odd about a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Odd {
    /// `.` or `..`.
    Dots,
    /// Text with a `/`.
    Slash,
}

impl<'a> Path<'a> {
    /// Reads the path of a request target.
    pub(super) fn parse(raw: &'a str) -> Result<Self, Unreadable> {
        // Nearly every path is its own canonical form; it is then borrowed.
        if let Some(path) = Self::canonical(raw) {
            return Ok(path);
        }
        let mut path = Self::empty();
        let mut text = String::with_capacity(raw.len());
        for (count, segment) in raw.split('/').filter(|s| !s.is_empty()).enumerate() {
            let segment = decode(segment)?;
            path.push(count, segment.len(), oddity(&segment));
            text.push('/');
            text.push_str(&segment);
        }
        path.text = Cow::Owned(text);
        Ok(path)
    }

    /// The path, if there is a `/` before each segment and nowhere else, and nothing to decode.
    fn canonical(raw: &'a str) -> Option<Self> {
        let mut path = Self::empty();
        let segments = raw.strip_prefix('/')?.as_bytes().split(|b| *b == b'/');
        for (count, segment) in segments.enumerate() {
            if segment.is_empty() || segment.contains(&b'%') {
                return None;
            }
            let odd = matches!(segment, b"." | b"..").then_some(Odd::Dots);
            path.push(count, segment.len(), odd);
        }
        path.text = Cow::Borrowed(raw);
        Some(path)
    }

    fn empty() -> Self {
        Self {
            text: Cow::Borrowed(""),
            ends: [0; MAX_FIXED],
            fixed: 0,
            odd: None,
        }
    }

    /// Notes that segment `count` has this length. They come in their order.
    fn push(&mut self, count: usize, len: usize, odd: Option<Odd>) {
        if self.odd.is_none() {
            self.odd = odd.map(|odd| (count, odd));
        }
        let start = count.checked_sub(1).and_then(|i| self.ends.get(i));
        let end = start.copied().unwrap_or(0) + 1 + len;
        if let Some(slot) = self.ends.get_mut(count) {
            *slot = end;
            self.fixed = count + 1;
        }
    }

    /// The first `count` segments, each after a `/`; `None` if there are fewer.
    pub(super) fn head(&self, count: usize) -> Option<&str> {
        if count == 0 || count > self.fixed {
            return None;
        }
        self.text.get(..*self.ends.get(count - 1)?)
    }

    /// What follows the first `count` segments, without the `/` between.
    pub(super) fn rest(&self, count: usize) -> &str {
        let end = count
            .checked_sub(1)
            .and_then(|last| self.ends.get(last))
            .copied()
            .unwrap_or(0);
        let rest = self.text.get(end..).unwrap_or_default();
        rest.strip_prefix('/').unwrap_or(rest)
    }

    /// The whole path: `/` before each segment, none at the end.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// What is odd anywhere.
    pub(super) fn odd(&self) -> Option<Odd> {
        self.odd.map(|(_, odd)| odd)
    }
}

/// Decodes a segment once. What is not UTF-8 afterwards becomes U+FFFD, which no route and no name contains.
fn decode(segment: &str) -> Result<Cow<'_, str>, Unreadable> {
    if !segment.contains('%') {
        return Ok(Cow::Borrowed(segment));
    }
    let mut rest = segment;
    while let Some((_, after)) = rest.split_once('%') {
        let escape = after.as_bytes().get(..2).ok_or(Unreadable::BadEscape)?;
        if !escape.iter().all(u8::is_ascii_hexdigit) {
            return Err(Unreadable::BadEscape);
        }
        rest = after;
    }
    Ok(Cow::Owned(
        percent_decode_str(segment).decode_utf8_lossy().into_owned(),
    ))
}

fn oddity(segment: &str) -> Option<Odd> {
    match segment {
        "." | ".." => Some(Odd::Dots),
        text if text.contains('/') => Some(Odd::Slash),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_path_has_one_canonical_form() {
        for raw in [
            "/v1/key/list/a",
            "//v1/key//list/a",
            "/v1/%6bey/list/a/",
            "v1/key/list/%61",
        ] {
            let path = Path::parse(raw).unwrap();
            assert_eq!(path.head(3), Some("/v1/key/list"), "{raw}");
            assert_eq!(path.rest(3), "a", "{raw}");
            assert_eq!(path.odd(), None, "{raw}");
        }
    }

    #[test]
    fn segments_are_decoded_once() {
        let path = Path::parse("/v1/key/describe/%2541").unwrap();
        assert_eq!(path.rest(3), "%41");
    }

    #[test]
    fn odd_segments_are_found_where_they_stand() {
        let odd = |raw| Path::parse(raw).unwrap().odd;
        assert_eq!(odd("/v1/./status"), Some((1, Odd::Dots)));
        assert_eq!(odd("/v1/key%2flist/"), Some((1, Odd::Slash)));
        assert_eq!(odd("/v1/key/describe/%2e%2e"), Some((3, Odd::Dots)));
        assert_eq!(odd("/v1/key/describe/a%2Fb"), Some((3, Odd::Slash)));
    }

    #[test]
    fn a_broken_escape_is_refused() {
        for raw in ["/%zz", "/%", "/%4", "/a%%41"] {
            assert_eq!(
                Path::parse(raw).unwrap_err(),
                Unreadable::BadEscape,
                "{raw}"
            );
        }
    }

    #[test]
    fn short_paths_have_no_long_heads() {
        let path = Path::parse("/version").unwrap();
        assert_eq!(path.head(1), Some("/version"));
        assert_eq!(path.head(2), None);
        assert_eq!(path.rest(1), "");
        assert_eq!(Path::parse("/").unwrap().head(1), None);
    }
}
