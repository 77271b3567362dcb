//! Charts: lines with intervals, on linear or logarithmic axes, as pictures that need no script.

use svg::Document;
use svg::node::element::{Circle, Line, Polyline, Style, Text, Title};

// In pixels, at the size that the picture asks for.
const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 54.0;
/// From the line of one text to the next.
const LINE: f64 = 18.0;

/// Names begin with the class of the whole, so that a page which the picture is put into keeps its own style.
const STYLE: &str = "
.chart { color-scheme: light dark; --paper: #fff; --ink: #1a1a1a; --faint: #646464; --line: #dcdcdc;
  --c0: #2563eb; --c1: #c2410c; --c2: #15803d; --c3: #7e22ce; --c4: #be123c; --c5: #0e7490;
  --c6: #4d7c0f; --c7: #86198f; --c8: #475569 }
@media (prefers-color-scheme: dark) { .chart { --paper: #16181d; --ink: #e6e6e6; --faint: #a0a0a0; --line: #33363e;
  --c0: #7aa7ff; --c1: #f5a94a; --c2: #5fd38d; --c3: #c89bff; --c4: #fb7185; --c5: #5cc8da; --c6: #a3d95f;
  --c7: #f0a6f5; --c8: #a9b7c9 } }
.chart text { font: 12px system-ui, sans-serif; fill: var(--ink) } .chart .title { font-size: 14px; font-weight: 600 }
.chart .faint { fill: var(--faint) } .chart .grid { stroke: var(--line) } .chart .limit { stroke: var(--faint);
  stroke-dasharray: 5 4 } .chart polyline { fill: none; stroke-width: 1.8 } .chart .whisker { stroke-width: 1.2 }
";

/// How many colours there are.
const COLOURS: usize = 9;

/// How an axis counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Each step is as long as the other.
    Linear,
    /// Each decade is as long as the other; only for what is above zero.
    Logarithmic,
    /// One place for each of the names, from 0 on.
    Names,
}

/// An axis.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    /// What it counts.
    pub(crate) label: String,
    /// How.
    pub(crate) scale: Scale,
    /// What stands at 0, 1, 2 …, where it has names.
    pub(crate) names: Vec<String>,
}

/// A place in a chart, and how high the interval around it goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) interval: Option<(f64, f64)>,
}

/// What is connected by a line.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) points: Vec<Point>,
}

/// A chart.
#[derive(Clone, Debug)]
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) curves: Vec<Curve>,
    /// A line that is not to be passed.
    pub(crate) limit: Option<f64>,
    /// Whether the places are marked.
    pub(crate) dots: bool,
}

/// From a value to its place.
struct Span {
    scale: Scale,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Span {
    fn new(scale: Scale, values: impl Iterator<Item = f64>, (from, to): (f64, f64)) -> Self {
        let finite = values.filter(|value| value.is_finite());
        let (mut low, mut high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |ends, value| {
            (ends.0.min(value), ends.1.max(value))
        });
        if !low.is_finite() {
            (low, high) = (1.0, 2.0);
        }
        match scale {
            Scale::Logarithmic => {
                (low, high) = (low.max(f64::MIN_POSITIVE) * 0.8, high * 1.25);
            }
            Scale::Linear => {
                let margin = ((high - low) * 0.06).max(1e-9);
                (low, high) = (low - margin, high + margin);
            }
            Scale::Names => (low, high) = (low - 0.3, high + 0.3),
        }
        Self {
            scale,
            low,
            high,
            from,
            to,
        }
    }

    fn place(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Logarithmic => {
                let value = value.max(self.low);
                (value.ln() - self.low.ln()) / (self.high.ln() - self.low.ln())
            }
            Scale::Linear | Scale::Names => (value - self.low) / (self.high - self.low),
        };
        self.from + share * (self.to - self.from)
    }

    /// Where there are lines of the grid.
    fn ticks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Names => Vec::new(),
            Scale::Logarithmic => {
                let decades = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
                let steps =
                    decades.flat_map(|decade| [1.0, 2.0, 5.0].map(|it| it * 10_f64.powi(decade)));
                let all: Vec<_> = steps
                    .filter(|it| (self.low..=self.high).contains(it))
                    .collect();
                let tens = |it: &f64| (it.log10() - it.log10().round()).abs() < 1e-9;
                match all.len() > 9 {
                    true => all.into_iter().filter(tens).collect(),
                    false => all,
                }
            }
            Scale::Linear => {
                let rough = (self.high - self.low) / 6.0;
                let decade = 10_f64.powf(rough.log10().floor());
                let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * decade);
                let step = steps
                    .into_iter()
                    .find(|step| *step >= rough)
                    .unwrap_or(rough);
                let first = (self.low / step).ceil() as i64;
                let last = (self.high / step).floor() as i64;
                (first..=last).map(|at| at as f64 * step).collect()
            }
        }
    }
}

