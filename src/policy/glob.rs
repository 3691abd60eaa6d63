//! Globs, compiled when a rule is read and matched segment by segment.
//!
//! `*` is any run of characters, `?` one character (a Unicode scalar value), `[a-z]` and `[^a-z]` one character of a class, `\`
//! takes the next character literally; inside a class `-`, `]` and `\` need that. None of them matches `/`. These are the
//! shell globs that releases up to 2023-10-03 of the predecessor documented (config.md 7.1).

use std::str::Chars;

/// A compiled glob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    /// What stands between the slashes; never empty.
    segments: Box<[Box<[Token]>]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// Any one character.
    Any,
    /// One character inside these inclusive ranges, or outside all of them.
    Class {
        negated: bool,
        ranges: Box<[(char, char)]>,
    },
    /// This character.
    Literal(char),
    /// Any run of characters.
    Star,
}

impl Glob {
    /// Compiles `text`. `None` if it is malformed.
    pub fn parse(text: &str) -> Option<Self> {
        let mut segments = Vec::new();
        let mut segment = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            let token = match c {
                '*' => Token::Star,
                '?' => Token::Any,
                '[' => class(&mut chars)?,
                '\\' => Token::Literal(chars.next()?),
                c => Token::Literal(c),
            };
            match token {
                Token::Literal('/') => {
                    segments.push(std::mem::take(&mut segment).into_boxed_slice());
                }
                Token::Star if segment.last() == Some(&Token::Star) => {}
                token => segment.push(token),
            }
        }
        segments.push(segment.into_boxed_slice());
        Some(Self {
            segments: segments.into_boxed_slice(),
        })
    }

    /// Whether the whole of `path` matches.
    pub fn matches(&self, path: &str) -> bool {
        let mut texts = path.split('/');
        self.segments
            .iter()
            .all(|segment| texts.next().is_some_and(|text| matches(segment, text)))
            && texts.next().is_none()
    }

    /// Whether a path that `route` serves can match. What follows a final `/` of the route may be any one segment.
    pub(super) fn reaches(&self, route: &str) -> bool {
        match (route.strip_suffix('/'), self.segments.split_last()) {
            (Some(fixed), Some((_, before))) => {
                let mut texts = fixed.split('/');
                before
                    .iter()
                    .all(|segment| texts.next().is_some_and(|text| matches(segment, text)))
                    && texts.next().is_none()
            }
            _ => self.matches(route),
        }
    }
}

impl Glob {
    /// Whether every path below a route that ends in `/` matches.
    pub(super) fn covers(&self, route: &str) -> bool {
        let any = self
            .segments
            .last()
            .is_some_and(|last| **last == [Token::Star]);
        any && route.ends_with('/') && self.reaches(route)
    }
}

impl Token {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Any => true,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|&(low, high)| low <= c && c <= high) != *negated
            }
            Self::Literal(literal) => *literal == c,
            Self::Star => false,
        }
    }
}

/// Reads a class whose `[` has been read.
fn class(chars: &mut Chars<'_>) -> Option<Token> {
    let negated = chars.as_str().starts_with('^');
    if negated {
        chars.next();
    }
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && chars.as_str().starts_with(']') {
            chars.next();
            return Some(Token::Class {
                negated,
                ranges: ranges.into_boxed_slice(),
            });
        }
        let low = member(chars)?;
        let mut high = low;
        if chars.as_str().starts_with('-') {
            chars.next();
            high = member(chars)?;
        }
        ranges.push((low, high));
    }
}

/// Reads one character of a class.
fn member(chars: &mut Chars<'_>) -> Option<char> {
    match chars.next()? {
        '-' | ']' => None,
        '\\' => chars.next(),
        c => Some(c),
    }
}

/// Whether the whole of `text`, which has no `/`, matches. Only the last star is ever tried again, so this takes at most
/// `tokens.len() * text.len()` steps.
fn matches(tokens: &[Token], text: &str) -> bool {
    let mut at = 0;
    let mut rest = text.chars();
    // Where to go on when the text does not fit: behind the last star, which then takes one character more.
    let mut retry: Option<(usize, Chars<'_>)> = None;
    loop {
        match tokens.get(at) {
            Some(Token::Star) => {
                at += 1;
                retry = Some((at, rest.clone()));
                continue;
            }
            Some(token) => {
                let mut ahead = rest.clone();
                if ahead.next().is_some_and(|c| token.takes(c)) {
                    rest = ahead;
                    at += 1;
                    continue;
                }
            }
            None if rest.as_str().is_empty() => return true,
            None => {}
        }
        let Some((after_star, from)) = &mut retry else {
            return false;
        };
        if from.next().is_none() {
            return false;
        }
        at = *after_star;
        rest = from.clone();
    }
}
