// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio setup --services`: libvirt, its network and a user's groups, made ready at once or as they were before.

use super::options::SetupOptions;
use super::report::Report;
use vfio_suite::act::backend::tools::Tools;
use vfio_suite::act::setup;
use vfio_suite::plan::setup::{commands, plan};
use vfio_suite::root::Root;
use vfio_suite::text::shell_command;

/// Makes ready.
pub fn make_ready(
    root: &Root,
    tools: &dyn Tools,
    report: &mut Report<'_>,
    user: Option<&str>,
    options: &SetupOptions,
) -> anyhow::Result<()> {
    let now = setup::probe_context(root, tools)?;
    let plan = plan(&now, user);
    report.answer.left = plan.notes;
    report.answer.left.extend(plan.nobody.map(str::to_owned));
    if options.dry_run {
        let all = plan.steps.iter().flat_map(|step| commands(step, &now));
        all.for_each(|words| report.command(&shell_command(&words)));
        return Ok(());
    }
    let start = setup::records(root)?.len();
    for step in &plan.steps {
        if let Err(error) = setup::carry_out(root, tools, step, &mut |words| report.command(words)) {
            return report.take_back(root, tools, start, error.to_string());
        }
        report.answer.changed = true;
    }
    Ok(())
}
