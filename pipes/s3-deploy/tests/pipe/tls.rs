//! Servers with a certificate that no machine trusts: one on its own, and one that stands for all of AWS.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;

use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

/// What a server for these hosts needs, and its certificate as PEM.
pub fn server_config(hosts: &[&str]) -> (Arc<ServerConfig>, String) {
    let key = KeyPair::generate().unwrap();
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let certificate = CertificateParams::new(hosts)
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_no_client_auth()
    .with_single_cert(vec![certificate.der().clone()], private)
    .unwrap();
    (Arc::new(config), certificate.pem())
}

/// A proxy for HTTPS that leads every host of AWS to one place and ends TLS: so a pipe without any endpoint of its own
/// speaks as it does to AWS, by AWS's names of hosts.
pub struct Tunnel {
    url: String,
    bundle: NamedTempFile,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Tunnel {
    /// Leads to `endpoint`, such as that of a recording proxy.
    pub fn to(endpoint: &str) -> Self {
        let (config, pem) = server_config(&[
            "*.s3.us-east-1.amazonaws.com",
            "s3.us-east-1.amazonaws.com",
            "sts.us-east-1.amazonaws.com",
        ]);
        let bundle = NamedTempFile::new().unwrap();
        std::fs::write(bundle.path(), pem).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let target = endpoint.strip_prefix("http://").unwrap().to_owned();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, target, TlsAcceptor::from(config)) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            url,
            bundle,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// The variables that lead a pipe through it.
    pub fn variables(&self) -> [(&str, &str); 3] {
        [
            ("AWS_ENDPOINT_URL", ""),
            ("HTTPS_PROXY", &self.url),
            ("AWS_CA_BUNDLE", crate::step::text(self.bundle.path())),
        ]
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, target: String, acceptor: TlsAcceptor) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        let (target, acceptor) = (target.clone(), acceptor.clone());
        tokio::spawn(async move {
            // `CONNECT host:443 HTTP/1.1`, up to the empty line.
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(client.read_u8().await?);
            }
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            let mut inside = acceptor.accept(client).await?;
            let mut server = TcpStream::connect(target).await?;
            copy_bidirectional(&mut inside, &mut server).await
        });
    }
}
