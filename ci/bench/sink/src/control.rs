//! In: requests under /_sink/, from the benchmark itself. Out: settings changed, statistics and contents shown. They
//! are neither delayed nor counted.

use std::fmt::Write;
use std::sync::atomic::Ordering::Relaxed;

use hyper::StatusCode;

use crate::memory;
use crate::operation::Target;
use crate::reply::{Fault, Reply, empty, plain};
use crate::store::{Bucket, Sink};
use crate::text::hexadecimal;

pub fn answer(sink: &Sink, target: &Target) -> Result<Reply, Fault> {
    let number = |name: &str| {
        target
            .parameter(name)
            .and_then(|text| text.parse::<u64>().ok())
            .unwrap_or(0)
    };
    let name = || target.parameter("name").unwrap_or_default().to_owned();
    match target.key.as_str() {
        "delay" => sink.delay_milliseconds.store(number("ms"), Relaxed),
        "md5" => sink.hashes.store(number("on") != 0, Relaxed),
        "keep-parts" => sink.keeps_parts.store(number("on") != 0, Relaxed),
        // Empties the store, but for the one bucket named; what was saved stays.
        "reset" => {
            let old = {
                let mut state = sink.state();
                state.uploads.clear();
                let fresh = target
                    .parameter("bucket")
                    .map(|name| (name.to_owned(), Bucket::new()));
                std::mem::replace(&mut state.buckets, fresh.into_iter().collect())
            };
            drop(old);
            forget_statistics(sink);
        }
        // `save` keeps what is stored now under a name, `restore` brings it back: a redeploy starts from the same
        // bucket each time.
        "save" => {
            let mut state = sink.state();
            let buckets = state.buckets.clone();
            state.saved.insert(name(), buckets);
        }
        "restore" => {
            let mut state = sink.state();
            let saved = state.saved.get(&name()).cloned();
            state.buckets =
                saved.ok_or_else(|| Fault::bad_request("nothing was saved under this name"))?;
            state.uploads.clear();
            drop(state);
            forget_statistics(sink);
        }
        // Before large bodies, for the first of them to find what the later ones find.
        "reserve" => memory::reserve(usize::try_from(number("mib")).unwrap_or(0)),
        "stats" => return Ok(plain(statistics(sink))),
        "listing" => return listing(sink, target.parameter("bucket").unwrap_or_default()),
        other => return Err(Fault::not_implemented(other)),
    }
    Ok(empty(StatusCode::OK))
}

fn forget_statistics(sink: &Sink) {
    sink.state().requests.clear();
    sink.connections.store(0, Relaxed);
    sink.bytes.store(0, Relaxed);
    sink.most_in_flight.store(0, Relaxed);
}

fn statistics(sink: &Sink) -> String {
    let state = sink.state();
    let requests: Vec<_> = state
        .requests
        .iter()
        .map(|(kind, number)| format!("\"{kind:?}\": {number}"))
        .collect();
    format!(
        "{{\"requests\": {{{}}}, \"connections\": {}, \"most_in_flight\": {}, \"bytes\": {}, \"open_uploads\": {}}}\n",
        requests.join(", "),
        sink.connections.load(Relaxed),
        sink.most_in_flight.load(Relaxed),
        sink.bytes.load(Relaxed),
        state.uploads.len(),
    )
}

fn listing(sink: &Sink, name: &str) -> Result<Reply, Fault> {
    let objects = sink
        .state()
        .buckets
        .get(name)
        .cloned()
        .ok_or_else(|| Fault::no_such_bucket(name))?;
    let mut lines = String::new();
    for (key, object) in &objects {
        let _ = writeln!(
            lines,
            "{key}\t{}\t{}",
            hexadecimal(&object.md5()),
            object.size()
        );
    }
    Ok(plain(lines))
}
