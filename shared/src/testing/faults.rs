//! What can go wrong on the way to AWS and back, as rows of a table: each has a name, what happens to a request, and
//! whether it passes. The vocabulary is that of AWS's own documents on retries and errors.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::proxy::{Fault, Recorded};
use super::timeline::refusal;

/// Something that goes wrong.
#[derive(Clone, Copy)]
pub(super) struct Trouble {
    pub(super) name: &'static str,
    pub(super) lasts: Lasts,
    /// Makes it of the request and of how often it has happened before.
    make: fn(&Recorded, usize) -> Fault,
}

/// How many requests it happens to, from the chosen one on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lasts {
    Once,
    /// As often as the SDK tries again by itself.
    Burst,
    ForGood,
}

const fn once(name: &'static str, make: fn(&Recorded, usize) -> Fault) -> Trouble {
    Trouble {
        name,
        lasts: Lasts::Once,
        make,
    }
}

const fn burst(name: &'static str, make: fn(&Recorded, usize) -> Fault) -> Trouble {
    Trouble {
        name,
        lasts: Lasts::Burst,
        make,
    }
}

const fn for_good(name: &'static str, make: fn(&Recorded, usize) -> Fault) -> Trouble {
    Trouble {
        name,
        lasts: Lasts::ForGood,
        make,
    }
}

/// All of it.
pub(super) const TROUBLES: &[Trouble] = &[
    burst("throttled", throttled),
    burst("429", |_, _| Fault::Status(429, String::new())),
    burst("500", |_, _| Fault::Status(500, String::new())),
    burst("502", |_, _| Fault::Status(502, PAGE.to_owned())),
    burst("503", |_, _| Fault::Status(503, String::new())),
    burst("504", |_, _| Fault::Status(504, PAGE.to_owned())),
    once("500 after it was taken", |_, _| {
        taken(Fault::Status(500, String::new()))
    }),
    once("connection refused", |_, _| {
        Fault::Down(Duration::from_millis(400))
    }),
    once("reset before it was taken", |_, _| Fault::Reset),
    once("reset after it was taken", |_, _| taken(Fault::Reset)),
    once("truncated answer", |_, _| Fault::Truncated),
    once("slow answer", |_, _| Fault::Slow(Duration::from_secs(2))),
    once("no answer", |_, _| Fault::Silence),
    once("a web page for an answer", |_, _| page()),
    once("a web page for an answer, after it was taken", |_, _| {
        taken(page())
    }),
    for_good("throttled for good", throttled),
    for_good("503 for good", |_, _| Fault::Status(503, String::new())),
    for_good("500 for good, after it was taken", |_, _| {
        taken(Fault::Status(500, String::new()))
    }),
    for_good("connection refused for good", |_, _| {
        Fault::Down(Duration::from_mins(1))
    }),
    for_good("reset for good, after it was taken", |_, _| {
        taken(Fault::Reset)
    }),
    for_good("no answer for good", |_, _| Fault::Silence),
    for_good("credentials expired", |request, _| {
        let (status, code) = match request.service.as_str() {
            "s3" => (400, "ExpiredToken"),
            "lambda" => (403, "ExpiredTokenException"),
            "cloudfront" => (403, "ExpiredToken"),
            _ => (400, "ExpiredTokenException"),
        };
        let message = "The security token included in the request is expired";
        Fault::Answer(refusal(request, status, code, message))
    }),
    for_good("clock an hour off", |request, _| {
        let (status, code, message) = match request.service.as_str() {
            "s3" => (
                403,
                "RequestTimeTooSkewed",
                "The difference between the request time and the current time is too large.",
            ),
            "cloudfront" => (403, "SignatureDoesNotMatch", EARLIER),
            _ => (403, "InvalidSignatureException", EARLIER),
        };
        Fault::Answer(refusal(request, status, code, message))
    }),
    // What a policy may say to the second try, while the first one was taken and its answer lost.
    for_good("denied after it was taken once", |request, times| {
        if times == 0 {
            return taken(Fault::Reset);
        }
        Fault::Answer(refusal(
            request,
            403,
            if request.service == "s3" {
                "AccessDenied"
            } else {
                "AccessDeniedException"
            },
            "not authorized",
        ))
    }),
];

/// How the signature of AWS's other services says that the clocks differ.
const EARLIER: &str = "Signature expired: 20260101T000000Z is now earlier than 20260101T005500Z (20260101T010000Z - 5 min.)";
/// What a captive portal or a broken balancer sends.
const PAGE: &str = "<!DOCTYPE html><html><body><h1>Welcome</h1></body></html>";

fn taken(fault: Fault) -> Fault {
    Fault::Taken(Box::new(fault))
}

fn page() -> Fault {
    Fault::Status(200, PAGE.to_owned())
}

fn throttled(request: &Recorded, _: usize) -> Fault {
    let (status, code) = match request.service.as_str() {
        "s3" => (503, "SlowDown"),
        "lambda" => (429, "TooManyRequestsException"),
        // STS needs no signature.
        "cloudfront" | "" => (400, "Throttling"),
        _ => (400, "ThrottlingException"),
    };
    Fault::Answer(refusal(request, status, code, "Rate exceeded"))
}

impl Trouble {
    /// A hook that makes it happen from the request of this number on, counted by `is_it`.
    pub(super) fn at(
        self,
        number: usize,
        is_it: impl Fn(&Recorded) -> bool + Send + 'static,
    ) -> impl Fn(&Recorded) -> Option<Fault> + Send + 'static {
        let seen = AtomicUsize::new(0);
        let happened = AtomicUsize::new(0);
        let most = match self.lasts {
            Lasts::Once => 1,
            // With the three attempts of the tests the last one passes.
            Lasts::Burst => 2,
            Lasts::ForGood => usize::MAX,
        };
        move |request| {
            if !is_it(request) || seen.fetch_add(1, Ordering::Relaxed) < number {
                return None;
            }
            let times = happened.fetch_add(1, Ordering::Relaxed);
            (times < most).then(|| (self.make)(request, times))
        }
    }
}
