//! Results as CSV, for spreadsheets.

use domain::plan::{Entry, Outcome};

const HEADER: &str = "position,client_ref,success,id,code,title,detail\r\n";

/// Writes a row for each item, as RFC 4180 has it. An item with several errors has the code and the title of the first,
/// and the details of all.
/// With the header only where the table begins, so that pages can be put one after the other.
///
/// What a client wrote may begin with a character that makes a spreadsheet take it for a formula, and run it. Such a cell begins with an
/// apostrophe, which spreadsheets take for a sign that text follows. Where a spreadsheet separates cells by something else than a comma, the quotes of a
/// cell are within another and mean nothing. So what follows a semicolon, a tab or a line end may be the beginning of a cell as well.
pub(super) fn write<'entries>(entries: impl Iterator<Item = &'entries Entry>, with_header: bool) -> Vec<u8> {
    let mut table = String::from(if with_header { HEADER } else { "" });
    for entry in entries {
        let position = entry.position.to_string();
        let client_ref = entry.client_ref.as_deref().unwrap_or_default();
        let cells = match &entry.outcome {
            Outcome::Success(id) => [&position, client_ref, "true", &id.to_string(), "", "", ""].map(safe),
            Outcome::WouldMake => [&position, client_ref, "true", "", "", "", ""].map(safe),
            Outcome::Failure(problems) => {
                let (code, title) =
                    problems.first().map_or(("", ""), |problem| (problem.code.name(), problem.code.title()));
                let details: Vec<&str> = problems.iter().map(|problem| problem.detail.as_ref()).collect();
                [&position, client_ref, "false", "", code, title, &details.join("; ")].map(safe)
            }
        };
        table.push_str(&cells.join(","));
        table.push_str("\r\n");
    }
    table.into_bytes()
}

fn safe(cell: &str) -> String {
    let mut text = String::with_capacity(cell.len());
    let mut begins = true;
    for character in cell.chars() {
        let is_blank = matches!(character, '\t' | '\r' | '\n');
        let is_formula = matches!(character, '=' | '+' | '-' | '@') || (is_blank && text.is_empty());
        if begins && is_formula {
            text.push('\'');
        }
        text.push(character);
        begins = is_blank || character == ';';
    }
    if text.contains([',', ';', '"', '\r', '\n', '\t']) || text.starts_with(' ') || text.ends_with(' ') {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use domain::problem::Problem;
    use domain::record::RecordId;

    use super::*;

    fn table(client_ref: Option<&str>, outcome: Outcome) -> String {
        let entry = Entry { client_ref: client_ref.map(Box::from), ..Entry::new(7, outcome, 0) };
        let table = String::from_utf8(write([&entry].into_iter(), true)).unwrap();
        table.strip_prefix(HEADER).unwrap().to_owned()
    }

    #[test]
    fn each_item_is_a_row() {
        let id = RecordId::from_bytes([1; 16]);
        assert_eq!(table(None, Outcome::Success(id)), format!("7,,true,{id},,,\r\n"));
        assert_eq!(table(Some("row 8"), Outcome::WouldMake), "7,row 8,true,,,,\r\n");
        let problems = ["a, b", "c \"d\""].map(Problem::unprocessable).to_vec();
        let row = "7,x,false,,UnprocessableEntity,Unprocessable Entity,\"a, b; c \"\"d\"\"\"\r\n";
        assert_eq!(table(Some("x"), Outcome::Failure(problems)), row);
        assert_eq!(write([].into_iter(), false), b"");
    }

    #[test]
    fn no_cell_is_a_formula() {
        for sign in ["=", "+", "-", "@", "\t", "\r", "\n"] {
            let text = format!("{sign}HYPERLINK(1)");
            for table in [
                table(Some(&text), Outcome::WouldMake),
                table(None, Outcome::failure(Problem::unprocessable(text.clone()))),
            ] {
                let cell = table.split(',').find(|cell| cell.contains("HYPERLINK")).unwrap();
                assert!(cell.trim_start_matches('"').starts_with('\''), "{table:?}");
            }
        }
        assert_eq!(table(Some("a=b"), Outcome::WouldMake), "7,a=b,true,,,,\r\n");
    }

    #[test]
    fn no_cell_is_two_where_cells_are_separated_otherwise() {
        let row = |client_ref: &str| table(Some(client_ref), Outcome::WouldMake);
        assert_eq!(row("a;b"), "7,\"a;b\",true,,,,\r\n");
        assert_eq!(row("a\tb"), "7,\"a\tb\",true,,,,\r\n");
        for separator in [";", "\t", "\r", "\n", "\r\n", ";;"] {
            let client_ref = format!("a{separator}=HYPERLINK(1)");
            assert_eq!(row(&client_ref), format!("7,\"a{separator}'=HYPERLINK(1)\",true,,,,\r\n"));
        }
    }
}
