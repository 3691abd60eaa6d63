//! The dialect of YAML (config.md 1), and what bounds it.

use kes::identity::Identity;

use super::{ALICE, BOB, REST, bad, good, lines, load, problems};

#[test]
fn text_stays_as_it_is_written() {
    for (written, text) in [
        ("on", "on"),
        ("yes", "yes"),
        ("true", "true"),
        ("1", "1"),
        ("0123", "0123"),
        ("1e3", "1e3"),
        ("2021-01-01", "2021-01-01"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("\"null\"", "null"),
        ("'~'", "~"),
        ("!env X", "X"),
        ("!!str null", "null"),
        ("!!binary ZGlz YWJs ZWQ=", "disabled"),
        ("\"a\\u00e9\\n\"", "aé\n"),
        (">-\n    folded\n    text", "folded text"),
    ] {
        let text_of = format!(
            "admin:\n  identity: {written}\ntls: {{ key: k, cert: c }}\nkeystore: {{ fs: {{ path: p }} }}\n"
        );
        let config = load(&text_of, &[]).unwrap_or_else(|errors| panic!("{written}: {errors}"));
        assert_eq!(config.admin.as_str(), text, "{written}");
    }
}

#[test]
fn switches_take_every_usual_word_quoted_or_not() {
    let on = [
        "on", "On", "ON", "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE",
    ];
    let off = [
        "off", "Off", "OFF", "n", "N", "no", "No", "NO", "false", "False", "FALSE", "~", "null",
        "", "\"\"",
    ];
    for (words, expected) in [(&on[..], true), (&off[..], false)] {
        for word in words {
            for word in [(*word).to_owned(), format!("!!bool {word}")] {
                let config = good(&format!("compat:\n  legacy_errors: {word}"));
                assert_eq!(config.compat.legacy_errors, expected, "{word}");
            }
            if *word != "~" && *word != "null" && *word != "\"\"" {
                let config = good(&format!("compat:\n  legacy_errors: '{word}'"));
                assert_eq!(config.compat.legacy_errors, expected, "'{word}'");
            }
        }
    }
    for word in ["1", "0", "oN", "enabled", "0123", "'null'"] {
        let shown = word.trim_matches('\'');
        assert_eq!(
            bad(&format!("compat: {{ legacy_errors: {word} }}")),
            [format!(
                "kes.yml:1: compat.legacy_errors: expected 'on' or 'off', found text '{shown}'"
            )]
        );
    }
}

#[test]
fn the_other_switches_are_read_too() {
    let compat =
        good("compat: { ndjson_lists: on, legacy_self_describe: on, legacy_names: on }").compat;
    assert!(compat.ndjson_lists && compat.legacy_self_describe && compat.legacy_names);
    assert!(!compat.legacy_errors);
}

#[test]
fn wrong_types_are_collected_with_their_lines_and_without_values() {
    let text = "\
address: { secret: x }
version: [ v1 ]
tls:
  key: [ secret ]
  cert: c
  password: { secret: x }
policy: [ secret ]
cache: secret
api:
  /v1/ready: secret
  /v1/status: { skip_auth: [ on ], timeout: { a: 1 } }
log:
  error: { file: [ secret ] }
keys: [ secret ]
admin: secret
keystore: secret
";
    assert_eq!(
        problems(load(text, &[])),
        [
            "kes.yml:1: address: expected text, found a mapping",
            "kes.yml:2: version: expected text, found a list",
            "kes.yml:4: tls.key: expected text, found a list",
            "kes.yml:6: tls.password: expected text, found a mapping",
            "kes.yml:7: policy: expected a mapping, found a list",
            "kes.yml:8: cache: expected a mapping, found text",
            "kes.yml:10: api./v1/ready: expected a mapping, found text",
            "kes.yml:11: api./v1/status.skip_auth: expected 'on' or 'off', found a list",
            "kes.yml:11: api./v1/status.timeout: expected a duration, found a mapping",
            "kes.yml:13: log.error: expected text, found a mapping",
            "kes.yml:14: keys[0]: expected a mapping, found text",
            "kes.yml:15: admin: expected a mapping, found text",
            "kes.yml:16: keystore: expected a mapping, found text",
        ]
    );
    assert_eq!(
        bad("policy: { a: { allow: /v1/status, identities: [ [ x ] ] } }"),
        [
            "kes.yml:1: policy.a.allow: expected a list, found text",
            "kes.yml:1: policy.a.identities[0]: expected text, found a list",
        ]
    );
}

#[test]
fn a_null_section_is_absent() {
    let config = good(
        "policy:\napi: ~\ncache: { expiry: null }\nlog:\nkeys:\ncompat:\nversion: ''\naddress: ''",
    );
    assert!(config.policies.is_empty() && config.api.is_empty() && config.keys.is_empty());
    assert_eq!(config.address, "0.0.0.0:7373");
}

#[test]
fn keys_are_case_sensitive_and_unknown_ones_are_named_with_a_guess() {
    let config =
        good("Address: 1\nnote: { a: '${NOT_SET}' }\ntsl: x\npolicy: { a: { alow: [ x ] } }");
    assert_eq!(
        lines(&config.warnings),
        [
            "kes.yml:1: Address: unknown key, ignored",
            "kes.yml:2: note: unknown key, ignored",
            "kes.yml:3: tsl: unknown key, ignored",
            "kes.yml:4: policy.a.alow: unknown key, ignored",
        ]
    );
    let hints: Vec<_> = config
        .warnings
        .iter()
        .map(|note| note.hint.as_deref())
        .collect();
    assert_eq!(
        hints,
        [
            Some("did you mean 'address'?"),
            None,
            Some("did you mean 'tls'?"),
            Some("did you mean 'allow'?"),
        ]
    );
}

#[test]
fn a_value_that_yaml_takes_for_a_key_is_not_shown() {
    let config = good("log: { error:hunter2, 'password hunter2': x }");
    let shown = lines(&config.warnings).join("\n");
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("log.error…: unknown key"), "{shown}");
}

