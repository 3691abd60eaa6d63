//! Finds the end of a JSON value in bytes that arrive piece by piece, so that reading a body can stop there (api.md 5.4).

/// A scanner that is fed a body from its start.
#[derive(Debug, Default)]
pub struct Scanner {
    depth: usize,
    in_text: bool,
    escaped: bool,
    started: bool,
}

impl Scanner {
    /// Takes the next bytes; true once an object or array that the body started with is complete. A body that starts with anything
    /// else is never complete: it has to be read to its end.
    pub fn feed(&mut self, bytes: &[u8]) -> bool {
        for &byte in bytes {
            if self.in_text {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_text = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'{' | b'[' => {
                    self.started = true;
                    self.depth += 1;
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.started && self.depth == 0 {
                        return true;
                    }
                }
                b'"' => self.in_text = true,
                _ => {}
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_complete_at_its_last_bracket_however_it_is_cut() {
        let body = br#" {"a":"}\"]","b":[{},"\\"]}"#;
        for cut in 0..body.len() {
            let mut scanner = Scanner::default();
            assert!(!scanner.feed(&body[..cut]), "{cut}");
            assert!(scanner.feed(&body[cut..]), "{cut}");
        }
    }
}
