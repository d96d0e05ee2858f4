//! The share of requests that were not answered, as bars.

/// An SVG of a strategy's name, whether there were cooldowns, and the share that was answered.
pub fn draw(rows: &[(&str, bool, f64)]) -> String {
    const WIDTH: f64 = 420.0;
    let most = rows.iter().map(|row| 1.0 - row.2).fold(1e-9, f64::max);
    let bar = |(i, (name, cooldowns, goodput)): (usize, &(&str, bool, f64))| {
        let (y, lost) = (40 + 24 * i, 1.0 - goodput);
        let (fill, word) = if *cooldowns { ("#2a7", "cooldowns") } else { ("#c53", "none") };
        let (width, end) = (WIDTH * lost / most, 300.0 + WIDTH * lost / most);
        let percent = 100.0 * lost;
        format!(
            "<text x=\"284\" y=\"{}\" text-anchor=\"end\">{name}, {word}</text>\
             <rect x=\"290\" y=\"{y}\" width=\"{width:.1}\" height=\"18\" fill=\"{fill}\"/>\
             <text x=\"{end:.1}\" y=\"{}\">{percent:.3} %</text>\n",
            y + 14,
            y + 14
        )
    };
    let bars: String = rows.iter().enumerate().map(bar).collect();
    let height = 60 + 24 * rows.len();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"800\" height=\"{height}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"800\" height=\"{height}\" fill=\"white\"/>\n\
         <text x=\"20\" y=\"24\" font-size=\"15\">Requests that ended in an error the client saw</text>\n{bars}</svg>\n"
    )
}