#[test]
fn duplicate_keys_are_refused_with_both_lines_and_a_word_on_indentation() {
    let text = format!("tls: {{ key: k, cert: c }}\n{REST}");
    let errors = load(text, &[]).err().unwrap();
    assert_eq!(
        errors.to_string(),
        "kes.yml:3: tls: defined twice, in lines 1 and 3\n\
         Hint: check the indentation: what is indented too deep becomes part of the section above it"
    );
    assert_eq!(
        bad("api:\n  /v1/ready: {}\n  /v1/ready: {}\n  '/v1/ready': {}"),
        [
            "kes.yml:3: api./v1/ready: defined twice, in lines 2 and 3",
            "kes.yml:4: api./v1/ready: defined twice, in lines 2 and 4",
        ]
    );
    // Also where nobody knows the keys.
    assert_eq!(
        bad("x: { y: 1, y: 2 }"),
        ["kes.yml:1: x.y: defined twice, in lines 1 and 1"]
    );
}

#[test]
fn anchors_aliases_and_merge_keys_work() {
    let config = good(&format!(
        "\
x-base: &base
  allow: [ /v1/status ]
  deny: &deny [ /v1/api ]
x-more: &more {{ deny: [ /version ], identities: [ {BOB} ] }}
policy:
  a: {{ <<: *base, identities: [ {ALICE} ] }}
  b: {{ deny: *deny, <<: [ *more, *base ] }}
  c: *base"
    ));
    let shown = |name: &str| {
        let entry = &config.policies[name];
        let rules = |rules: &[kes::policy::Pattern]| {
            let texts = rules.iter().map(|rule| rule.as_str().to_owned());
            texts.collect::<Vec<_>>().join(" ")
        };
        let identities: Vec<_> = entry.identities.iter().map(Identity::as_str).collect();
        (
            rules(entry.policy.allow()),
            rules(entry.policy.deny()),
            identities.join(" "),
        )
    };
    let of = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
    assert_eq!(shown("a"), of("/v1/status", "/v1/api", ALICE));
    assert_eq!(shown("b"), of("/v1/status", "/v1/api", BOB));
    assert_eq!(shown("c"), of("/v1/status", "/v1/api", ""));
}

#[test]
fn what_cannot_be_merged_or_named_is_refused() {
    for (text, problem) in [
        (
            "policy: { <<: x }",
            "kes.yml:1: policy.…: only a mapping or a list of mappings can be merged",
        ),
        (
            "policy: { <<: [ {}, x ] }",
            "kes.yml:1: policy.…: only a mapping or a list of mappings can be merged",
        ),
        (
            "a: &a { b: *a }",
            "kes.yml:1: a.b: an alias must not stand inside of what it names",
        ),
        (
            "a: *hunter2",
            "kes.yml:1: invalid YAML: while parsing node, found unknown anchor",
        ),
        ("{ [ a ]: b }: c", "kes.yml:1: a key must be text"),
        ("? [ a ]\n: b", "kes.yml:1: a key must be text"),
        (
            "a: !!binary '!'",
            "kes.yml:1: a: '!!binary' needs base64 of UTF-8 text",
        ),
        (
            "a: !!binary /w==",
            "kes.yml:1: a: '!!binary' needs base64 of UTF-8 text",
        ),
    ] {
        assert_eq!(bad(text), [problem], "{text}");
    }
}

