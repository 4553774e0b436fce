use crate::headers::Headers;
use crate::phase::Phase;
#[derive(Debug, Default)]
pub struct Rules;
#[derive(Debug, Clone)]
pub struct Because {
    pub rule: String,
    pub header: &'static str,
    pub value: String,
}
pub struct Wish {
    pub headers: Headers,
    pub phase: Option<Phase>,
    pub because: Vec<Because>,
}
impl Rules {
    pub fn parse(_: &str) -> Result<Self, String> {
        Ok(Self)
    }
    pub fn wish(&self, _: &str) -> Wish {
        Wish {
            headers: Headers::default(),
            phase: None,
            because: vec![],
        }
    }
}
