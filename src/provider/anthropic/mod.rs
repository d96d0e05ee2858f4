//! (skeleton)
use super::{Answer, Tally, Target, Upstream};
use crate::error::{Error, Kind};
use crate::openai::Request;
#[derive(Debug, Default)] pub struct Stream(Tally);
impl Stream {
    pub fn new(_request: &Request, _target: &Target, _now: u64) -> Self { Self::default() }
    pub fn push(&mut self, _bytes: &[u8], _out: &mut Vec<u8>) {}
    pub fn finish(&mut self, _out: &mut Vec<u8>) {}
    pub fn tally(&self) -> &Tally { &self.0 }
}
pub fn request(_request: &Request, _target: &Target) -> Result<Upstream, Error> { Err(Error::new(Kind::Internal, "skeleton")) }
pub fn response(_request: &Request, _target: &Target, _now_secs: u64, _body: &[u8]) -> Result<Answer, Error> { Ok(Answer::default()) }
pub fn check(_request: &Request, _target: &Target) -> Result<(), Error> { Ok(()) }
pub fn error(_status: u16, _body: &[u8]) -> Error { Error::new(Kind::Internal, "skeleton") }
