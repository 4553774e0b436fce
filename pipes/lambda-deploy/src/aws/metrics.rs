//! The figures of a version while traffic is shifted to it.

use std::time::SystemTime;

use shared::Failure;
use shared::cloudwatch::{CloudWatch, Query};

use crate::canary::Figures;

/// What CloudWatch knows of the invocations through the alias since then: of `version` alone while traffic is split, since
/// only then Lambda counts by `ExecutedVersion`, else of all.
///
/// # Errors
/// When the metrics may not be read.
pub async fn figures(
    cloudwatch: &CloudWatch,
    function: &str,
    alias: &str,
    version: Option<&str>,
    since: SystemTime,
) -> Result<Figures, Failure> {
    let resource = format!("{function}:{alias}");
    let mut dimensions = vec![("FunctionName", function), ("Resource", resource.as_str())];
    if let Some(version) = version {
        dimensions.push(("ExecutedVersion", version));
    }
    let query = |metric, statistic| Query {
        namespace: "AWS/Lambda",
        metric,
        dimensions: &dimensions,
        statistic,
    };
    let values = cloudwatch
        .values(
            &[
                query("Invocations", "Sum"),
                query("Errors", "Sum"),
                query("Throttles", "Sum"),
                query("Duration", "p95"),
            ],
            since,
        )
        .await?;
    let sum = |index: usize| {
        let values = values.get(index).into_iter().flatten();
        // The sum of nothing would be a negative zero.
        values.fold(0.0, |sum, value| sum + value)
    };
    let duration = values.get(3).into_iter().flatten().copied();
    Ok(Figures {
        invocations: sum(0),
        errors: sum(1),
        throttles: sum(2),
        duration: duration.reduce(f64::max),
    })
}
