//! Commands as they were once called (cli.md 17).

/// An old name and what it is called now. The longest name that fits is taken.
const RENAMED: &[(&[&str], &[&str])] = &[
    (&["create"], &["key", "create"]),
    (&["delete"], &["key", "rm"]),
    (&["derive"], &["key", "dek"]),
    (&["decrypt"], &["key", "decrypt"]),
    (&["key", "delete"], &["key", "rm"]),
    (&["key", "list"], &["key", "ls"]),
    (&["key", "derive"], &["key", "dek"]),
    (&["policy", "list"], &["policy", "ls"]),
    (&["policy", "delete"], &["policy", "rm"]),
    (&["identity", "list"], &["identity", "ls"]),
    (&["identity", "forget"], &["identity", "rm"]),
    (
        &["tool", "identity", "new"],
        &["identity", "new", "--in-files"],
    ),
    (&["tool", "identity", "of"], &["identity", "of"]),
    (&["tool", "migrate"], &["migrate"]),
    (&["audit", "trace"], &["log", "--audit"]),
    (&["log", "trace"], &["log"]),
    (&["-u"], &["update"]),
    (&["--update"], &["update"]),
];

/// Renames the command, and notes it.
pub(super) fn current(mut arguments: Vec<String>, notes: &mut Vec<String>) -> Vec<String> {
    let start = first_word(&arguments);
    let rest = arguments.get(start..).unwrap_or_default();
    let renamed = RENAMED
        .iter()
        .filter(|(old, _)| {
            rest.len() >= old.len() && old.iter().zip(rest).all(|(old, given)| old == given)
        })
        .max_by_key(|(old, _)| old.len());
    let Some((old, new)) = renamed else {
        return arguments;
    };
    let mut tail = arguments.split_off(start).split_off(old.len());
    let mut new: Vec<String> = new.iter().map(|&word| word.to_owned()).collect();
    match *old {
        ["log", "trace"] => new = stream(&mut tail),
        ["tool", "identity", "of"]
            if !tail
                .iter()
                .any(|word| !word.starts_with('-') || word == "-") =>
        {
            // Without a file it read standard input.
            tail.push("-".to_owned());
        }
        _ => {}
    }
    let shown: Vec<_> = new
        .iter()
        .map(String::as_str)
        .filter(|word| *word != "--in-files")
        .collect();
    notes.push(format!(
        "'kes {}' is deprecated, use 'kes {}'",
        old.join(" "),
        shown.join(" ")
    ));
    arguments.extend(new);
    arguments.extend(tail);
    arguments
}

/// Where the command's name begins: after flags that stand before it.
fn first_word(arguments: &[String]) -> usize {
    let mut at = 1;
    while let Some(argument) = arguments.get(at) {
        let is_renamed = matches!(argument.as_str(), "-u" | "--update");
        if is_renamed || !argument.starts_with('-') || argument == "--" {
            break;
        }
        at += if matches!(argument.as_str(), "--color" | "--output") {
            2
        } else {
            1
        };
    }
    at
}

/// The command that shows what `kes log trace --type TYPE` did; takes the type out of `arguments`.
fn stream(arguments: &mut Vec<String>) -> Vec<String> {
    let mut kind = "audit".to_owned();
    let mut left = Vec::new();
    let mut given = std::mem::take(arguments).into_iter();
    while let Some(argument) = given.next() {
        let name = argument.trim_start_matches('-');
        match name.split_once('=') {
            Some(("type", value)) if argument.starts_with('-') => value.clone_into(&mut kind),
            _ if name == "type" && argument.starts_with('-') => {
                kind = given.next().unwrap_or_default();
            }
            _ => left.push(argument),
        }
    }
    *arguments = left;
    let words: &[&str] = match kind.as_str() {
        "metric" => &["metric"],
        "error" => &["log", "--error"],
        "audit" => &["log", "--audit"],
        // The parser says what is wrong with it.
        other => return vec!["log".to_owned(), format!("--type={other}")],
    };
    words.iter().map(|&word| word.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_old_name_gives_the_current_command_and_one_note() {
        for (old, new) in [
            ("kes create k", "kes key create k"),
            ("kes delete k", "kes key rm k"),
            ("kes derive k AA==", "kes key dek k AA=="),
            ("kes decrypt k c", "kes key decrypt k c"),
            ("kes key delete k", "kes key rm k"),
            ("kes --json key list", "kes --json key ls"),
            ("kes --color never key list", "kes --color never key ls"),
            ("kes key derive k", "kes key dek k"),
            ("kes policy list", "kes policy ls"),
            ("kes identity list", "kes identity ls"),
            (
                "kes tool identity new -t 1h a",
                "kes identity new --in-files -t 1h a",
            ),
            ("kes tool identity of", "kes identity of -"),
            (
                "kes tool identity of --hash SHA-256 c",
                "kes identity of --hash SHA-256 c",
            ),
            ("kes tool migrate --from a", "kes migrate --from a"),
            ("kes audit trace --json", "kes log --audit --json"),
            ("kes log trace", "kes log --audit"),
            ("kes log trace --type=error -k", "kes log --error -k"),
            (
                "kes log trace -type metric --rate 3s",
                "kes metric --rate 3s",
            ),
            ("kes -u", "kes update"),
            ("kes --update", "kes update"),
        ] {
            let mut notes = Vec::new();
            let arguments = old.split(' ').map(str::to_owned).collect();
            assert_eq!(current(arguments, &mut notes).join(" "), new);
            assert_eq!(notes.len(), 1, "{old}");
        }
    }

    #[test]
    fn current_names_stay_as_they_are() {
        for line in [
            "kes",
            "kes key create list",
            "kes key",
            "kes log",
            "kes key ls delete",
            "kes -- create",
        ] {
            let mut notes = Vec::new();
            let arguments = line.split(' ').map(str::to_owned).collect();
            assert_eq!(current(arguments, &mut notes).join(" "), line);
            assert!(notes.is_empty());
        }
    }
}
