// SPDX-License-Identifier: LGPL-2.1-or-later
//! kernelstub's configuration: JSON, in which `user.kernel_options` is a list of parameters, or one text in old versions.

use super::super::line;
use super::{Line, Problem};
use serde_json::Value;

/// The one command line.
pub fn lines(text: &str) -> Result<Vec<Line>, Problem> {
    let whole: Value = serde_json::from_str(text).map_err(|error| Problem {
        line: error.line(),
        message: "is not the JSON that kernelstub writes; run 'kernelstub -p' to see what is wrong".to_owned(),
    })?;
    let options = match &whole["user"]["kernel_options"] {
        Value::String(options) => vec![options.as_str()],
        Value::Array(options) => options.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let parameters =
        options.iter().flat_map(|part| line::parameters(part).into_iter().map(|range| part[range].to_owned()));
    Ok(vec![Line { parameters: parameters.collect(), ..Line::new("", 1, 0..text.len()) }])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_list_or_a_text() {
        let parameters = |text: &str| lines(text).unwrap().remove(0).parameters;
        let list =
            r#"{"default": {"kernel_options": ["x"]}, "user": {"kernel_options": ["quiet", "a=\"b c\" splash"]}}"#;
        assert_eq!(parameters(list), ["quiet", "a=\"b c\"", "splash"]);
        assert_eq!(parameters(r#"{"user": {"kernel_options": "quiet splash"}}"#), ["quiet", "splash"]);
        assert_eq!(parameters("{}"), [""; 0]);
        assert_eq!(lines("{\n\"user\": \n").unwrap_err().line, 3);
    }
}
