//! Headers, names and bodies by rule: RULES_FILE, the Netlify files, compression and EXTRA_ARGS, on the whole way from
//! the variable to the stored object.

use crate::step::{Step, last_line, text};

#[test]
fn rules_give_headers_and_a_dry_run_says_which_rule_gave_which() {
    let step = Step::new();
    step.file("index.html", "page");
    step.file("assets/app.js", "app");
    step.file("rules.yml", "- match: '**'\n  cache-control: max-age=60\n- match: 'assets/**'\n  cache-control: max-age=31536000, immutable\n  immutable: true\n  metadata: { team: web }\n");
    let rules = step.site.path().join("rules.yml");
    let pipe = || step.pipe().env("RULES_FILE", text(&rules));
    let plain = pipe().env("DRY_RUN", "true").run().plain();
    assert!(
        plain.contains("cache-control: max-age=31536000, immutable  (rule 2 (assets/**))"),
        "{plain}"
    );
    assert!(
        plain.contains("cache-control: max-age=60  (rule 1 (**))"),
        "{plain}"
    );
    assert_eq!(pipe().run().code, Some(0));
    assert_eq!(
        step.keys(),
        ["assets/app.js", "index.html"],
        "the rules are not part of the site"
    );
    assert_eq!(
        step.header("assets/app.js", "cache-control").unwrap(),
        "max-age=31536000, immutable"
    );
    assert_eq!(
        step.header("assets/app.js", "x-amz-meta-team").unwrap(),
        "web"
    );
    assert_eq!(
        step.header("index.html", "cache-control").unwrap(),
        "max-age=60"
    );
}

