use shared::FromText;
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Gzip,
    Brotli,
}
impl FromText for Encoding {
    fn from_text(t: &str) -> Result<Self, String> {
        Err(t.into())
    }
}
impl Encoding {
    pub fn content_encoding(self) -> &'static str {
        "gzip"
    }
    pub fn extension(self) -> &'static str {
        ".gz"
    }
}
pub enum VariantSource {
    Sibling(String),
    Compressed,
}
pub struct Variant {
    pub key_suffix: &'static str,
    pub encoding: Encoding,
    pub source: VariantSource,
}
pub fn compress(b: &[u8], _: Encoding) -> Vec<u8> {
    b.to_vec()
}
pub fn variants(_: &str, _: u64, _: &dyn Fn(&str) -> bool, _: &[Encoding]) -> Vec<Variant> {
    vec![]
}
pub fn original_of_sibling<'a>(
    _: &'a str,
    _: &dyn Fn(&str) -> bool,
) -> Option<(&'a str, Encoding)> {
    None
}
