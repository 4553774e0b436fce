//! In: method, path and query. Out: which S3 operation is meant, and on what: the same request line means another
//! operation with another query, and the statistics count by operation.

use hyper::{HeaderMap, Method};

use crate::text::{percent_decode, query_pairs};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    AbortMultipartUpload,
    CompleteMultipartUpload,
    CopyObject,
    CreateBucket,
    CreateMultipartUpload,
    DeleteObject,
    DeleteObjects,
    GetBucketLocation,
    GetBucketVersioning,
    GetObject,
    HeadBucket,
    HeadObject,
    ListBuckets,
    ListMultipartUploads,
    ListObjects,
    ListObjectsV2,
    PutObject,
    SecurityToken,
    UploadPart,
    Unknown,
}

/// What a request is about.
pub struct Target {
    pub operation: Operation,
    pub bucket: String,
    pub key: String,
    query: Vec<(String, String)>,
}

impl Target {
    pub fn read(method: &Method, path: &str, query: &str, headers: &HeaderMap) -> Self {
        let path = path.strip_prefix('/').unwrap_or(path);
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let mut target = Self {
            operation: Operation::Unknown,
            bucket: percent_decode(bucket),
            key: percent_decode(key),
            query: query_pairs(query),
        };
        let copies = headers.contains_key("x-amz-copy-source");
        target.operation = target.recognise(method.as_str(), copies);
        target
    }

    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    fn has(&self, name: &str) -> bool {
        self.parameter(name).is_some()
    }

    fn recognise(&self, method: &str, copies: bool) -> Operation {
        use Operation::*;
        match (method, self.bucket.is_empty(), self.key.is_empty()) {
            ("GET", true, _) => ListBuckets,
            ("POST", true, _) => SecurityToken,
            ("PUT", false, true) if self.query.is_empty() => CreateBucket,
            ("HEAD", false, true) => HeadBucket,
            ("GET", false, true) if self.has("location") => GetBucketLocation,
            ("GET", false, true) if self.has("versioning") => GetBucketVersioning,
            ("GET", false, true) if self.has("uploads") => ListMultipartUploads,
            ("GET", false, true) if self.parameter("list-type") == Some("2") => ListObjectsV2,
            ("GET", false, true) => ListObjects,
            ("POST", false, true) if self.has("delete") => DeleteObjects,
            ("PUT", false, false) if self.has("uploadId") && !copies => UploadPart,
            ("PUT", false, false) if self.has("acl") || self.has("tagging") => Unknown,
            ("PUT", false, false) if copies => CopyObject,
            ("PUT", false, false) => PutObject,
            ("GET", false, false) => GetObject,
            ("HEAD", false, false) => HeadObject,
            ("DELETE", false, false) if self.has("uploadId") => AbortMultipartUpload,
            ("DELETE", false, false) => DeleteObject,
            ("POST", false, false) if self.has("uploads") => CreateMultipartUpload,
            ("POST", false, false) if self.has("uploadId") => CompleteMultipartUpload,
            _ => Unknown,
        }
    }
}
