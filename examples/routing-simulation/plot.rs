//! The course of the hour as a picture: a row for each strategy, goodput on the left and the tail on the right.

use std::fmt::Write;

use tollgate::units::Millis;

use crate::report::Summary;
use crate::scenario::{Kind, Scenario};

/// How much time a point of a line stands for.
pub(crate) const STEP: Millis = Millis::from_secs(30);

const WIDTH: f64 = 1040.0;
const LEFT: f64 = 62.0;
const TOP: f64 = 104.0;
const PANEL: (f64, f64) = (430.0, 92.0);
/// From the top left of a panel to that of the next.
const NEXT: (f64, f64) = (520.0, 124.0);
/// Of Okabe and Ito, "Color Universal Design" <https://jfly.uni-koeln.de/color/>, read 2026-11-23.
const COLOURS: [&str; 5] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9"];
const BASELINE: &str = "#8a8a8a";
const SHADE: &str = "#f3e2b3";

/// A panel's vertical axis.
struct Axis {
    title: &'static str,
    unit: &'static str,
    ticks: Vec<f64>,
    /// Where in a panel there is room for a name.
    name_at: (f64, f64, &'static str),
    /// Where a value is between the lower and the upper end, from 0 to 1.
    scale: fn(f64, &[f64]) -> f64,
    value: fn(&Summary) -> f64,
}

/// The courses of a strategy.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) course: Vec<Summary>,
    /// With the settings that nobody changed.
    pub(crate) default: Vec<Summary>,
}

/// An SVG of the courses of `rows` against that of `baseline`.
pub(crate) fn draw(scenario: &Scenario, baseline: &[Summary], rows: &[Row]) -> String {
    let all = || rows.iter().flat_map(|row| row.course.iter().chain(&row.default)).chain(baseline);
    let lost = all().map(|summary| 100.0 - summary.goodput()).fold(0.0, f64::max);
    let worst = 100.0 - 2.0 * (lost / 2.0).ceil();
    let slowest = all().map(p99).fold(0.0, f64::max);
    let axes = [
        Axis {
            title: "goodput: answered requests",
            unit: "%",
            ticks: vec![worst, (100.0 + worst) / 2.0, 100.0],
            name_at: (PANEL.0 - 6.0, 82.0, "end"),
            scale: linear,
            value: Summary::goodput,
        },
        Axis {
            title: "99th percentile of the time to the answer (logarithmic)",
            unit: "s",
            ticks: [5.0, 10.0, 20.0, 40.0, 80.0].into_iter().filter(|tick| *tick < 2.0 * slowest).collect(),
            name_at: (6.0, 16.0, "start"),
            scale: logarithmic,
            value: p99,
        },
    ];
    let mut svg = Svg { text: String::new(), minutes: scenario.length.0 as f64 / 60_000.0 };
    let height = TOP + NEXT.1 * rows.len() as f64 + 24.0;
    svg.head(height, scenario);
    for (column, axis) in axes.iter().enumerate() {
        let x = LEFT + NEXT.0 * column as f64;
        svg.text(x, TOP - 30.0, "start", "font-weight=\"bold\"", axis.title);
        for (i, (row, colour)) in rows.iter().zip(COLOURS).enumerate() {
            let y = TOP + NEXT.1 * i as f64;
            svg.panel((x, y), axis, scenario);
            svg.line((x, y), axis, baseline, &format!("stroke=\"{BASELINE}\""));
            if column == 0 {
                svg.line((x, y), axis, &row.default, &format!("stroke=\"{colour}\" stroke-dasharray=\"2 2\""));
            }
            svg.line((x, y), axis, &row.course, &format!("stroke=\"{colour}\" stroke-width=\"1.8\""));
            let style = format!("fill=\"{colour}\" font-weight=\"bold\" font-size=\"13\"");
            let (right, down, anchor) = axis.name_at;
            svg.text(x + right, y + down, anchor, &style, row.name);
        }
        let y = TOP + NEXT.1 * rows.len() as f64;
        svg.text(x + PANEL.0 / 2.0, y + 8.0, "middle", "", "minute of the hour");
    }
    svg.text.push_str("</svg>\n");
    svg.text
}

fn p99(summary: &Summary) -> f64 {
    let [_, _, p99] = summary.percentiles;
    p99 as f64 / 1000.0
}

fn linear(value: f64, ticks: &[f64]) -> f64 {
    let (low, high) = ends(ticks);
    ((value - low) / (high - low).max(f64::EPSILON)).clamp(0.0, 1.0)
}

