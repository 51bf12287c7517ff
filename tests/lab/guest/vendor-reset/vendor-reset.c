// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Stands in for vendor-reset: for an emulated card with the ids of an RX 580, the kernel's device-specific reset method is
 * there as long as this is loaded. Resetting it does nothing but say so.
 */
#define pr_fmt(text) "vendor_reset: " text

#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/pci.h>

/* What the kernel asks: whether it can reset this function, or to do it. */
struct question {
	struct pci_dev *function;
	bool probe;
};

static int asked(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	struct question *question = (struct question *)instance->data;

	question->function = (struct pci_dev *)regs_get_kernel_argument(regs, 0);
	question->probe = regs_get_kernel_argument(regs, 1) & 1;
	return 0;
}

static int answered(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	struct question *question = (struct question *)instance->data;
	struct pci_dev *function = question->function;

	if (function->vendor != PCI_VENDOR_ID_ATI || function->device != 0x67df)
		return 0;
	pr_info("%s: %s\n", pci_name(function), question->probe ? "can be reset" : "reset");
	regs_set_return_value(regs, 0);
	return 0;
}

static struct kretprobe reset = {
	.kp.symbol_name = "pci_dev_specific_reset",
	.entry_handler = asked,
	.handler = answered,
	.data_size = sizeof(struct question),
	.maxactive = 4,
};

static int __init stand_in_init(void)
{
	pr_info("loaded\n");
	return register_kretprobe(&reset);
}
module_init(stand_in_init);

static void __exit stand_in_exit(void)
{
	unregister_kretprobe(&reset);
}
module_exit(stand_in_exit);

MODULE_DESCRIPTION("A device-specific reset for an emulated card");
MODULE_LICENSE("GPL");
