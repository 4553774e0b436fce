//! EXTRA_ARGS as people write them, flag by flag, and the exact words that they get back.

use std::collections::BTreeMap;

use super::*;

fn read(text: &str) -> ExtraArgs {
    ExtraArgs::from_text(text).unwrap_or_else(|fault| panic!("{text}: {fault}"))
}

fn fault(text: &str) -> String {
    ExtraArgs::from_text(text)
        .err()
        .unwrap_or_else(|| panic!("{text} was taken"))
}

fn map<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

#[test]
fn nothing_asks_for_nothing() {
    assert_eq!(read(" \n"), ExtraArgs::default());
}

#[test]
fn switches_turn_one_thing_each() {
    let quiet = |quiet| ExtraArgs {
        quiet,
        ..ExtraArgs::default()
    };
    let follow = |follow_links| ExtraArgs {
        follow_links: Some(follow_links),
        ..ExtraArgs::default()
    };
    for (text, expected) in [
        (
            "--dryrun",
            ExtraArgs {
                dry_run: true,
                ..ExtraArgs::default()
            },
        ),
        (
            "--delete",
            ExtraArgs {
                delete: true,
                ..ExtraArgs::default()
            },
        ),
        (
            "--size-only",
            ExtraArgs {
                size_only: true,
                ..ExtraArgs::default()
            },
        ),
        (
            "--exact-timestamps",
            ExtraArgs {
                exact_timestamps: true,
                ..ExtraArgs::default()
            },
        ),
        ("--follow-symlinks", follow(true)),
        ("--no-follow-symlinks", follow(false)),
        ("--follow-symlinks --no-follow-symlinks", follow(false)),
        ("--no-follow-symlinks --follow-symlinks", follow(true)),
        ("--no-progress", quiet(Quiet::NoProgress)),
        ("--only-show-errors", quiet(Quiet::OnlyErrors)),
        ("--quiet", quiet(Quiet::All)),
        (
            "--quiet --only-show-errors --no-progress",
            quiet(Quiet::All),
        ),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
}

#[test]
fn values_come_in_both_forms() {
    type Get = fn(Headers) -> Option<String>;
    let flags: [(&str, &str, Get); 11] = [
        ("--acl", "public-read", |headers| headers.acl),
        ("--cache-control", "no-cache", |headers| {
            headers.cache_control
        }),
        ("--content-type", "text/html", |headers| {
            headers.content_type
        }),
        ("--content-encoding", "gzip", |headers| {
            headers.content_encoding
        }),
        ("--content-disposition", "inline", |headers| {
            headers.content_disposition
        }),
        ("--content-language", "de", |headers| {
            headers.content_language
        }),
        ("--storage-class", "GLACIER_IR", |headers| {
            headers.storage_class
        }),
        ("--sse", "aws:kms:dsse", |headers| headers.encryption),
        ("--sse", "AES256", |headers| headers.encryption),
        ("--website-redirect", "/new=1", |headers| {
            headers.website_redirect
        }),
        ("--website-redirect", "https://site", |headers| {
            headers.website_redirect
        }),
    ];
    for (flag, value, get) in flags {
        for text in [
            format!("{flag} {value}"),
            format!("{flag}={value}"),
            format!("\"{flag}={value}\" --delete"),
        ] {
            assert_eq!(get(read(&text).headers).as_deref(), Some(value), "{text}");
        }
    }
    for text in ["--expires 2026-12-01", "--expires=2026-12-01T00:00:00Z"] {
        assert_eq!(
            read(text).headers.expires,
            Some(shared::Timestamp::from_text("2026-12-01").unwrap()),
            "{text}"
        );
    }
    for text in [
        "--sse aws:kms --sse-kms-key-id alias/site",
        "--sse-kms-key-id=alias/site --sse=aws:kms",
    ] {
        let headers = read(text).headers;
        assert_eq!(headers.kms_key_id.as_deref(), Some("alias/site"), "{text}");
        assert_eq!(headers.encryption.as_deref(), Some("aws:kms"), "{text}");
    }
}

#[test]
fn a_flag_says_only_what_it_says() {
    assert_eq!(
        read("--acl private").headers,
        Headers {
            acl: Some("private".to_owned()),
            ..Headers::default()
        }
    );
}

#[test]
fn the_last_of_a_kind_counts() {
    let args = read("--acl private --metadata a=1 --acl=public-read --metadata b=2");
    assert_eq!(args.headers.acl.as_deref(), Some("public-read"));
    assert_eq!(args.headers.metadata, map([("b", "2")]));
}

#[test]
fn sse_alone_means_aes256() {
    for text in ["--sse", "--sse --delete", "--delete --sse"] {
        assert_eq!(
            read(text).headers.encryption.as_deref(),
            Some("AES256"),
            "{text}"
        );
    }
}

#[test]
fn words_are_split_as_by_a_shell() {
    for text in [
        r#"--cache-control "max-age=60, public""#,
        r"--cache-control 'max-age=60, public'",
        r"--cache-control max-age=60,\ public",
        r#"--cache-control=max-"age=60, "'public'"#,
        r#""--cache-control=max-age=60, public""#,
        "--cache-control\n  'max-age=60, public'\r\n",
        "--cache-control \\\n 'max-age=60, public' \\\n --quiet\\\n",
        // A list of the pipeline file, as `shared` hands it on.
        "\u{1f}--cache-control='max-age=60, public'\u{1f}--quiet",
    ] {
        assert_eq!(
            read(text).headers.cache_control.as_deref(),
            Some("max-age=60, public"),
            "{text:?}"
        );
    }
    for (text, value) in [
        (r#"--cache-control '"a" \'"#, r#""a" \"#),
        (r#"--cache-control "\"a\" \\ \b""#, r#""a" \ \b"#),
        ("--cache-control=$MAX_AGE", "$MAX_AGE"),
        ("--cache-control ${MAX_AGE}", "${MAX_AGE}"),
        ("--cache-control `date`*", "`date`*"),
        ("--cache-control #1", "#1"),
        (r"--cache-control \#1", "#1"),
        ("--cache-control -", "-"),
        ("--cache-control '-a b'", "-a b"),
        ("--cache-control=--quiet", "--quiet"),
    ] {
        assert_eq!(
            read(text).headers.cache_control.as_deref(),
            Some(value),
            "{text}"
        );
    }
}

#[test]
fn an_open_quote_is_refused() {
    for text in ["--exclude 'a", "--exclude \"a", "'"] {
        assert_eq!(fault(text), "has a quote that is not closed");
    }
}

#[test]
fn filters_keep_their_order() {
    let only_html = read(r#"--exclude "*" --include="*.html""#).filters;
    assert!(only_html.admits("docs/index.html") && !only_html.admits("app.js"));
    let nothing = read(r#"--include="*.html" --delete --exclude "*""#).filters;
    assert!(!nothing.admits("docs/index.html") && !nothing.admits("app.js"));
    let dashes = read("--exclude=-* --exclude '- b'").filters;
    assert!(!dashes.admits("-a") && !dashes.admits("- b") && dashes.admits("a"));
}

#[test]
fn metadata_comes_in_two_forms() {
    for (text, expected) in [
        ("--metadata a=1", map([("a", "1")])),
        ("--metadata=a=1,b=2", map([("a", "1"), ("b", "2")])),
        (
            "--metadata 'a = 1 , b = x y '",
            map([("a", "1"), ("b", "x y")]),
        ),
        ("--metadata a=,b=2", map([("a", ""), ("b", "2")])),
        ("--metadata a=b=c", map([("a", "b=c")])),
        (
            "--metadata 'a=\"1, 2\",b=3'",
            map([("a", "1, 2"), ("b", "3")]),
        ),
        (
            r#"--metadata "a='1, \'2', b=3""#,
            map([("a", "1, '2"), ("b", "3")]),
        ),
        (
            r#"--metadata 'a="\"1\" \\ \n"'"#,
            map([("a", r#""1" \ \n"#)]),
        ),
        (
            r"--metadata 'a=1\,2,b=\\'",
            map([("a", "1,2"), ("b", r"\\")]),
        ),
        ("--metadata Build-Number=7", map([("build-number", "7")])),
        (
            r#"--metadata '{"A": "1, 2", "b": ""}'"#,
            map([("a", "1, 2"), ("b", "")]),
        ),
        ("--metadata {}", map([])),
    ] {
        assert_eq!(read(text).headers.metadata, expected, "{text}");
    }
}

#[test]
fn metadata_of_another_form_is_refused() {
    for (text, value) in [
        ("--metadata a", "a"),
        ("--metadata a=1,b", "a=1,b"),
        ("--metadata a=1,b,c=2", "a=1,b,c=2"),
        ("--metadata a=1,", "a=1,"),
        ("--metadata 'a=\"1'", "a=\"1"),
        ("--metadata 'a=\"1\"2'", "a=\"1\"2"),
        ("--metadata a=[1]", "a=[1]"),
        ("--metadata a={b=1}", "a={b=1}"),
    ] {
        assert_eq!(
            fault(text),
            format!(
                "`--metadata`: could not read {value} (it is name=value,name2=value2 or a JSON object; a value \
                 with a comma stands in double quotes, and all in single ones: 'name=\"a, b\"')"
            )
        );
    }
    for (text, expected) in [
        (
            r#"--metadata '{"a": 1}'"#,
            "is not a JSON object of texts: invalid type: integer `1`, expected a string at line 1 column 7",
        ),
        (
            r#"--metadata '["a"]'"#,
            "is not a JSON object of texts: invalid type: sequence, expected a map at line 1 column 0",
        ),
        (
            "--metadata '{a: 1}'",
            "is not a JSON object of texts: key must be a string at line 1 column 2",
        ),
        (
            "--metadata =1",
            "the key `` has a character that the name of a header may not have",
        ),
        (
            "--metadata 'a b=1'",
            "the key `a b` has a character that the name of a header may not have",
        ),
        (
            "--metadata a@=file://b",
            "the key `a@` has a character that the name of a header may not have",
        ),
        (
            "--metadata a=é",
            "`a` has a line break or a character that no header may have",
        ),
        ("--metadata a=1,A=2", "`A` is given twice"),
    ] {
        assert_eq!(fault(text), format!("`--metadata`: {expected}"));
    }
    assert_eq!(
        fault(&format!("--metadata ab={}", "c".repeat(2047))),
        "`--metadata`: has 2049 bytes of metadata, more than the 2048 that S3 takes"
    );
    read(&format!("--metadata ab={}", "c".repeat(2046)));
}

#[test]
fn values_of_another_form_are_refused() {
    for (text, expected) in [
        (
            "--acl public",
            "`--acl`: unallowed value public (allowed: private, public-read, public-read-write, \
             authenticated-read, aws-exec-read, bucket-owner-read, bucket-owner-full-control, log-delivery-write)",
        ),
        (
            "--storage-class=standard",
            "`--storage-class`: unallowed value standard (allowed: STANDARD, REDUCED_REDUNDANCY, STANDARD_IA, \
             ONEZONE_IA, INTELLIGENT_TIERING, GLACIER, DEEP_ARCHIVE, OUTPOSTS, GLACIER_IR, SNOW, \
             EXPRESS_ONEZONE)",
        ),
        (
            "--sse kms",
            "`--sse`: unallowed value kms (allowed: AES256, aws:kms, aws:kms:dsse)",
        ),
        (
            "--expires soon",
            "`--expires`: unallowed value soon (a timestamp looks like `2026-12-01T00:00:00Z`)",
        ),
        (
            "--content-type 'text/html\nX: y'",
            "`--content-type`: has a line break or a character that no header may have",
        ),
        (
            "--website-redirect new.html",
            "`--website-redirect`: unallowed value new.html (a redirect leads to a path that begins with `/`, or to a URL)",
        ),
        (
            "--exclude '/secret/*'",
            "`--exclude`: unallowed value /secret/* (patterns are relative to LOCAL_PATH, so they do not begin \
             with `/`)",
        ),
        (
            "--metadata file://metadata.json",
            "`--metadata` takes the value itself, not the name of a file",
        ),
        (
            "--sse-kms-key-id alias/site",
            "`--sse-kms-key-id` needs `--sse aws:kms`",
        ),
        (
            "--sse --sse-kms-key-id alias/site",
            "`--sse-kms-key-id` needs `--sse aws:kms`",
        ),
    ] {
        assert_eq!(fault(text), expected);
    }
}

#[test]
fn a_flag_has_its_value_or_none() {
    for text in [
        "--acl",
        "--acl --delete",
        "--acl --cache-control='a b'",
        "--delete --acl",
    ] {
        assert_eq!(
            fault(text),
            "`--acl` has no value (one that begins with `-` is joined to it: `--acl=-…`)",
            "{text}"
        );
    }
    for text in ["--acl=", "--acl ''", "--acl ' '", "--acl='' --delete"] {
        assert_eq!(fault(text), "`--acl` has an empty value", "{text}");
    }
    assert_eq!(fault("--sse="), "`--sse` has an empty value");
    assert_eq!(fault("--delete=true"), "`--delete` takes no value");
    assert_eq!(fault("--quiet="), "`--quiet` takes no value");
}

#[test]
fn words_of_no_flag_are_refused() {
    assert_eq!(
        fault("dist --delete"),
        "`dist` belongs to no flag (what goes where is said by LOCAL_PATH and S3_BUCKET)"
    );
    assert_eq!(
        fault("--exclude *.map # not public"),
        "`#` belongs to no flag (what goes where is said by LOCAL_PATH and S3_BUCKET); \
         `not` belongs to no flag (what goes where is said by LOCAL_PATH and S3_BUCKET); \
         `public` belongs to no flag (what goes where is said by LOCAL_PATH and S3_BUCKET)"
    );
}

#[test]
fn other_flags_are_named_and_their_values_are_not() {
    for (text, expected) in [
        ("--frob", "`--frob` is not supported"),
        ("--frob=secret", "`--frob` is not supported"),
        ("--frob secret keys --delete", "`--frob` is not supported"),
        ("-v", "`-v` is not supported"),
        ("--", "`--` is not supported"),
        (
            "--dry-run",
            "`--dry-run` is not supported (did you mean `--dryrun`?)",
        ),
        (
            "--excl '*'",
            "`--excl` is not supported (did you mean `--exclude`?)",
        ),
        (
            "--ACL=private",
            "`--ACL` is not supported (did you mean `--acl`?)",
        ),
        (
            "--region eu-west-1",
            "`--region` is not supported (give AWS_DEFAULT_REGION)",
        ),
        (
            "--endpoint-url=http://localhost",
            "`--endpoint-url` is not supported (give AWS_ENDPOINT_URL)",
        ),
        (
            "--profile site",
            "`--profile` is not supported (give AWS_OIDC_ROLE_ARN, or AWS_ACCESS_KEY_ID and \
             AWS_SECRET_ACCESS_KEY)",
        ),
        (
            "--grants read=uri=http://a full=id=b",
            "`--grants` is not supported (give a canned ACL by ACL or --acl)",
        ),
        (
            "--recursive",
            "`--recursive` is not supported (all of LOCAL_PATH is deployed anyway; leave it out)",
        ),
        (
            "--source-region eu-west-1",
            "`--source-region` is not supported (it says nothing about an upload; leave it out)",
        ),
        (
            "--page-size 100",
            "`--page-size` is not supported (leave it out)",
        ),
        (
            "--sse-c --sse-c-key=secret",
            "`--sse-c` is not supported (keys of the customer's own cannot be used; --sse aws:kms with \
             --sse-kms-key-id can); `--sse-c-key` is not supported (keys of the customer's own cannot be used; \
             --sse aws:kms with --sse-kms-key-id can)",
        ),
    ] {
        assert_eq!(fault(text), expected);
    }
}

#[test]
fn no_flag_is_both_taken_and_refused() {
    for (name, _) in REFUSED {
        assert!(FLAGS.iter().all(|(taken, _)| taken != name), "{name}");
    }
}

#[test]
fn the_first_few_faults_are_named() {
    assert_eq!(
        fault("--a --b --delete=1 --acl= x --d --e"),
        "`--a` is not supported; `--b` is not supported; `--delete` takes no value; `--acl` has an empty value; \
         `x` belongs to no flag (what goes where is said by LOCAL_PATH and S3_BUCKET); and 2 more"
    );
}
