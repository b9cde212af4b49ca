//! Pieces of a drawing: an area, bars and texts.

use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind};
use plotters::element::Rectangle;
use plotters::prelude::SVGBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, IntoFont, RGBColor, WHITE};

/// What is drawn on.
pub type Area<'s> = DrawingArea<SVGBackend<'s>, Shift>;

/// Whether it was drawn.
pub type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// The colour of texts.
pub const INK: RGBColor = RGBColor(40, 40, 40);
const TEXT_SIZE: f64 = 12.0;
/// About what a character of that size takes.
const CHARACTER_WIDTH: i32 = 7;

/// A horizontal stripe.
#[derive(Clone, Copy, Debug)]
pub struct Panel {
    /// Its upper edge, in pixels from the top.
    pub top: i32,
    /// Its lower edge.
    pub bottom: i32,
}

impl Panel {
    /// Returns its middle.
    pub fn middle(self) -> i32 {
        i32::midpoint(self.top, self.bottom)
    }
}

/// Returns about how wide a text is, in pixels.
pub fn text_width(text: &str) -> i32 {
    i32::try_from(text.chars().count()).unwrap_or(i32::MAX).saturating_mul(CHARACTER_WIDTH)
}

/// Black or white, whichever stands out.
pub fn readable_on(ground: RGBColor) -> RGBColor {
    let RGBColor(red, green, blue) = ground;
    let brightness = 3 * u32::from(red) + 6 * u32::from(green) + u32::from(blue);
    if brightness > 1400 { INK } else { WHITE }
}

/// Fills a part of a stripe.
///
/// # Errors
/// As the backend says.
pub fn bar(area: &Area<'_>, (left, right): (i32, i32), panel: Panel, colour: RGBColor) -> Drawn {
    let corners = [(left, panel.top), (right, panel.bottom)];
    area.draw(&Rectangle::new(corners, colour.filled()))?;
    Ok(())
}

/// Text whose left end, right end or middle stands at a point, centred on its height.
///
/// # Errors
/// As the backend says.
pub fn text(area: &Area<'_>, text: &str, at: (i32, i32), anchor: HPos, colour: &RGBColor) -> Drawn {
    let style = ("sans-serif", css_size(TEXT_SIZE)).into_font().color(colour).pos(Pos::new(anchor, VPos::Center));
    area.draw_text(text, &style, at)?;
    Ok(())
}

/// The SVG backend divides font sizes by this factor before it writes them.
pub fn css_size(pixels: f64) -> f64 {
    pixels * 1.24
}
