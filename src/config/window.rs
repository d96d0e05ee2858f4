//! `model_info.access_windows`: times of day in which a deployment is for some teams only.
//!
//! Source: LiteLLM 1.109.1, `litellm_core_utils/access_windows.py` and `types/router.py`, `ModelAccessWindow`, read
//! 2026-11-23.

use super::fault::Wrong;
use super::read::Node;
use super::{AccessWindow, Deployment};
use crate::time;
use crate::units::Millis;
use crate::zone::Zone;

const MEMBERS: [&str; 4] = ["start", "end", "timezone", "team_ids"];

impl AccessWindow {
    /// Whether the deployment is not for `team` at `now`, as far as this window goes.
    pub fn reserves(&self, now: Millis, team: Option<&str>) -> bool {
        self.is_open(now) && !self.lists(team)
    }

    /// Whether it is that time of day. The end is not part of it.
    fn is_open(&self, now: Millis) -> bool {
        let shown = self.zone.time_of_day(now);
        let (is_after_start, is_before_end) = (self.start <= shown, shown < self.end);
        if self.start < self.end { is_after_start && is_before_end } else { is_after_start || is_before_end }
    }

    fn lists(&self, team: Option<&str>) -> bool {
        team.is_some_and(|team| self.team_ids.iter().any(|id| id == team))
    }
}

impl Deployment {
    /// Whether it is for other teams than `team` at `now`: some window is open, and none that is lists it.
    pub fn is_reserved(&self, now: Millis, team: Option<&str>) -> bool {
        let mut open = self.access_windows.iter().filter(|window| window.is_open(now)).peekable();
        open.peek().is_some() && open.all(|window| !window.lists(team))
    }
}

/// Reads a list of windows, without those that have faults.
pub(super) fn windows(list: &Node<'_>) -> Vec<AccessWindow> {
    list.sections().iter().filter_map(window).collect()
}

fn window(node: &Node<'_>) -> Option<AccessWindow> {
    for (name, member) in node.members() {
        if !MEMBERS.contains(&name) {
            let wrong = Wrong::from(format!("expected one of {}, found another", MEMBERS.join(", ")));
            member.fault::<()>(wrong.near(name, MEMBERS));
        }
    }
    let [start, end] = ["start", "end"].map(|key| time_of_day(&node.at(key)));
    let (timezone, teams) = (node.at("timezone"), node.at("team_ids"));
    let zone = timezone.required_name().and_then(|name| {
        Zone::find(&name).or_else(|| timezone.fault("expected a zone such as `Europe/Berlin`, found another string"))
    });
    if teams.is_empty() {
        return teams.fault("expected at least one team_id");
    }
    let team_ids = teams.names()?;
    let (start, end, zone) = (start?, end?, zone?);
    if start == end {
        return node.at("end").fault("expected another time than the start's");
    }
    Some(AccessWindow { start, end, zone, team_ids })
}

fn time_of_day(node: &Node<'_>) -> Option<Millis> {
    let text = node.required_name()?;
    time::clock(&text).or_else(|| node.fault("expected a time of day such as `09:00`, found another string"))
}