impl Chart {
    /// As a picture.
    pub(crate) fn svg(&self) -> String {
        let points = || self.curves.iter().flat_map(|curve| &curve.points);
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        let x = Span::new(self.x.scale, points().map(|point| point.x), (LEFT, right));
        let intervals = points().filter_map(|point| point.interval);
        let ends = intervals.flat_map(|(low, high)| [low, high]);
        let values = points().map(|point| point.y).chain(ends).chain(self.limit);
        let y = Span::new(self.y.scale, values, (bottom, TOP));
        let mut picture = Document::new()
            .set("class", "chart")
            .set("role", "img")
            .set("viewBox", (0.0, 0.0, WIDTH, HEIGHT))
            .set("width", WIDTH)
            .set("height", HEIGHT)
            .add(Title::new(&*self.title))
            .add(Style::new(STYLE))
            .add(label(&self.title, (LEFT, TOP - 18.0), "start").set("class", "title"))
            .add(label(
                &self.x.label,
                ((LEFT + right) / 2.0, HEIGHT - 12.0),
                "middle",
            ))
            .add(label(&self.y.label, (0.0, 0.0), "middle").set(
                "transform",
                format!("translate(16 {}) rotate(-90)", (TOP + bottom) / 2.0),
            ));
        for value in y.ticks() {
            let at = y.place(value);
            picture = picture
                .add(stroke((LEFT, at), (right, at), "grid"))
                .add(label(&number(value), (LEFT - 8.0, at + 4.0), "end").set("class", "faint"));
        }
        let names = self.x.names.iter().enumerate();
        let named = names.map(|(at, name)| (at as f64, name.clone()));
        let ticks = x.ticks().into_iter().map(|value| (value, number(value)));
        for (value, name) in named.chain(ticks) {
            let at = x.place(value);
            picture = picture
                .add(stroke((at, TOP), (at, bottom), "grid"))
                .add(label(&name, (at, bottom + LINE), "middle").set("class", "faint"));
        }
        if let Some(limit) = self.limit {
            let at = y.place(limit);
            picture = picture.add(stroke((LEFT, at), (right, at), "limit"));
        }
        for (at, curve) in self.curves.iter().enumerate() {
            picture = self.draw(picture, curve, at, &x, &y);
        }
        picture.to_string().trim_start().to_owned()
    }

    fn draw(
        &self,
        mut picture: Document,
        curve: &Curve,
        at: usize,
        x: &Span,
        y: &Span,
    ) -> Document {
        let colour = format!("var(--c{})", at % COLOURS);
        let points = curve.points.iter().filter(|point| point.y.is_finite());
        let places: Vec<_> = points.map(|point| (x.place(point.x), point)).collect();
        let line: Vec<_> = places
            .iter()
            .map(|(x, point)| format!("{x:.1},{:.1}", y.place(point.y)))
            .collect();
        let coloured = |property: &str| format!("{property}: {colour}");
        picture = picture.add(
            Polyline::new()
                .set("points", line.join(" "))
                .set("style", coloured("stroke")),
        );
        for (x, point) in &places {
            if let Some((low, high)) = point.interval {
                let whisker = stroke((*x, y.place(low)), (*x, y.place(high)), "whisker");
                picture = picture.add(whisker.set("style", coloured("stroke")));
            }
            if self.dots {
                let dot = Circle::new()
                    .set("cx", *x)
                    .set("cy", y.place(point.y))
                    .set("r", 3);
                picture = picture.add(dot.set("style", coloured("fill")));
            }
        }
        let beside = (WIDTH - RIGHT + 14.0, TOP + LINE * (at as f64 + 0.5));
        picture.add(label(&curve.name, beside, "start").set("style", coloured("fill")))
    }
}

fn label(text: &str, (x, y): (f64, f64), anchor: &str) -> Text {
    let text = Text::new(text).set("x", x).set("y", y);
    text.set("text-anchor", anchor)
}

fn stroke((x1, y1): (f64, f64), (x2, y2): (f64, f64), class: &str) -> Line {
    let line = Line::new().set("x1", x1).set("y1", y1);
    line.set("x2", x2).set("y2", y2).set("class", class)
}

/// A value of an axis, as short as it can be.
fn number(value: f64) -> String {
    let rounded = format!("{value:.3}");
    let short = rounded.trim_end_matches('0').trim_end_matches('.');
    match short {
        "-0" => "0".to_owned(),
        short => short.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_scales_put_more_further_up_and_their_lines_within() {
        for scale in [Scale::Linear, Scale::Logarithmic] {
            let span = Span::new(scale, [1.0, 7.0, 900.0].into_iter(), (300.0, 20.0));
            assert!(span.place(7.0) > span.place(900.0) && span.place(1.0) > span.place(7.0));
            let ticks = span.ticks();
            assert!((3..=9).contains(&ticks.len()), "{scale:?}: {ticks:?}");
            for tick in ticks {
                assert!((20.0..=300.0).contains(&span.place(tick)), "{tick}");
            }
        }
    }

    #[test]
    fn a_chart_of_nothing_is_an_empty_one() {
        let axis = || Axis {
            label: "x < y".to_owned(),
            scale: Scale::Linear,
            names: Vec::new(),
        };
        let chart = Chart {
            title: "nothing".to_owned(),
            x: axis(),
            y: axis(),
            curves: Vec::new(),
            limit: None,
            dots: true,
        };
        let picture = chart.svg();
        assert!(picture.starts_with("<svg") && !picture.contains("NaN"));
        assert!(picture.contains("x &lt; y"));
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [1.0, 0.25, 200.0, -0.0].map(number),
            ["1", "0.25", "200", "0"]
        );
    }
}
