//! stub
#[derive(Clone, Copy)]
pub(super) enum Section { Tollgate, TollgateKey, TollgateTeam, TollgateUser, TollgateModelBudget }
impl Section {
    pub(super) fn row(self, _key: &str) -> Option<()> { Some(()) }
    pub(super) fn keys(self) -> impl Iterator<Item=&'static str> { [].into_iter() }
}
