use super::*;

fn smoke(status: Option<u32>, expectations: &[&str]) -> Smoke {
    let expectations = expectations
        .iter()
        .map(|text| Expectation::from_text(text).unwrap_or_else(|fault| panic!("{fault}")));
    Smoke {
        events: Vec::new(),
        status,
        expectations: expectations.collect(),
        limit: Duration::from_secs(1),
    }
}

fn judged(smoke: &Smoke, payload: &str) -> Result<(), String> {
    let invoked = Invoked {
        function_error: None,
        payload: payload.as_bytes().to_vec(),
        executed_version: Some("3".to_owned()),
    };
    smoke.judge(&invoked, "3")
}

#[test]
fn an_answer_as_expected_passes() {
    let answer =
        r#"{"statusCode": 200, "ready": true, "list": [{"id": 1}], "body": "{\"word\": \"a=b\"}"}"#;
    for expectations in [
        &[][..],
        &["$.ready=true"],
        &["$.list[0].id=1", "$.statusCode=200"],
        &["$.body.word=\"a=b\""],
        &["$.list[?@.id==1].id=1"],
    ] {
        assert_eq!(
            judged(&smoke(Some(200), expectations), answer),
            Ok(()),
            "{expectations:?}"
        );
    }
    assert_eq!(judged(&smoke(None, &[]), "anything"), Ok(()));
}

#[test]
fn another_answer_says_what_was_expected_and_not_what_came() {
    let answer = r#"{"statusCode": 500, "token": "secret"}"#;
    for (status, expectation, why) in [
        (Some(200), None, "`statusCode` is 500, not 200"),
        (
            None,
            Some("$.token=ok"),
            "the answer has another value than `$.token=ok`",
        ),
        (
            None,
            Some("$.ready=true"),
            "the answer has nothing at the path of `$.ready=true`",
        ),
    ] {
        let expectations: Vec<&str> = expectation.into_iter().collect();
        assert_eq!(
            judged(&smoke(status, &expectations), answer),
            Err(why.to_owned())
        );
    }
    assert_eq!(
        judged(&smoke(Some(200), &[]), "null"),
        Err("the answer has no `statusCode`, and SMOKE_STATUS expects one".to_owned())
    );
}

#[test]
fn an_error_of_the_function_fails_whatever_it_answers() {
    let invoked = Invoked {
        function_error: Some("Unhandled".to_owned()),
        payload: br#"{"errorType": "KeyError", "errorMessage": "'id'", "stackTrace": []}"#.to_vec(),
        executed_version: None,
    };
    assert_eq!(
        smoke(None, &[]).judge(&invoked, "3"),
        Err("the function failed (Unhandled): KeyError: 'id'".to_owned())
    );
}

#[test]
fn another_version_is_no_proof() {
    let invoked = Invoked {
        function_error: None,
        payload: Vec::new(),
        executed_version: Some("$LATEST".to_owned()),
    };
    assert_eq!(
        smoke(None, &[]).judge(&invoked, "3"),
        Err("Lambda ran version $LATEST".to_owned())
    );
}

#[test]
fn what_is_no_expectation_is_refused() {
    for text in ["$.a", "a.b=1", "$.[=1"] {
        assert!(Expectation::from_text(text).is_err(), "{text}");
    }
}
