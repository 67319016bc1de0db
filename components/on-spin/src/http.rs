//! The line for the API, which is joined before it.

use wheeltapper_line::{Line, LineError, front::Door};

use crate::platform::{Spin, line};

struct Component;

impl Door for Component {
    type Platform = Spin;

    fn line() -> Result<Line<Spin>, LineError> {
        line()
    }
}

wheeltapper_line::front::export!(Component);
