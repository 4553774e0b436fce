use crate::headers::Headers;
use crate::rules::Because;
#[derive(Debug, Default)]
pub struct NetlifyHeaders;
pub struct Redirect {
    pub key: String,
    pub to: String,
    pub line: usize,
}
impl NetlifyHeaders {
    pub fn parse(_: &str) -> (Self, Vec<String>) {
        (Self, vec![])
    }
    pub fn wish(&self, _: &str) -> (Headers, Vec<Because>) {
        (Headers::default(), vec![])
    }
}
pub fn redirects(_: &str) -> (Vec<Redirect>, Vec<String>) {
    (vec![], vec![])
}
