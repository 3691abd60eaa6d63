//! Spellings of earlier releases that still work (cli.md 1).

/// Long flags that could once be written with one dash.
const SINGLE_DASH: &[&str] = &[
    "config", "addr", "root", "mlock", "key", "cert", "auth", "insecure", "json", "hash", "time",
    "from", "to", "force", "merge", "quiet", "type", "rate",
];

/// Gives `-config` and its kind their second dash. Returns the arguments and the flags that were changed.
///
/// A client command takes `-key` apart into short flags, so there only flags that cannot be meant that way are changed.
pub(super) fn current(arguments: Vec<String>) -> (Vec<String>, Vec<String>) {
    let mut changed = Vec::new();
    let mut flags = true;
    let arguments = arguments
        .into_iter()
        .map(|argument| {
            flags &= argument != "--";
            let name = argument.strip_prefix('-').unwrap_or_default();
            let name = name.split('=').next().unwrap_or_default();
            if flags && SINGLE_DASH.contains(&name) {
                changed.push(argument.clone());
                format!("-{argument}")
            } else {
                argument
            }
        })
        .collect();
    (arguments, changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_flags_get_their_second_dash_and_nothing_else_does() {
        let given = [
            "kes",
            "server",
            "-config=x",
            "-auth",
            "off",
            "-k",
            "-kf",
            "--key",
            "-",
            "--",
            "-json",
        ];
        let (now, changed) = current(given.map(str::to_owned).to_vec());
        let expected = [
            "kes",
            "server",
            "--config=x",
            "--auth",
            "off",
            "-k",
            "-kf",
            "--key",
            "-",
            "--",
            "-json",
        ];
        assert_eq!(now, expected);
        assert_eq!(changed, ["-config=x", "-auth"]);
    }
}