#[test]
fn a_dry_run_says_of_every_header_where_it_comes_from_to_people_and_to_machines() {
    let step = Step::new();
    step.file("index.html", &"<p>hello</p>".repeat(500));
    step.file(
        "rules.yml",
        "- match: '**/*.html'\n  cache-control: no-cache\n  metadata: { team: web }\n",
    );
    step.file("_headers", "/*\n  Content-Language: en\n");
    step.aws
        .put_object(&step.bucket, "docs/old.js", b"old", &[]);
    let results = tempfile::tempdir().unwrap();
    let rules = step.site.path().join("rules.yml");
    let output = step
        .pipe()
        .env("S3_BUCKET", format!("{}/docs", step.bucket))
        .env("RULES_FILE", text(&rules))
        .env("NETLIFY_FILES", "true")
        .env("COMPRESS", "gzip")
        .env("CACHE_CONTROL", "max-age=60")
        .env("STORAGE_CLASS", "STANDARD_IA")
        .env("DELETE_FLAG", "true")
        .env("DRY_RUN", "true")
        .env("BITBUCKET_PIPE_STORAGE_DIR", text(results.path()))
        .run();
    assert_eq!(output.code, Some(0), "{}", output.plain());
    let printed: Vec<String> = output
        .without_debug()
        .lines()
        .skip_while(|line| !line.starts_with("upload"))
        .take_while(|line| !line.starts_with('✔'))
        .map(str::to_owned)
        .collect();
    insta::assert_snapshot!(printed.join("\n"), @r"
    upload  docs/index.html  (new)
              phase: entry-point
              content-type: text/html; charset=utf-8  (by the name)
              storage-class: STANDARD_IA  (variables)
              content-language: en  (_headers line 2)
              cache-control: no-cache  (rule 1 (**/*.html))
              metadata: team=web  (rule 1 (**/*.html))
              content-encoding: gzip  (COMPRESS)
    delete  docs/old.js
    plan: upload 1, delete 1, unchanged 0
    ");
    let report = std::fs::read(results.path().join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    let action = &report["plan"]["actions"][0];
    assert_eq!(action["key"], "docs/index.html");
    let headers = action["headers"].as_array().unwrap();
    let cache_control = headers
        .iter()
        .find(|each| each["header"] == "cache-control")
        .unwrap();
    assert_eq!(cache_control["value"], "no-cache");
    assert_eq!(cache_control["rule"], "rule 1 (**/*.html)");
    assert_eq!(report["plan"]["delete"], serde_json::json!(["docs/old.js"]));
    assert_eq!(report["changed"], serde_json::json!({}));
}

#[test]
fn encryption_tags_and_redirects_arrive() {
    let step = Step::new();
    step.file("a.html", "a");
    step.file("b.html", "b");
    step.file(
        "rules.yml",
        "- match: b.html\n  tags: { team: web, kind: page }\n  website-redirect: /a.html\n",
    );
    let rules = step.site.path().join("rules.yml");
    let output = step
        .pipe()
        .env("RULES_FILE", text(&rules))
        .env("EXTRA_ARGS", "--sse AES256")
        .run();
    assert_eq!(output.code, Some(0), "{}", output.plain());
    let header = |key: &str, name: &str| step.header(key, name);
    let redirect = "x-amz-website-redirect-location";
    assert_eq!(header("b.html", redirect).as_deref(), Some("/a.html"));
    assert_eq!(header("a.html", redirect), None);
    let puts = step.proxy.requests();
    let put = |key: &str| {
        let found = puts
            .iter()
            .find(|each| each.method == "PUT" && each.path.ends_with(key));
        found.unwrap().headers.clone()
    };
    for key in ["/a.html", "/b.html"] {
        assert_eq!(put(key)["x-amz-server-side-encryption"], "AES256");
    }
    let tags = step
        .aws
        .call(
            "s3",
            "GET",
            &format!("/{}/b.html?tagging=", step.bucket),
            &[],
            b"",
        )
        .text();
    for tag in [
        "<Key>team</Key><Value>web</Value>",
        "<Key>kind</Key><Value>page</Value>",
    ] {
        assert!(tags.contains(tag), "{tags}");
    }
    // With a key of KMS the request carries it; whether the local AWS has the key is its own affair.
    step.file("a.html", "edited");
    step.proxy.clear();
    let key = "arn:aws:kms:us-east-1:000000000000:key/0123";
    let arguments = format!("--sse aws:kms --sse-kms-key-id {key}");
    let _ = step.pipe().env("EXTRA_ARGS", arguments).run();
    let requests = step.proxy.requests();
    let put = requests
        .iter()
        .find(|each| each.method == "PUT" && each.path.ends_with("/a.html"))
        .unwrap();
    assert_eq!(put.headers["x-amz-server-side-encryption"], "aws:kms");
    assert_eq!(
        put.headers["x-amz-server-side-encryption-aws-kms-key-id"],
        key
    );
}

#[test]
fn a_wrong_rule_is_named_with_its_line_before_any_request() {
    let step = Step::new();
    step.file("index.html", "page");
    step.file("rules.yml", "- match: '**'\n  cache-contrl: max-age=60\n");
    let rules = step.site.path().join("rules.yml");
    let output = step.pipe().env("RULES_FILE", text(&rules)).run();
    assert_eq!(output.code, Some(1));
    let plain = output.plain();
    assert!(
        plain.contains("✖ could not use RULES_FILE")
            && plain.contains("cache-contrl")
            && plain.contains("line 2"),
        "{plain}"
    );
    assert_eq!(last_line(&plain), "  nothing was changed");
    assert!(step.proxy.requests().is_empty());
}

#[test]
fn netlify_files_are_followed_and_not_uploaded() {
    let step = Step::new();
    step.file("index.html", "page");
    step.file(
        "_headers",
        "/*\n  Cache-Control: no-cache\n  X-Frame-Options: DENY\n",
    );
    step.file(
        "_redirects",
        "/old.html /index.html 301\n/app/* /index.html 200\n",
    );
    let output = step.pipe().env("NETLIFY_FILES", "true").run();
    assert_eq!(output.code, Some(0), "{}", output.plain());
    assert_eq!(step.keys(), ["index.html", "old.html"]);
    assert_eq!(
        step.header("index.html", "cache-control").unwrap(),
        "no-cache"
    );
    assert_eq!(
        step.header("old.html", "x-amz-website-redirect-location")
            .unwrap(),
        "/index.html"
    );
    let plain = output.plain();
    assert!(
        plain.contains("X-Frame-Options") && plain.contains("line 2"),
        "what S3 cannot do is said: {plain}"
    );
    let output = step.pipe().env("NETLIFY_FILES", "true").run();
    assert!(
        last_line(&output.plain()).contains("uploaded 0, deleted 0, unchanged 2"),
        "{}",
        output.plain()
    );
}

#[test]
fn text_is_stored_compressed_and_a_second_run_knows_it() {
    let step = Step::new();
    step.file("index.html", &"<p>hello</p>".repeat(500));
    step.file("small.css", "a{}");
    step.file("data.json", &"[1,2,3],".repeat(500));
    step.file("data.json.br", "compressed by the build");
    let pipe = || step.pipe().env("COMPRESS", "br gzip");
    assert_eq!(pipe().run().code, Some(0));
    assert_eq!(
        step.keys(),
        [
            "data.json",
            "data.json.br",
            "data.json.gz",
            "index.html",
            "index.html.gz",
            "small.css"
        ]
    );
    assert_eq!(step.header("index.html", "content-encoding").unwrap(), "br");
    assert_eq!(
        step.header("index.html.gz", "content-encoding").unwrap(),
        "gzip"
    );
    assert_eq!(
        step.header("index.html.gz", "content-type").unwrap(),
        "text/html; charset=utf-8"
    );
    assert_eq!(step.header("small.css", "content-encoding"), None);
    let (_, body) = step.aws.get_object(&step.bucket, "data.json");
    assert_eq!(body, "compressed by the build");
    assert_eq!(
        step.header("data.json.br", "content-type").unwrap(),
        "application/json"
    );
    step.proxy.clear();
    let output = pipe().run();
    assert!(
        last_line(&output.plain()).contains("uploaded 0, deleted 0, unchanged 6"),
        "{}",
        output.plain()
    );
    assert_eq!(step.s3_requests(), ["GET /"]);
    // Without the manifest the body is made again, byte for byte the same.
    step.aws
        .delete_object(&step.bucket, ".s3-deploy/manifest.json");
    let output = pipe().run();
    assert!(
        last_line(&output.plain()).contains("uploaded 0, deleted 0, unchanged 6"),
        "{}",
        output.plain()
    );
}

#[test]
fn extra_args_mean_what_they_mean_to_aws_s3_sync() {
    let step = Step::new();
    step.file("index.html", "page");
    step.file("app.js", "app");
    step.file("app.js.map", "map");
    step.aws.put_object(
        &step.bucket,
        "old.js.map",
        b"kept, since it is excluded",
        &[],
    );
    step.aws.put_object(&step.bucket, "old.js", b"deleted", &[]);
    let arguments =
        "--delete --exclude '*.map' --cache-control \"max-age=60, public\" --metadata team=web";
    let output = step.pipe().env("EXTRA_ARGS", arguments).run();
    assert_eq!(output.code, Some(0), "{}", output.plain());
    assert_eq!(step.keys(), ["app.js", "index.html", "old.js.map"]);
    assert_eq!(
        step.header("app.js", "cache-control").unwrap(),
        "max-age=60, public"
    );
    assert_eq!(step.header("app.js", "x-amz-meta-team").unwrap(), "web");
    let output = step.pipe().env("EXTRA_ARGS", "--dryrun --frobnicate").run();
    assert_eq!(output.code, Some(1));
    assert!(
        output.plain().contains("EXTRA_ARGS:") && output.plain().contains("--frobnicate"),
        "{}",
        output.plain()
    );
}
