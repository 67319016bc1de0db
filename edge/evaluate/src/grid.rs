//! A table of text: the first column to the left, the others to the right.

use std::fmt;

/// Rows of cells under a head.
#[derive(Clone, Debug)]
pub(crate) struct Grid {
    /// `None` is a line.
    rows: Vec<Option<Vec<String>>>,
}

impl Grid {
    pub(crate) fn new(head: &[&str]) -> Self {
        Self { rows: vec![Some(head.iter().map(|&cell| cell.to_owned()).collect()), None] }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(Some(cells));
    }

    pub(crate) fn line(&mut self) {
        self.rows.push(None);
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut widths: Vec<usize> = Vec::new();
        for cells in self.rows.iter().flatten() {
            widths.resize(widths.len().max(cells.len()), 0);
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let whole = widths.iter().map(|width| width + 2).sum::<usize>().saturating_sub(2);
        for row in &self.rows {
            let Some(cells) = row else {
                writeln!(f, "{}", "-".repeat(whole))?;
                continue;
            };
            let mut text = String::new();
            for (at, (cell, width)) in cells.iter().zip(&widths).enumerate() {
                text.push_str(&if at == 0 { format!("{cell:<width$}") } else { format!("  {cell:>width$}") });
            }
            writeln!(f, "{}", text.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut grid = Grid::new(&["name", "x"]);
        grid.row(vec!["a".to_owned(), "10.5".to_owned()]);
        grid.line();
        grid.row(vec!["longer".to_owned()]);
        assert_eq!(grid.to_string(), "name       x\n------------\na       10.5\n------------\nlonger\n");
    }
}
