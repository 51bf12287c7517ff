// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Gives emulated PCI functions the identity of a card that no emulator has: reads of their configuration space show
 * other ids and another class. All else stays the emulated device's.
 *
 * card=BUS,FUNCTION,VENDOR+DEVICE,CLASS[,...]: four numbers a function, of device 0 on that bus of domain 0, for
 * example card=1,0,0x73bf1002,0x030000. The functions are taken off their bus and found again with what they show now.
 */
#include <linux/module.h>
#include <linux/pci.h>

#define FIELDS 4
#define MOST 8

static uint card[FIELDS * MOST];
static uint count;
module_param_array(card, uint, &count, 0444);
MODULE_PARM_DESC(card, "bus, function, ids as one word (device high), class; for each function");

/* A bus whose reads go through us, and how it reads itself. */
struct shown {
	struct pci_bus *bus;
	struct pci_ops *real;
	struct pci_ops ops;
};

static struct shown shown[MOST];

static struct shown *find(const struct pci_bus *bus)
{
	for (int i = 0; i < MOST; i++)
		if (shown[i].bus == bus)
			return &shown[i];
	return NULL;
}

static int show(struct pci_bus *bus, unsigned int devfn, int where, int size, u32 *value)
{
	struct shown *found = find(bus);
	u32 word;
	int error;

	if (!found)
		return PCIBIOS_DEVICE_NOT_FOUND;
	error = found->real->read(bus, devfn, where, size, value);
	if (error || where >= PCI_CACHE_LINE_SIZE || PCI_SLOT(devfn))
		return error;
	for (uint i = 0; i + FIELDS <= count; i += FIELDS) {
		if (card[i] != bus->number || card[i + 1] != PCI_FUNC(devfn))
			continue;
		if (where < PCI_COMMAND) {
			word = card[i + 2];
		} else if (where >= PCI_CLASS_REVISION) {
			/* The revision stays. */
			error = found->real->read(bus, devfn, PCI_CLASS_REVISION, 4, &word);
			if (error)
				return error;
			word = card[i + 3] << 8 | (word & 0xff);
		} else {
			continue;
		}
		word >>= 8 * (where & 3);
		*value = size == 4 ? word : word & ((1u << (8 * size)) - 1);
	}
	return 0;
}

static void find_again(struct pci_bus *bus)
{
	struct pci_dev *function, *next;

	pci_lock_rescan_remove();
	list_for_each_entry_safe_reverse(function, next, &bus->devices, bus_list)
		pci_stop_and_remove_bus_device(function);
	pci_rescan_bus(bus);
	pci_unlock_rescan_remove();
}

static int __init lab_card_init(void)
{
	struct shown *free = shown;
	struct pci_bus *bus;

	if (!count || count % FIELDS)
		return -EINVAL;
	for (uint i = 0; i < count; i += FIELDS) {
		bus = pci_find_bus(0, card[i]);
		if (!bus)
			return -ENODEV;
		if (find(bus))
			continue;
		free->bus = bus;
		free->ops = *bus->ops;
		free->ops.read = show;
		free->real = pci_bus_set_ops(bus, &free->ops);
		free++;
	}
	for (free = shown; free < shown + MOST && free->bus; free++)
		find_again(free->bus);
	return 0;
}
module_init(lab_card_init);

/* No exit: the buses read through us until the machine goes down. */
MODULE_DESCRIPTION("Other identities for emulated PCI functions");
MODULE_LICENSE("GPL");
