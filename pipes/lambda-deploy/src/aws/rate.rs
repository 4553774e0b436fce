//! Calls to Lambda's control plane at the rate that an account has, whatever the number of functions: a call waits here
//! for its turn. All that is over the rate is refused, and of a run with hundreds of functions some calls would be
//! refused until no attempt is left.
//! <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html#api-requests>

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use tokio::time::Instant;

/// Between two calls: 14 a second, where an account and region have 15 for all calls but GetFunction and Invoke.
const INTERVAL: Duration = Duration::from_nanos(1_000_000_000 / 14);
/// Calls that need not wait: as many as a deploy of one function makes. With those of the second that follows they are
/// less than a bucket of 15 gives.
const AT_ONCE: u32 = 10;

/// The client `inner` of one region, held to the rate.
#[derive(Debug)]
pub(super) struct AtRate {
    inner: SharedHttpClient,
    turns: Arc<Turns>,
}

impl AtRate {
    pub(super) fn new(inner: SharedHttpClient) -> Self {
        Self {
            inner,
            turns: Arc::default(),
        }
    }
}

impl HttpClient for AtRate {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Connector {
            inner: self.inner.http_connector(settings, components),
            turns: Arc::clone(&self.turns),
        })
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.inner.connector_metadata()
    }
}

#[derive(Debug)]
struct Connector {
    inner: SharedHttpConnector,
    turns: Arc<Turns>,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if !is_counted(request.method(), request.uri()) {
            return self.inner.call(request);
        }
        let (inner, turns) = (self.inner.clone(), Arc::clone(&self.turns));
        HttpConnectorFuture::new(async move {
            tokio::time::sleep_until(turns.take(Instant::now())).await;
            inner.call(request).await
        })
    }
}

/// Invoke has no such limit, and GetFunction one of its own, 100 a second.
fn is_counted(method: &str, uri: &str) -> bool {
    let path = uri.split('?').next().unwrap_or(uri);
    let Some((_, rest)) = path.split_once("/functions/") else {
        return true;
    };
    let is_get_function = method == "GET" && !rest.contains('/');
    !is_get_function && !rest.ends_with("/invocations")
}

/// When the call after the last one is due, if nobody ever waited for nothing; the generic cell rate algorithm.
#[derive(Debug, Default)]
struct Turns(Mutex<Option<Instant>>);

impl Turns {
    /// When a call that comes `now` may go.
    fn take(&self, now: Instant) -> Instant {
        let mut due = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = due.map_or(now, |due| due.max(now));
        *due = Some(own + INTERVAL);
        own.checked_sub(INTERVAL * (AT_ONCE - 1))
            .map_or(now, |turn| turn.max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_no_time_are_there_more_calls_than_a_bucket_of_15_a_second_gives() {
        let turns = Turns::default();
        let start = Instant::now();
        let times: Vec<f64> = (0..300)
            .map(|_| turns.take(start).duration_since(start).as_secs_f64())
            .collect();
        assert!(times[..10].iter().all(|time| *time == 0.0), "{times:?}");
        for (count, time) in (1_u32..).zip(&times) {
            assert!(f64::from(count) <= 15.0 + 15.0 * time, "{count} at {time}");
        }
        let last = times[299];
        assert!((20.0..21.5).contains(&last), "{last}");
    }

    #[test]
    fn after_a_pause_calls_go_at_once_again() {
        let turns = Turns::default();
        let start = Instant::now();
        for _ in 0..50 {
            turns.take(start);
        }
        let later = start + Duration::from_mins(1);
        assert!((0..10).all(|_| turns.take(later) == later));
        assert!(turns.take(later) > later);
    }

    #[test]
    fn what_has_another_limit_is_not_counted() {
        let function = "http://127.0.0.1/2015-03-31/functions/orders";
        assert!(!is_counted("GET", function));
        assert!(!is_counted("GET", &format!("{function}?Qualifier=live")));
        assert!(!is_counted("POST", &format!("{function}/invocations")));
        assert!(is_counted("GET", &format!("{function}/configuration")));
        assert!(is_counted("DELETE", function));
        assert!(is_counted("PUT", &format!("{function}/code")));
        assert!(is_counted(
            "GET",
            "http://127.0.0.1/2018-10-31/layers/libs/versions"
        ));
    }
}
