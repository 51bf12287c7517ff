// SPDX-License-Identifier: LGPL-2.1-or-later
//! Lists of CPUs, as the kernel writes them (Documentation/admin-guide/kernel-parameters.rst, "cpu lists").

/// No kernel has more CPUs (`NR_CPUS_RANGE_END`, arch/x86/Kconfig).
const MOST: u32 = 8192;

/// Reads a list of CPUs as the kernel writes them and as users do: `0-3,8`, sorted and each once. `None` if it is not a list, or
/// names a CPU that no machine has. An empty text is an empty list: a NUMA node may be without CPUs.
pub fn parse_list(text: &str) -> Option<Vec<u32>> {
    let mut list = Vec::new();
    let number = |text: &str| -> Option<u32> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u32>().ok().filter(|number| *number < MOST))?
    };
    if text.trim().is_empty() {
        return Some(list);
    }
    for part in text.split(',') {
        let (first, last) = part.trim().split_once('-').unwrap_or((part.trim(), part.trim()));
        let (first, last) = (number(first)?, number(last)?);
        if first > last || list.len() > MOST as usize {
            return None;
        }
        list.extend(first..=last);
    }
    list.sort_unstable();
    list.dedup();
    Some(list)
}

/// Writes a list of CPUs as the kernel does: `0-3,8`.
pub fn show_list(cpus: &[u32]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for cpu in cpus {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(*cpu) => *last = *cpu,
            _ => ranges.push((*cpu, *cpu)),
        }
    }
    let range = |(first, last): &(u32, u32)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    };
    ranges.iter().map(range).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_and_written_as_the_kernel_does() {
        for (text, list, again) in [
            ("0-3,8", vec![0, 1, 2, 3, 8], "0-3,8"),
            ("5", vec![5], "5"),
            ("", vec![], ""),
            ("8191", vec![8191], "8191"),
            (" 2 , 0-1 ,2\n", vec![0, 1, 2], "0-2"),
            ("0,2,4", vec![0, 2, 4], "0,2,4"),
        ] {
            assert_eq!(parse_list(text), Some(list.clone()), "{text:?}");
            assert_eq!(show_list(&list), again);
        }
        for bad in
            ["x", "1-", "-1", "3-1", "0-4294967295", "8192", "1,,2", "+1", "0x1", "1-2-3", &"0-8191,".repeat(5000)]
        {
            assert_eq!(parse_list(bad), None, "{bad:.40}");
        }
    }
}
