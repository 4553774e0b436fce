//! In: S3 requests over plain HTTP on 127.0.0.1. Out: an S3 in memory, without authorization, that counts what it is
//! asked; its address is the first line printed. It must never be the bottleneck: one runtime thread per core, and
//! connections dealt out in turn, since a kernel's hash of 8 connections can put 7 of them on one thread.

mod body;
mod control;
mod listing;
mod memory;
mod multipart;
mod objects;
mod operation;
mod reply;
mod service;
mod store;
mod text;

use std::cell::Cell;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::store::Sink;

fn main() -> std::io::Result<()> {
    let port = std::env::args()
        .nth(1)
        .and_then(|port| port.parse().ok())
        .unwrap_or(0);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    println!("http://{}", listener.local_addr()?);
    let sink = Arc::new(Sink::new());
    let threads = std::thread::available_parallelism()?.get();
    let mut queues = Vec::with_capacity(threads);
    for _ in 0..threads {
        let (sender, receiver) = unbounded_channel();
        queues.push(sender);
        let sink = Arc::clone(&sink);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        std::thread::spawn(move || {
            let tasks = tokio::task::LocalSet::new();
            tasks.block_on(&runtime, serve(sink, receiver));
        });
    }
    let parent = std::os::unix::process::parent_id();
    std::thread::spawn(move || deal_out(&listener, &queues));
    // A benchmark that is killed must not leave this process behind.
    while std::os::unix::process::parent_id() == parent {
        std::thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}

fn deal_out(listener: &TcpListener, queues: &[UnboundedSender<TcpStream>]) {
    for queue in queues.iter().cycle() {
        // A client that gives up between its SYN and here is its own business.
        let Ok((stream, _)) = listener.accept() else {
            continue;
        };
        let _ = queue.send(stream);
    }
}

async fn serve(sink: Arc<Sink>, mut streams: UnboundedReceiver<TcpStream>) {
    while let Some(stream) = streams.recv().await {
        let sink = Arc::clone(&sink);
        tokio::task::spawn_local(async move {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let stream = TokioIo::new(tokio::net::TcpStream::from_std(stream)?);
            let is_new = Cell::new(true);
            let answer = service_fn(|request| service::answer(&sink, &is_new, request));
            // A connection that ends in the middle of a request shows in the client's exit code and in the listing.
            let _ = hyper::server::conn::http1::Builder::new()
                .header_read_timeout(None)
                .pipeline_flush(true)
                .serve_connection(stream, answer)
                .await;
            std::io::Result::Ok(())
        });
    }
}
