//! In: a result. Out: an HTTP response as S3 words it. Errors are XML with a code that the clients decide by.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, ETAG, HeaderValue};
use hyper::{Response, StatusCode};

use crate::text::xml_escape;

pub type Reply = Response<Full<Bytes>>;

/// What went wrong, as S3 names it.
pub struct Fault {
    status: StatusCode,
    code: &'static str,
    about: String,
}

impl Fault {
    pub fn new(status: StatusCode, code: &'static str, about: &str) -> Self {
        Self {
            status,
            code,
            about: about.to_owned(),
        }
    }

    pub fn no_such_key(key: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NoSuchKey", key)
    }

    pub fn no_such_bucket(bucket: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NoSuchBucket", bucket)
    }

    pub fn no_such_upload(id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NoSuchUpload", id)
    }

    pub fn precondition_failed(key: &str) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "PreconditionFailed", key)
    }

    pub fn bad_request(about: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidRequest", about)
    }

    pub fn not_implemented(about: &str) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", about)
    }

    pub fn into_reply(self) -> Reply {
        let (code, about) = (self.code, xml_escape(&self.about));
        let mut reply = xml(&format!(
            "<Error><Code>{code}</Code><Message>{code}: {about}</Message></Error>"
        ));
        *reply.status_mut() = self.status;
        reply
    }
}

pub fn empty(status: StatusCode) -> Reply {
    let mut reply = Response::new(Full::default());
    *reply.status_mut() = status;
    reply
}

pub fn xml(elements: &str) -> Reply {
    let document = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{elements}");
    let mut reply = Response::new(Full::from(document));
    reply
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    reply
}

pub fn plain(text: String) -> Reply {
    Response::new(Full::from(text))
}

pub fn with_etag(mut reply: Reply, etag: &str) -> Reply {
    if let Ok(value) = HeaderValue::from_str(&format!("\"{etag}\"")) {
        reply.headers_mut().insert(ETAG, value);
    }
    reply
}