#[test]
fn only_the_first_document_counts() {
    let config = load(format!("%YAML 1.2\n---\n{REST}---\naddress: [\n"), &[]).unwrap();
    assert_eq!(config.admin.as_str(), "disabled");
    assert!(load(format!("{REST}...\n"), &[]).is_ok());
}

#[test]
fn byte_order_marks_and_line_ends_of_any_kind_are_read() {
    assert!(load(format!("\u{feff}{REST}"), &[]).is_ok());
    let config = load(REST.replace('\n', "\r\n") + "x: 1\r\n", &[]).unwrap();
    assert_eq!(
        lines(&config.warnings),
        ["kes.yml:4: x: unknown key, ignored"]
    );
}

#[test]
fn characters_that_no_text_has_are_refused() {
    for c in ['\0', '\u{1}', '\u{1b}', '\u{7f}', '\u{80}', '\u{fffe}'] {
        for text in [
            format!("# ok\n# {c}\n{REST}"),
            format!("# ok\nx: a{c}b\n{REST}"),
        ] {
            assert_eq!(
                problems(load(text, &[])),
                ["kes.yml:2: control characters are not allowed"],
                "{c:?}"
            );
        }
    }
    good("x: \t\u{85}\u{a0}\u{10ffff}é☃");
}

#[test]
fn tabs_do_not_indent() {
    let problems = bad("log:\n\terror: on");
    assert!(
        problems[0].starts_with("kes.yml:2: invalid YAML: "),
        "{problems:?}"
    );
}

#[test]
fn files_that_are_no_configuration_are_refused_clearly() {
    for (content, problem) in [
        (&b""[..], "kes.yml: the file is empty"),
        (b"# only\n\n  # comments\n", "kes.yml: the file is empty"),
        (b"---\n", "kes.yml: the file is empty"),
        (b"\xef\xbb\xbf", "kes.yml: the file is empty"),
        (b"a: 1\nb: \xff\n", "kes.yml:2: the text is not valid UTF-8"),
        (b"\xff\xfea\0:\0", "kes.yml:1: the text is not valid UTF-8"),
        (
            b"just text",
            "kes.yml:1: expected a mapping at the top of the file, like 'address: 0.0.0.0:7373'",
        ),
        (
            b"# old\naddress = \"0.0.0.0:7373\"\n",
            "kes.yml:2: the file looks like TOML, which is not supported",
        ),
    ] {
        assert_eq!(problems(load(content, &[])), [problem]);
    }
    let toml = problems(load("[tls]\nkey = \"a\"\n", &[]));
    assert!(
        toml.iter()
            .any(|problem| problem.contains("looks like TOML")),
        "{toml:?}"
    );
}

#[test]
fn size_depth_and_aliases_are_bounded() {
    let large = format!("{REST}# {}\n", "x".repeat(kes::config::MAX_SIZE));
    assert_eq!(
        problems(load(large, &[])),
        ["kes.yml: the file is larger than 16777216 bytes"]
    );
    let deep = format!("x: {}{}", "[".repeat(100), "]".repeat(100));
    assert!(
        bad(&deep)[0].ends_with(": nested too deep"),
        "{:?}",
        bad(&deep)
    );

    let mut bomb = String::from("x0: &x0 [ a, b, c, d, e, f, g, h ]\n");
    for i in 1..12 {
        let aliases = vec![format!("*x{}", i - 1); 8].join(", ");
        bomb.extend([format!("x{i}: &x{i} [ {aliases} ]\n")]);
    }
    let problems = bad(&bomb);
    assert!(
        problems[0].contains("make the file too large"),
        "{problems:?}"
    );

    let mut tower = String::from("x0: &x0 []\n");
    for i in 1..100 {
        tower.extend([format!("x{i}: &x{i} [ *x{} ]\n", i - 1)]);
    }
    assert!(bad(&tower)[0].ends_with(": nested too deep"));

    // Large, but nothing is wrong with it.
    let comments = "# comment\n".repeat(50_000);
    good(&comments);
    let items = (0..20_000).map(|i| format!("  - name: key-{i}\n"));
    let keys = items.collect::<String>();
    assert_eq!(good(&format!("keys:\n{keys}")).keys.len(), 20_000);
}

#[test]
fn a_flood_of_problems_is_cut() {
    let keys = "  - name: '!'\n".repeat(20_000);
    assert_eq!(bad(&format!("keys:\n{keys}")).len(), 100);
}
