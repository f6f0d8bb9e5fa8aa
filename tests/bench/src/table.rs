//! What was found, beside what was promised.

use std::fmt;

use comfy_table::Table;

/// Whether a figure keeps its budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// It may not be more.
    AtMost(u64),
    /// It may not be less.
    AtLeast(u64),
    /// It is exactly this.
    Exactly(u64),
    /// Nothing is promised: it stands there to compare with.
    None,
}

/// In what a figure is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes a second.
    Speed,
    /// Bytes.
    Bytes,
    /// Milliseconds.
    Time,
    /// Millionths of a second.
    Micros,
    /// Thousandths of those.
    Nanos,
    /// Times that something happened.
    Count,
}

impl Unit {
    fn told(self, number: u64) -> String {
        /// Told in so many decimal places, by whole numbers.
        fn decimal(number: u64, unit: u64, name: &str) -> String {
            let hundredths = u128::from(number) * 100 / u128::from(unit.max(1));
            format!("{}.{:02} {name}", hundredths / 100, hundredths % 100)
        }
        match self {
            Self::Speed => decimal(number, 1 << 20, "MiB/s"),
            Self::Bytes if number < 1 << 20 => format!("{number} B"),
            Self::Bytes => decimal(number, 1_000_000, "MB"),
            Self::Time => decimal(number, 1_000, "s"),
            Self::Micros => decimal(number, 1_000, "ms"),
            Self::Nanos => decimal(number, 1_000, "µs"),
            Self::Count => number.to_string(),
        }
    }
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Of what.
    pub what: String,
    /// Who ran.
    pub who: &'static str,
    /// The figure.
    pub figure: u64,
    /// Its unit.
    pub unit: Unit,
    /// What was promised.
    pub budget: Budget,
    /// What the ratio is to, where it is not the budget: the cap of which the budget is a part.
    pub of: Option<u64>,
}

impl Row {
    /// Whether it keeps its budget. What has none keeps it.
    pub fn is_kept(&self) -> bool {
        match self.budget {
            Budget::AtMost(most) => self.figure <= most,
            Budget::AtLeast(least) => self.figure >= least,
            Budget::Exactly(number) => self.figure == number,
            Budget::None => true,
        }
    }

    fn ratio(&self) -> String {
        let of = match (self.of, self.budget) {
            (Some(of), _) => of,
            (None, Budget::AtMost(number) | Budget::AtLeast(number) | Budget::Exactly(number)) => number,
            (None, Budget::None) => 0,
        };
        let per_mille = u128::from(self.figure) * 1_000;
        match per_mille.checked_div(u128::from(of)) {
            Some(per_mille) => format!("{}.{} %", per_mille / 10, per_mille % 10),
            None => "–".to_owned(),
        }
    }
}

/// All figures of a run.
#[derive(Debug, Default)]
pub struct Figures {
    rows: Vec<Row>,
    remarks: Vec<String>,
}

impl Figures {
    /// One more.
    pub fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// All of others too.
    pub fn append(&mut self, others: Self) {
        self.rows.extend(others.rows);
        self.remarks.extend(others.remarks);
    }

    /// A sentence below the table.
    pub fn remark(&mut self, remark: impl Into<String>) {
        self.remarks.push(remark.into());
    }

    /// How many are short of what was promised.
    pub fn short(&self) -> usize {
        self.rows.iter().filter(|row| !row.is_kept()).count()
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.set_header(["what", "who", "budget", "figure", "ratio", ""]);
        for row in &self.rows {
            let budget = match row.budget {
                Budget::AtMost(most) => format!("≤ {}", row.unit.told(most)),
                Budget::AtLeast(least) => format!("≥ {}", row.unit.told(least)),
                Budget::Exactly(number) => format!("= {}", row.unit.told(number)),
                Budget::None => "–".to_owned(),
            };
            let verdict = match (row.budget, row.is_kept()) {
                (Budget::None, _) => "",
                (_, true) => "ok",
                (_, false) => "SHORT",
            };
            table.add_row([&row.what, row.who, &budget, &row.unit.told(row.figure), &row.ratio(), verdict]);
        }
        writeln!(formatter, "{table}")?;
        for remark in &self.remarks {
            writeln!(formatter, "{remark}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(figure: u64, budget: Budget) -> Row {
        Row { what: "worst second".to_owned(), who: "sampan", figure, unit: Unit::Speed, budget, of: Some(5 << 20) }
    }

    #[test]
    fn a_figure_that_is_not_what_was_promised_is_short() {
        let mut figures = Figures::default();
        for (figure, budget, is_kept) in [
            (10, Budget::AtMost(10), true),
            (11, Budget::AtMost(10), false),
            (10, Budget::AtLeast(10), true),
            (9, Budget::AtLeast(10), false),
            (0, Budget::Exactly(0), true),
            (1, Budget::Exactly(0), false),
            (99, Budget::None, true),
        ] {
            assert_eq!(row(figure, budget).is_kept(), is_kept, "{figure} {budget:?}");
            figures.add(row(figure, budget));
        }
        assert_eq!(figures.short(), 3);
    }

    #[test]
    fn a_row_tells_figure_and_ratio_in_its_unit() {
        let mut figures = Figures::default();
        figures.add(row(5_300_000, Budget::AtMost(5_505_024)));
        let told = figures.to_string();
        for word in ["≤ 5.25 MiB/s", "5.05 MiB/s", "101.0 %", "ok"] {
            assert!(told.contains(word), "{told}");
        }
        assert_eq!(Unit::Bytes.told(68_000_000), "68.00 MB");
        assert_eq!((Unit::Bytes.told(12), Unit::Time.told(1_234)), ("12 B".to_owned(), "1.23 s".to_owned()));
    }
}
