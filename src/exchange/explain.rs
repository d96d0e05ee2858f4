//! Why a request went where it went, in one line.
//!
//! ```text
//! simple-shuffle; skipped a:cooldown b:rpm; tried c:503/12ms d:200/301ms
//! ```
//!
//! Deployments are named by their ids. An attempt without an answer has the class of its failure in the place of a status;
//! one that is under way, or that the client did not wait for, has `none`.

use std::fmt::Write as _;

use super::Exchange;

impl Exchange {
    /// The way of this request: strategy, who was passed over and why, the attempts with status and milliseconds each.
    pub fn explain(&self) -> String {
        let mut text = self.plan.needs().strategy.name().to_owned();
        for (n, skipped) in self.plan.skipped().iter().enumerate() {
            let lead = if n == 0 { "; skipped " } else { " " };
            let _ = write!(text, "{lead}{}:{}", skipped.deployment.id, skipped.why.name());
        }
        for (n, attempt) in self.attempts.iter().enumerate() {
            let lead = if n == 0 { "; tried " } else { " " };
            let _ = write!(text, "{lead}{}:", attempt.step.deployment.id);
            let _ = match (attempt.status, attempt.failure) {
                (Some(status), _) => write!(text, "{status}"),
                (None, Some(class)) => write!(text, "{}", class.name()),
                (None, None) => write!(text, "none"),
            };
            if let Some(concluded) = attempt.concluded {
                let _ = write!(text, "/{}ms", concluded.since(attempt.started).0);
            }
        }
        text
    }
}
