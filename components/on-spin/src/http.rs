//! The line behind the API, with which it is composed.

use wheeltapper_line::{Line, LineError, line_api::PlatformLine};

use crate::platform::{Spin, line};

struct Component;

impl PlatformLine for Component {
    type Platform = Spin;

    fn line() -> Result<Line<Spin>, LineError> {
        line()
    }
}

wheeltapper_line::line_api::export!(Component);