fn logarithmic(value: f64, ticks: &[f64]) -> f64 {
    let (low, high) = ends(ticks);
    ((value.max(low) / low).ln() / (high / low).ln().max(f64::EPSILON)).clamp(0.0, 1.0)
}

fn ends(ticks: &[f64]) -> (f64, f64) {
    (ticks.first().copied().unwrap_or(1.0), ticks.last().copied().unwrap_or(2.0))
}

const fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Down => "down",
        Kind::Errors(_) => "errors",
        Kind::Slow(_) => "slow",
        Kind::Silent => "silent",
    }
}

/// A picture in the making. Writing to a string does not fail.
struct Svg {
    text: String,
    minutes: f64,
}

impl Svg {
    fn head(&mut self, height: f64, scenario: &Scenario) {
        let _ = writeln!(
            self.text,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
             font-size=\"12\" fill=\"#222\">\n<title>Routing strategies in a simulated hour</title>\n\
             <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>"
        );
        let title = format!("One hour, {} deployments: each strategy against the baseline", scenario.sites.len());
        self.text(LEFT, 26.0, "start", "font-size=\"16\" font-weight=\"bold\"", &title);
        let strategy = format!("stroke=\"{}\" stroke-width=\"2\"", COLOURS[0]);
        self.key(LEFT, &strategy, "the strategy, tuned");
        self.key(LEFT + 180.0, &format!("{strategy} stroke-dasharray=\"2 2\""), "by default (only goodput is shown)");
        self.key(LEFT + 440.0, &format!("stroke=\"{BASELINE}\" stroke-width=\"2\""), "baseline: chance");
        let shade = format!("stroke=\"{SHADE}\" stroke-width=\"13\"");
        self.key(LEFT + 600.0, &shade, "some deployments in trouble, or many requests");
    }

    /// A line of the legend.
    fn key(&mut self, x: f64, style: &str, text: &str) {
        let _ = writeln!(self.text, "<path d=\"M{x} 46h24\" {style}/>");
        self.text(x + 30.0, 50.0, "start", "", text);
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, style: &str, text: &str) {
        let _ = writeln!(self.text, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" {style}>{text}</text>");
    }

    fn panel(&mut self, (x, y): (f64, f64), axis: &Axis, scenario: &Scenario) {
        let (width, height) = PANEL;
        let burst = (scenario.load.burst.0, scenario.load.burst.1, "burst");
        let troubles = scenario.troubles.iter().map(|trouble| (trouble.from, trouble.to, name(trouble.kind)));
        for (from, to, label) in troubles.chain([burst]) {
            let (from, to) = (self.at(from as f64), self.at(to as f64));
            let _ = writeln!(
                self.text,
                "<rect x=\"{:.1}\" y=\"{y}\" width=\"{:.1}\" height=\"{height}\" fill=\"{SHADE}\"/>",
                x + from,
                to - from
            );
            self.text(x + (from + to) / 2.0, y - 5.0, "middle", "font-size=\"10\" fill=\"#555\"", label);
        }
        for tick in &axis.ticks {
            let at = y + height * (1.0 - (axis.scale)(*tick, &axis.ticks));
            let _ = writeln!(
                self.text,
                "<path d=\"M{x} {at:.1}h{width}\" stroke=\"#ccc\" stroke-width=\".6\" fill=\"none\"/>"
            );
            self.text(x - 6.0, at + 4.0, "end", "", &format!("{tick} {}", axis.unit));
        }
        let _ = writeln!(self.text, "<path d=\"M{x} {y}v{height}h{width}\" stroke=\"#444\" fill=\"none\"/>");
        for minute in (0..=self.minutes as u64).step_by(10) {
            let at = x + self.at(60_000.0 * minute as f64);
            self.text(at, y + height + 14.0, "middle", "font-size=\"10\"", &minute.to_string());
        }
    }

    fn line(&mut self, (x, y): (f64, f64), axis: &Axis, course: &[Summary], style: &str) {
        let points: Vec<String> = (0u32..)
            .zip(course)
            .filter(|(_, summary)| summary.requests > 0)
            .map(|(i, summary)| {
                let at = x + self.at(STEP.0 as f64 * (f64::from(i) + 0.5));
                let height = PANEL.1 * (1.0 - (axis.scale)((axis.value)(summary), &axis.ticks));
                format!("{at:.1},{:.1}", y + height)
            })
            .collect();
        let _ = writeln!(
            self.text,
            "<polyline points=\"{}\" fill=\"none\" stroke-linejoin=\"round\" {style}/>",
            points.join(" ")
        );
    }

    /// How far from a panel's left side a time is.
    fn at(&self, ms: f64) -> f64 {
        PANEL.0 * ms / 60_000.0 / self.minutes.max(1.0)
    }
}
